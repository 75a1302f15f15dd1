// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"restante.example/collect"
	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

// durable is a journal whose content can be copied at any instant, together
// with the disk's.
type durable struct {
	collect.Memory
	world *world
}

func (j *durable) Apply(ctx context.Context, c collect.Changes) error {
	j.world.mu.Lock()
	defer j.world.mu.Unlock()
	return j.Memory.Apply(ctx, c)
}

func clone(t *testing.T, j collect.Journal) *collect.Memory {
	t.Helper()
	ctx := context.Background()
	entries, err := j.Entries(ctx)
	if err != nil {
		t.Fatal(err)
	}
	marks, _ := j.Marks(ctx)
	var m collect.Memory
	if err := m.Apply(ctx, collect.Changes{Put: entries, Marks: &marks}); err != nil {
		t.Fatal(err)
	}
	return &m
}

// world is disk, journal and server at one instant after another.
type world struct {
	mu     sync.Mutex
	states []state
}

type state struct {
	what    string
	fs      *memfs.FS
	journal *collect.Memory
	deleted map[string]bool // by UID, on the server
}

var crashMail = pop3fault.Numbered(12, 400)

// makers are the destinations that live on our file layer.
var makers = map[string]func(fsx.FS) (collect.Destination, error){
	"maildir": func(f fsx.FS) (collect.Destination, error) { return newMaildir("maildir:/m", f, Options{CRLF: true}) },
	"eml":     func(f fsx.FS) (collect.Destination, error) { return newEML("eml:/e", f, Options{CRLF: true}), nil },
}

// filed counts what a destination holds, by content.
func filed(t *testing.T, f fsx.FS) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, dir := range []string{".", "new", "cur"} {
		list, err := f.ReadDir(dir)
		if err != nil {
			continue // eml has no such directories
		}
		for _, e := range list {
			if e.Type == fsx.TypeDir || strings.HasPrefix(e.Name, emlTemp) {
				continue
			}
			data, err := fsx.ReadFile(f, dir+"/"+e.Name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			counts[string(data)]++
		}
	}
	return counts
}

// crashes collects once and returns the world as it could be found after a
// crash in front of each operation on the disk.
func crashes(t *testing.T, maker func(fsx.FS) (collect.Destination, error), journal func(*durable) collect.Journal) []state {
	t.Helper()
	w := &world{}
	disk := memfs.New(memfs.Options{})
	d, err := maker(disk)
	if err != nil {
		t.Fatal(err)
	}
	server, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: crashMail})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	j := &durable{world: w}
	snapshot := func(what string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		gone := make(map[string]bool)
		for _, r := range server.Records() {
			gone[r.UID] = r.Deleted
		}
		for name, loss := range map[string]memfs.Loss{
			"all lost": memfs.LoseAll(), "killed": memfs.KeepAll(), "torn": memfs.Torn(uint64(len(w.states))),
		} {
			w.states = append(w.states, state{what + ", " + name, disk.Crash(loss), clone(t, &j.Memory), gone})
		}
	}
	disk.Before(func(op memfs.Op) {
		if op.Kind.Changes() {
			snapshot(fmt.Sprintf("before operation %d, %s %s %s", op.N, op.Kind, op.Name, op.To))
		}
	})
	a := account(server, d)
	a.Keep.Delete = true
	if r := run(t, a, journal(j)); !r.Complete() || r.Deleted != len(crashMail) {
		t.Fatalf("%+v", r)
	}
	snapshot("at the end")
	return w.states
}

// violations goes on from each state as the next run would, and returns what
// of the promise was broken.
func violations(t *testing.T, maker func(fsx.FS) (collect.Destination, error), states []state) (list []string) {
	t.Helper()
	for _, s := range states {
		var left []pop3fault.Message
		for _, m := range crashMail {
			if !s.deleted[m.UID] {
				left = append(left, m)
			}
		}
		// An empty list would stand for the default.
		server, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: append(left, pop3fault.Generated(99, 300))})
		if err != nil {
			t.Fatal(err)
		}
		d, err := maker(s.fs)
		if err != nil {
			t.Fatal(err)
		}
		a := account(server, d)
		a.Options = pop3client.Options{Dialer: server, InsecurePassword: true}
		a.Keep.Delete = true
		report, err := collect.Run(t.Context(), a, s.journal)
		if err != nil || !report.Complete() {
			list = append(list, fmt.Sprintf("%s: the next run: %v, %+v", s.what, err, report))
		}
		counts := filed(t, s.fs.Crash(memfs.LoseAll()))
		for i, m := range crashMail {
			text, err := io.ReadAll(m.Open())
			if err != nil {
				t.Fatal(err)
			}
			if n := counts[string(text)]; n != 1 {
				list = append(list, fmt.Sprintf("%s: message %d is there %d times", s.what, i+1, n))
			}
		}
		server.Close()
	}
	return list
}

func TestCrashAtEveryOperation(t *testing.T) {
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			states := crashes(t, maker, func(j *durable) collect.Journal { return j })
			if len(states) < 100 {
				t.Fatalf("only %d states", len(states))
			}
			for _, v := range violations(t, maker, states) {
				t.Error(v)
			}
		})
	}
}

// lateJournal is wrong on purpose: it answers at once and writes down only
// what the change before said, as if the journal were written after DELE.
type lateJournal struct {
	*durable
	last *collect.Changes
}

func (j *lateJournal) Apply(ctx context.Context, c collect.Changes) error {
	if j.last != nil {
		if err := j.durable.Apply(ctx, *j.last); err != nil {
			return err
		}
	}
	c.Put = append([]collect.Entry(nil), c.Put...)
	for i := range c.Put {
		c.Put[i].Filings = append([]collect.Filing(nil), c.Put[i].Filings...)
	}
	if c.Marks != nil {
		marks := *c.Marks
		c.Marks = &marks
	}
	j.last = &c
	return nil
}

// noDirSync is wrong on purpose: it does not flush directories.
type noDirSync struct{ fsx.FS }

func (noDirSync) SyncDir(string) error { return nil }

// early is wrong on purpose: what was only about to be filed counts as filed.
type early struct{ collect.Destination }

func (early) Recover(_ context.Context, _ string, pending []*collect.Pending) error {
	for _, p := range pending {
		p.Filed = true
	}
	return nil
}

// never is wrong on purpose: it does not look.
type never struct{ collect.Destination }

func (never) Recover(context.Context, string, []*collect.Pending) error { return nil }

func TestWrongOnesAreCaught(t *testing.T) {
	right := makers["maildir"]
	exact := func(j *durable) collect.Journal { return j }
	type maker = func(fsx.FS) (collect.Destination, error)
	for name, wrong := range map[string]struct {
		before, after maker // the crash
		journal       func(*durable) collect.Journal
	}{
		"journal written after DELE": {right, right, func(j *durable) collect.Journal { return &lateJournal{durable: j} }},
		"directory not flushed":      {func(f fsx.FS) (collect.Destination, error) { return right(noDirSync{f}) }, right, exact},
		"about to file counts": {right, func(f fsx.FS) (collect.Destination, error) {
			d, err := right(f)
			return early{d}, err
		}, exact},
		"nobody looks": {right, func(f fsx.FS) (collect.Destination, error) {
			d, err := right(f)
			return never{d}, err
		}, exact},
	} {
		if len(violations(t, wrong.after, crashes(t, wrong.before, wrong.journal))) == 0 {
			t.Errorf("%s: not caught", name)
		}
	}
}
