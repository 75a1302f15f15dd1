// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"context"
	"errors"
	"testing"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// fill delivers n messages to a maildrop.
func (w *world) fill(d *drop, n int) {
	w.Helper()
	for range n {
		w.deliver(w.body("\r\ntext\n"), d)
	}
}

// checkOrder delivers quickly, one after the other, and to two maildrops at
// once: each lists them in order of arrival, after a restart too.
func checkOrder(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	for i := range 100 {
		w.deliver(w.body("\r\ntext"), w.drops[i%2:]...)
	}
	w.check()
	if w.h.Reopen != nil {
		w.reopen()
		w.check()
		w.fill(w.drops[0], 3)
		w.check()
	}
}

// checkUIDs delivers the same mail again and again: each has a UID of its own,
// which stays, and which no later message gets.
func checkUIDs(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	id := w.drops[0].id
	used := make(map[string]bool)
	var list []string
	for round := range 6 {
		for range 3 {
			if err := w.send(maildrop.Envelope{}, []string{"Same: same\n\nmail\n"}, []maildrop.Target{{Maildrop: id}})[0]; err != nil {
				t.Fatalf("Commit: %v", err)
			}
		}
		snap, err := w.store.Open(w.ctx, id, maildrop.Classic)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		if snap.Len() != len(list)+3 {
			t.Fatalf("round %d: %d messages, want %d", round, snap.Len(), len(list)+3)
		}
		var now []string
		for n := 1; n <= snap.Len(); n++ {
			uid := snap.Info(n).UID
			if !pop3.ValidUID(uid) {
				t.Errorf("the UID %q cannot be sent", uid)
			}
			if n <= len(list) && list[n-1] != uid {
				t.Errorf("round %d: message %d has the UID %q, had %q", round, n, uid, list[n-1])
			}
			if n > len(list) && used[uid] {
				t.Errorf("round %d: the new message %d has the UID %q, which another had", round, n, uid)
			}
			used[uid] = true
			now = append(now, uid)
		}
		// The newest and the oldest go, and sometimes all: a store that counts
		// from what is there would start anew.
		remove := []int{snap.Len(), 1}
		if round%3 == 2 {
			remove = numbers(snap.Len())
		}
		if _, err := snap.Remove(w.ctx, remove); err != nil {
			t.Fatalf("Remove: %v", err)
		}
		closeSnapshot(t, snap)
		list = now[1 : len(now)-1]
		if len(remove) > 2 {
			list = nil
		}
		if w.h.Reopen != nil && round%2 == 1 {
			w.reopen()
		}
	}
}

func closeSnapshot(t testing.TB, snap maildrop.Snapshot) {
	t.Helper()
	if err := snap.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// checkSnapshot keeps a session open while mail comes and other views remove:
// it sees none of it.
func checkSnapshot(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 4)
	w.mustAddView(d, "phone", noTime)
	s := w.open(d, maildrop.Classic)
	w.fill(d, 2)
	w.open(d, "phone").remove(1, 3, 5)
	s.readAll()
	w.mustAddView(d, "tablet", noTime)
	w.mustDropView(d, "phone")
	s.readAll()
	if allocs := testing.AllocsPerRun(1000, func() { s.Info(1) }); allocs != 0 {
		t.Errorf("Info allocates %v times a call", allocs)
	}
	for _, n := range []int{-1, 0, s.Len() + 1} {
		mustPanic(t, "Info", n, func() { s.Info(n) })
		mustPanic(t, "Message", n, func() {
			if r, err := s.Message(w.ctx, n); err == nil {
				r.Close()
			}
		})
	}
	s.remove(2)
	w.check()
}

func mustPanic(t testing.TB, what string, n int, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s(%d) did not panic", what, n)
		}
	}()
	f()
}

// checkReaders reads the messages of one session in several streams at once,
// leaves one half read, and cancels one.
func checkReaders(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 2)
	s := w.open(d, maildrop.Classic)
	one, err := s.Message(w.ctx, 1)
	if err != nil {
		t.Fatalf("Message: %v", err)
	}
	first := make([]byte, 5)
	if n, err := one.Read(first); n == 0 || string(first[:n]) != s.list[0].data[:n] {
		t.Errorf("the first Read gave %q, %v", first[:n], err)
	}
	s.readAll()
	if err := one.Close(); err != nil {
		t.Errorf("Close of a stream half read: %v", err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if data, err := readMessage(ctx, s, 1); err == nil && data != s.list[0].data {
		t.Errorf("with a context that has ended the stream gave %s and no error", quote(data))
	}
	s.readAll()
	s.close()
	if snap, err := w.store.Open(ctx, d.id, maildrop.Classic); err == nil {
		closeSnapshot(t, snap)
	}
	w.check() // an Open that failed holds nothing
}

// checkInUse opens views that are open.
func checkInUse(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	d, other := w.drops[0], w.drops[1]
	w.fill(d, 2)
	w.mustAddView(d, "phone", noTime)
	inUse := func(when string) {
		t.Helper()
		if snap, err := w.store.Open(w.ctx, d.id, maildrop.Classic); !errors.Is(err, maildrop.ErrInUse) {
			t.Errorf("Open %s: answered %v, want ErrInUse", when, err)
			if err == nil {
				closeSnapshot(t, snap)
			}
		}
	}
	s := w.open(d, maildrop.Classic)
	inUse("while the view is open")
	phone := w.open(d, "phone") // another view of the same maildrop is free
	elsewhere := w.open(other, maildrop.Classic)
	elsewhere.close()
	phone.close()
	inUse("after another view was closed")
	if _, err := s.tryRemove(1); err != nil {
		t.Errorf("Remove: %v", err)
	}
	inUse("between Remove and Close")
	s.close()
	s.close() // it may be called twice
	next := w.open(d, maildrop.Classic)
	s.close()
	s.Revoke()
	inUse("after the earlier session was closed and revoked once more")
	select {
	case <-next.Revoked():
		t.Errorf("revoking a session that was closed took the view from the next one")
	default:
	}
	next.remove(1)
	w.check()
}

// checkClosed asks a closed snapshot.
func checkClosed(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 2)
	s := w.open(d, maildrop.Classic)
	s.close()
	if _, err := s.Message(w.ctx, 1); !errors.Is(err, maildrop.ErrClosed) {
		t.Errorf("Message of a closed session: %v, want ErrClosed", err)
	}
	if _, err := s.tryRemove(1, 2); !errors.Is(err, maildrop.ErrClosed) {
		t.Errorf("Remove of a closed session: %v, want ErrClosed", err)
	}
	w.check()
}

// checkTokens opens a view again and again; open holds each token against the
// one before, over a restart too.
func checkTokens(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.mustAddView(d, "phone", noTime)
	w.fill(d, 1)
	for i := range 6 {
		for _, name := range []maildrop.View{maildrop.Classic, "phone"} {
			s := w.open(d, name)
			if i%2 == 0 {
				s.Revoke()
			}
			s.close()
		}
		if w.h.Reopen != nil && i == 3 {
			w.reopen()
		}
	}
}

// checkRevoke takes a view away from a session.
func checkRevoke(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 3)
	s := w.open(d, maildrop.Classic)
	select {
	case <-s.Revoked():
		t.Errorf("the session is revoked from the start")
	default:
	}
	s.Revoke()
	s.Revoke()
	select {
	case <-s.Revoked():
	default:
		t.Errorf("Revoked is not closed when Revoke has returned")
	}
	next := w.open(d, maildrop.Classic)
	if outcomes, err := s.tryRemove(1, 3); !errors.Is(err, maildrop.ErrRevoked) {
		t.Errorf("Remove with a stale token: %v, %v; want ErrRevoked", outcomes, err)
	}
	s.close()
	if snap, err := w.store.Open(w.ctx, d.id, maildrop.Classic); !errors.Is(err, maildrop.ErrInUse) {
		t.Errorf("Close of a revoked session gave the view of the next one away: Open answered %v", err)
		if err == nil {
			closeSnapshot(t, snap)
		}
	}
	next.readAll()
	next.remove(2)
	w.check()
	// A session that was closed removes nothing, whoever asks.
	w.open(d, maildrop.Classic).close()
	w.check()
}
