// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"errors"
	"slices"
	"testing"

	"restante.example/maildrop"
)

// checkRemove removes messages in any order, none, all; what is removed stays
// removed, and the numbers of the others close up in the next session only.
func checkRemove(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	d := w.drops[0]
	w.fill(d, 6)
	w.fill(w.drops[1], 2)
	for _, remove := range [][]int{{}, {5, 2}, {1}, {3, 1, 2}} {
		s := w.open(d, maildrop.Classic)
		s.readAll()
		outcomes, err := s.tryRemove(remove...)
		if err != nil {
			t.Errorf("Remove %v: %v, %v", remove, outcomes, err)
		}
		s.close()
		w.check()
		if w.h.Reopen != nil {
			w.reopen()
			w.check()
		}
	}
	w.fill(d, 1)
	w.check()
	// A session that ends without Remove removes nothing.
	s := w.open(d, maildrop.Classic)
	s.readAll()
	s.close()
	w.check()
}

// checkRemoveNew removes the messages of a snapshot after others arrived:
// numbers mean what they meant when the session began.
func checkRemoveNew(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 3)
	s := w.open(d, maildrop.Classic)
	w.fill(d, 3)
	s.remove(1, 2, 3)
	w.check()
}

// checkDamage damages stored messages: they are never given to their end and
// never removed, and the others are as ever.
func checkDamage(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	if w.h.Damage == nil {
		t.Skip("the harness cannot damage a message; one with Damage would show this")
	}
	d := w.drops[0]
	w.fill(d, 5)
	w.check()
	for n, cut := range map[int]bool{1: true, 3: false} {
		w.h.Damage(d.id, d.letters[n].info.UID, cut)
		d.letters[n].damaged = true
	}
	remove := func(when string, want error, outcomes []maildrop.Outcome, numbers ...int) {
		t.Helper()
		s := w.open(d, maildrop.Classic)
		s.readAll()
		got, err := s.tryRemove(numbers...)
		if !errors.Is(err, want) || !slices.Equal(got, outcomes) {
			t.Errorf("%s: Remove %v answered %v, %v; want %v, %v", when, numbers, got, err, outcomes, want)
		}
		s.close()
		w.check()
	}
	remove("damaged and whole", maildrop.ErrPartial,
		[]maildrop.Outcome{maildrop.Kept, maildrop.Removed, maildrop.Kept}, 4, 1, 2)
	remove("damaged only", maildrop.ErrPartial,
		[]maildrop.Outcome{maildrop.Kept, maildrop.Kept}, 3, 1)
	if w.h.Reopen != nil {
		w.reopen()
		remove("after a restart", maildrop.ErrPartial,
			[]maildrop.Outcome{maildrop.Kept, maildrop.Removed}, 3, 4)
	}
	w.fill(d, 1)
	w.check()
}

// checkTaken takes a message away behind the store's back.
func checkTaken(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	if w.h.Take == nil {
		t.Skip("no other program can take messages from this store; a harness with Take would show this")
	}
	d := w.drops[0]
	w.fill(d, 4)
	s := w.open(d, maildrop.Classic)
	taken := d.letters[1]
	w.h.Take(d.id, taken.info.UID)
	s.relist() // numbers stay for the session
	if data, err := readMessage(w.ctx, s, 2); err == nil && data != taken.data {
		t.Errorf("a message that was taken away gave %s and no error", quote(data))
	}
	for _, n := range []int{1, 3, 4} {
		s.read(n)
	}
	delete(d.views[maildrop.Classic].holds, taken)
	outcomes, err := s.Remove(w.ctx, []int{1, 2})
	if problem := judge([]int{1, 2}, outcomes, err); problem != "" {
		t.Fatal(problem)
	}
	if outcomes[0] != maildrop.Removed || outcomes[1] == maildrop.Kept {
		t.Errorf("Remove of a message and of one that was taken away: %v, %v", outcomes, err)
	}
	delete(d.views[maildrop.Classic].holds, d.letters[0])
	s.close()
	w.check()
}
