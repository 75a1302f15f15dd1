// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"restante.example/maildrop"
)

// snapshot is one session's view of a maildrop.
type snapshot struct {
	store    *Store
	id       maildrop.ID
	view     *view
	messages []*message
	infos    []maildrop.Info
	octets   int64
	token    uint64
	revoked  chan struct{}

	// removing is held while a Remove is being committed, so that Revoke waits
	// for it. It is taken before the store's lock.
	removing sync.Mutex
	spent    bool // Remove was called; under removing
	ended    bool // closed or revoked; under the store's lock
}

// Open implements maildrop.Store.
func (s *Store) Open(ctx context.Context, id maildrop.ID, name maildrop.View) (maildrop.Snapshot, error) {
	if err := s.begin(ctx, OpOpen, id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findView(id, name)
	if err != nil {
		return nil, err
	}
	if v.open != nil {
		return nil, maildrop.ErrInUse
	}
	s.tokens++
	snap := &snapshot{
		store: s, id: id, view: v, token: s.tokens,
		messages: slices.Clone(v.messages), revoked: make(chan struct{}),
	}
	for _, m := range snap.messages {
		snap.infos = append(snap.infos, v.info(m))
		snap.octets += m.size
	}
	v.open = snap
	return snap, nil
}

func (n *snapshot) Len() int                 { return len(n.messages) }
func (n *snapshot) Octets() int64            { return n.octets }
func (n *snapshot) Info(i int) maildrop.Info { return n.infos[i-1] }
func (n *snapshot) Token() uint64            { return n.token }
func (n *snapshot) Revoked() <-chan struct{} { return n.revoked }

func (n *snapshot) isRevoked() bool {
	select {
	case <-n.revoked:
		return true
	default:
		return false
	}
}

// state says why the snapshot serves no more, under the store's lock.
func (n *snapshot) state() error {
	switch {
	case n.isRevoked():
		return maildrop.ErrRevoked
	case n.ended || n.store.closed:
		return maildrop.ErrClosed
	}
	return nil
}

func (n *snapshot) Message(ctx context.Context, i int) (io.ReadCloser, error) {
	m := n.messages[i-1]
	if err := n.store.begin(ctx, OpMessage, n.id); err != nil {
		return nil, err
	}
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	if err := n.state(); err != nil {
		return nil, err
	}
	if m.gone {
		return nil, maildrop.ErrGone
	}
	return &reader{store: n.store, id: n.id, ctx: ctx, m: m, data: bytes.NewReader(m.data)}, nil
}

func (n *snapshot) Remove(ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
	n.removing.Lock()
	defer n.removing.Unlock()
	outcomes := make([]maildrop.Outcome, len(numbers)) // Kept, each
	if err := n.mayRemove(); err != nil {
		return outcomes, err
	}
	n.spent = true
	if err := n.store.begin(ctx, OpRemove, n.id); err != nil {
		return outcomes, err
	}
	kept, err := n.remove(numbers, outcomes)
	if err != nil {
		return outcomes, err
	}
	if err := n.store.opt.OnOp(OpRemoved, n.id); err != nil {
		for i, o := range outcomes {
			if o == maildrop.Removed {
				outcomes[i] = maildrop.Unknown
			}
		}
		return outcomes, fmt.Errorf("%w: %w", maildrop.ErrPartial, err)
	}
	if kept > 0 {
		return outcomes, maildrop.ErrPartial
	}
	return outcomes, nil
}

func (n *snapshot) mayRemove() error {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	if err := n.state(); err != nil {
		return err
	}
	if n.spent {
		return maildrop.ErrClosed
	}
	return nil
}

// remove takes the messages out of the view, all in one step, and returns how
// many it had to keep.
func (n *snapshot) remove(numbers []int, outcomes []maildrop.Outcome) (kept int, err error) {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	if err := n.state(); err != nil {
		return 0, err
	}
	gone := make(map[*message]bool, len(numbers))
	for i, number := range numbers {
		m := n.messages[number-1]
		if m.damaged(m.data) {
			kept++
			continue
		}
		gone[m] = true
		n.view.removed[m] = true
		outcomes[i] = maildrop.Removed
	}
	n.view.messages = slices.DeleteFunc(n.view.messages, func(m *message) bool { return gone[m] })
	return kept, nil
}

func (n *snapshot) Revoke() {
	n.removing.Lock()
	defer n.removing.Unlock()
	if n.release() {
		close(n.revoked)
	}
}

func (n *snapshot) Close() error {
	n.release()
	return nil
}

// release gives the view back, and reports whether this snapshot still had it.
func (n *snapshot) release() bool {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	if n.ended {
		return false
	}
	n.ended = true
	n.view.open = nil
	return true
}
