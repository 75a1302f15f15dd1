// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"restante.example/maildrop"
)

// checkTargets delivers one message to several maildrops, some of which refuse
// it: each answer concerns its own target only.
func checkTargets(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 4)
	a, b, full, other := w.drops[0], w.drops[1], w.drops[2], w.drops[3]
	w.deliver(w.body("first"), full)
	body := w.body("\r\nto several")
	targets := []maildrop.Target{
		{Maildrop: a.id, Prefix: []byte("X-For: a\r\n")},
		{Maildrop: full.id, Quota: maildrop.Quota{Messages: 1}},
		{Maildrop: "../evil"},
		{Maildrop: b.id, Prefix: []byte("X-For: b\r\nX-More: 2\r\n")},
		{Maildrop: ""},
		{Maildrop: other.id},
	}
	want := []error{nil, maildrop.ErrQuota, errAny, nil, errAny, nil}
	if w.h.Unknown != "" {
		targets = append(targets, maildrop.Target{Maildrop: w.h.Unknown})
		want = append(want, maildrop.ErrNoMaildrop)
	}
	answers := w.send(maildrop.Envelope{}, []string{body}, targets)
	for i, got := range answers {
		w.wantError(got, want[i], "delivery to %q", targets[i].Maildrop)
		for _, d := range w.drops {
			if d.id == targets[i].Maildrop {
				d.arrive(w.letter(string(targets[i].Prefix), body, maildrop.Envelope{}, got))
			}
		}
	}
	w.check()
}

// errAny stands for any error at all.
var errAny = errors.New("any error")

// wantError checks an answer.
func (w *world) wantError(got, want error, format string, args ...any) {
	w.Helper()
	if want == errAny && got != nil || want != errAny && errors.Is(got, want) {
		return
	}
	w.Errorf("%s: answered %v, want %v", fmt.Sprintf(format, args...), got, want)
}

// checkUnknown asks for maildrops and views that are not there.
func checkUnknown(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	ids := map[maildrop.ID]error{"../evil": errAny, "UPPER": errAny, "": errAny}
	if w.h.Unknown != "" {
		ids[w.h.Unknown] = maildrop.ErrNoMaildrop
	}
	for id, want := range ids {
		_, err := w.store.Open(w.ctx, id, maildrop.Classic)
		w.wantError(err, want, "Open of maildrop %q", id)
		_, err = w.store.Views(w.ctx, id)
		w.wantError(err, want, "Views of maildrop %q", id)
		_, _, err = w.store.Usage(w.ctx, id)
		w.wantError(err, want, "Usage of maildrop %q", id)
		w.wantError(w.store.AddView(w.ctx, id, "phone", noTime), want, "AddView of maildrop %q", id)
		w.wantError(w.store.DropView(w.ctx, id, "phone"), want, "DropView of maildrop %q", id)
	}
	id := w.drops[0].id
	_, err := w.store.Open(w.ctx, id, "phone")
	w.wantError(err, maildrop.ErrNoView, "Open of a view that was never added")
	w.wantError(w.store.DropView(w.ctx, id, "phone"), maildrop.ErrNoView, "DropView of a view that was never added")
	w.wantError(w.store.AddView(w.ctx, id, maildrop.Classic, noTime), maildrop.ErrViewExists, "AddView of the classic view")
	w.wantError(w.store.AddView(w.ctx, id, "../x", noTime), errAny, "AddView with a name that is none")
	w.check() // an empty maildrop is empty, not an error
}

// checkQuota fills maildrops to their limits, to the octet.
func checkQuota(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	byCount, bySize := w.drops[0], w.drops[1]
	put := func(d *drop, body string, q maildrop.Quota, want error) {
		t.Helper()
		target := maildrop.Target{Maildrop: d.id, Prefix: []byte("X: y\r\n"), Quota: q}
		got := w.send(maildrop.Envelope{}, []string{body}, []maildrop.Target{target})[0]
		if !errors.Is(got, want) {
			t.Errorf("delivery with quota %+v: answered %v, want %v", q, got, want)
		}
		d.arrive(w.letter("X: y\r\n", body, maildrop.Envelope{}, got))
	}
	two := maildrop.Quota{Messages: 2}
	put(byCount, w.body("1"), two, nil)
	put(byCount, w.body("2"), two, nil)
	put(byCount, w.body("3"), two, maildrop.ErrQuota)
	w.check()
	w.open(byCount, maildrop.Classic).remove(1)
	put(byCount, w.body("4"), two, nil)
	put(byCount, w.body("5"), two, maildrop.ErrQuota)
	put(byCount, w.body("6"), maildrop.Quota{}, nil)

	first, second := w.body("a\nb"), w.body("c\nd")
	put(bySize, first, maildrop.Quota{}, nil)
	// Quotas count octets as POP3 sends them, prefix included.
	limit := int64(len(WireForm("X: y\r\n", first)) + len(WireForm("X: y\r\n", second)))
	put(bySize, second, maildrop.Quota{Octets: limit - 1}, maildrop.ErrQuota)
	put(bySize, second, maildrop.Quota{Octets: limit}, nil)
	put(bySize, w.body(""), maildrop.Quota{Octets: limit}, maildrop.ErrQuota)
	w.check()
}

// checkQuotaRace lets many deliveries at once compete for the room that a
// quota leaves.
func checkQuotaRace(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	const room = 5
	var bodies []string
	for range 20 {
		bodies = append(bodies, w.body("x"))
	}
	answers := make([]error, len(bodies))
	var group sync.WaitGroup
	for i, body := range bodies {
		group.Go(func() {
			target := maildrop.Target{Maildrop: d.id, Quota: maildrop.Quota{Messages: room}}
			answers[i] = w.send(maildrop.Envelope{}, []string{body}, []maildrop.Target{target})[0]
		})
	}
	group.Wait()
	accepted := 0
	for _, err := range answers {
		if err == nil {
			accepted++
		} else if !errors.Is(err, maildrop.ErrQuota) {
			t.Errorf("a delivery over quota: answered %v, want ErrQuota", err)
		}
	}
	messages, _, err := w.store.Usage(w.ctx, d.id)
	if accepted != room || messages != room || err != nil {
		t.Errorf("quota of %d messages: %d were accepted, %d are there (%v)", room, accepted, messages, err)
	}
}

// checkTransactions retries deliveries that were committed, one after the
// other and at once.
func checkTransactions(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 3)
	a, b, c := w.drops[0], w.drops[1], w.drops[2]
	env := maildrop.Envelope{Transaction: "t1"}
	body := w.body("\r\nonce")
	again := func(drops ...*drop) {
		t.Helper()
		var targets []maildrop.Target
		for _, d := range drops {
			targets = append(targets, maildrop.Target{Maildrop: d.id})
		}
		for i, err := range w.send(env, []string{body}, targets) {
			if err != nil {
				t.Errorf("retry to target %d: %v", i, err)
			}
		}
	}
	w.tryDeliver(env, body, a)
	again(a)
	w.check()
	// One target has it, the other does not yet.
	b.arrive(w.letter("", body, env, nil))
	again(a, b)
	again(b, a)
	w.check()
	// A removed message does not come back.
	w.open(a, maildrop.Classic).remove(1)
	again(a)
	w.check()
	// An aborted delivery committed nothing.
	env.Transaction = "t2"
	body = w.body("\r\nonce more")
	if del, err := w.store.Deliver(w.ctx, env, []maildrop.Target{{Maildrop: c.id}}); err != nil {
		t.Errorf("Deliver: %v", err)
	} else {
		del.Abort()
	}
	w.tryDeliver(env, body, c)
	again(c)
	w.check()

	// All at once.
	env.Transaction = "t3"
	body = w.body("\r\nat once")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { again(a, b, c) })
	}
	group.Wait()
	for _, d := range w.drops {
		d.arrive(w.letter("", body, env, nil))
	}
	w.check()
}

// checkAbort shows that a delivery that was not committed leaves nothing, and
// that an ended one does nothing more.
func checkAbort(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	targets := []maildrop.Target{{Maildrop: w.drops[0].id}, {Maildrop: w.drops[1].id}}
	begin := func() maildrop.Delivery {
		del, err := w.store.Deliver(w.ctx, maildrop.Envelope{}, targets)
		if err != nil {
			t.Fatalf("Deliver: %v", err)
		}
		return del
	}
	write := func(del maildrop.Delivery, text string) {
		if _, err := io.WriteString(del, text); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	ended := func(when string, del maildrop.Delivery) {
		t.Helper()
		if _, err := io.WriteString(del, "more"); !errors.Is(err, maildrop.ErrClosed) {
			t.Errorf("Write after %s: %v, want ErrClosed", when, err)
		}
		for _, err := range del.Commit(w.ctx) {
			if !errors.Is(err, maildrop.ErrClosed) {
				t.Errorf("Commit after %s: %v, want ErrClosed", when, err)
			}
		}
	}
	begin().Abort()
	del := begin()
	write(del, "half a mess")
	w.check() // nothing is seen of it while it comes in
	del.Abort()
	del.Abort()
	ended("Abort", del)
	w.check()

	del = begin()
	body := w.body("kept")
	write(del, body)
	for i, err := range del.Commit(w.ctx) {
		if err != nil {
			t.Errorf("Commit: %v", err)
		}
		w.drops[i].arrive(w.letter("", body, maildrop.Envelope{}, nil))
	}
	del.Abort()
	ended("Commit", del)
	w.check()

	// A context that has ended before Commit: the answers are the truth.
	ctx, cancel := context.WithCancel(w.ctx)
	del = begin()
	body = w.body("late")
	write(del, body)
	cancel()
	for i, err := range del.Commit(ctx) {
		w.drops[i].arrive(w.letter("", body, maildrop.Envelope{}, err))
	}
	del.Abort()
	w.check()
	if w.h.Reopen != nil {
		w.reopen()
		w.check()
	}
}

// checkFull fills the store: deliveries are refused, everything else works on.
func checkFull(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	if w.h.Full == nil {
		t.Skip("the harness cannot fill the store; one with Full would show this")
	}
	d := w.drops[0]
	w.deliver(w.body("1"), d)
	w.deliver(w.body("2"), d)
	w.h.Full(true)
	for _, err := range w.tryDeliver(maildrop.Envelope{}, w.body("3"), d) {
		w.wantError(err, maildrop.ErrNoSpace, "delivery into a full store")
	}
	w.check()
	w.open(d, maildrop.Classic).remove(1)
	w.check()
	w.h.Full(false)
	w.deliver(w.body("4"), d)
	w.check()
}
