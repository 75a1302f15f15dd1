// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"restante.example/maildrop"
	"restante.example/pop3server"
)

// noting is a store that remembers what its sessions are said to do.
type noting struct {
	maildrop.Store
	mu    sync.Mutex
	notes []string
}

type notedSnapshot struct {
	maildrop.Snapshot
	store  *noting
	remote string
}

func (s *noting) Open(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
	sn, err := s.Store.Open(ctx, id, view)
	if err != nil {
		return nil, err
	}
	return &notedSnapshot{Snapshot: sn, store: s}, nil
}

func (n *notedSnapshot) note(format string, args ...any) {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	n.store.notes = append(n.store.notes, fmt.Sprintf(format, args...))
}

func (n *notedSnapshot) NoteRemote(remote string) { n.remote = remote }
func (n *notedSnapshot) NoteRetrieved(i int)      { n.note("%d retrieved from %q", i, n.remote) }

func (n *notedSnapshot) Remove(ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
	n.note("%v removed from %q", numbers, n.remote)
	return n.Snapshot.Remove(ctx, numbers)
}

// A store that wants to know is told who retrieved what, and from where, when
// it was sent whole; TOP is no retrieval.
func TestStoreIsTold(t *testing.T) {
	o := office(t, "a\n\n1\n", "b\n\n2\n", "c\n\n3\n")
	store := &noting{Store: o}
	opt := options(o)
	opt.Store = store
	opt.ClearText = pop3server.InsecureClearTextEverywhere
	c := dial(t, serve(t, opt), "192.0.2.7").signIn()
	c.multi("RETR 2")
	c.multi("TOP 3 0")
	c.ask("RETR 9", "-ERR")
	c.ask("DELE 2", "+OK")
	c.ask("DELE 3", "+OK")
	c.ask("QUIT", "+OK")
	c.ended()
	want := []string{`2 retrieved from "192.0.2.7"`, `[2 3] removed from "192.0.2.7"`}
	if !slices.Equal(store.notes, want) {
		t.Errorf("%q", store.notes)
	}
}
