// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"errors"
	"testing"
	"time"

	"restante.example/maildrop"
)

func (w *world) mustAddView(d *drop, name maildrop.View, since time.Time) {
	w.Helper()
	if err := w.addView(d, name, since); err != nil {
		w.Fatalf("AddView %q of %s: %v", name, d.id, err)
	}
}

func (w *world) mustDropView(d *drop, name maildrop.View) {
	w.Helper()
	if err := w.dropView(d, name); err != nil {
		w.Fatalf("DropView %q of %s: %v", name, d.id, err)
	}
}

// checkViews lets three devices remove for themselves: a message leaves the
// store when the last of them has removed it.
func checkViews(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	d := w.drops[0]
	w.fill(d, 4)
	w.fill(w.drops[1], 1)
	w.mustAddView(d, "phone", noTime)
	w.mustAddView(d, "a-tablet-0", noTime)
	if err := w.addView(d, "phone", noTime); !errors.Is(err, maildrop.ErrViewExists) {
		t.Errorf("AddView of a view that is there: %v, want ErrViewExists", err)
	}
	w.check() // Views in order of name; the same UIDs and order in each
	w.fill(d, 2)
	w.check()

	phone, classic := w.open(d, "phone"), w.open(d, maildrop.Classic)
	phone.readAll()
	phone.remove(1, 2, 6)
	classic.readAll()
	classic.remove(2, 3)
	w.check()
	w.open(d, "a-tablet-0").remove(2, 3) // 2 leaves the store, 3 does not
	w.check()
	if w.h.Reopen != nil {
		w.reopen()
		w.check()
	}
	// What is still there for any view is there for a new one.
	w.mustAddView(d, "new", noTime)
	w.check()

	// A dropped view holds nothing back.
	w.mustDropView(d, maildrop.Classic)
	w.check()
	w.mustDropView(d, "new")
	w.mustDropView(d, "a-tablet-0")
	w.check()
	if err := w.dropView(d, "phone"); err == nil {
		t.Errorf("DropView of the last view answered no error")
	}
	if _, err := w.store.Open(w.ctx, d.id, maildrop.Classic); !errors.Is(err, maildrop.ErrNoView) {
		t.Errorf("Open of a dropped view: %v, want ErrNoView", err)
	}
	if err := w.dropView(d, maildrop.Classic); !errors.Is(err, maildrop.ErrNoView) {
		t.Errorf("DropView of a dropped view: %v, want ErrNoView", err)
	}
	w.check()
	if w.h.Reopen != nil {
		w.reopen()
		w.check()
	}
	// The name can be used again; the view of before is forgotten.
	w.fill(d, 1)
	w.mustAddView(d, maildrop.Classic, noTime)
	w.open(d, "phone").remove(1)
	w.check()
}

// checkViewSince adds views that start at a time.
func checkViewSince(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	for range 4 {
		w.fill(d, 1)
		if w.h.Advance != nil {
			w.h.Advance(10 * time.Second)
		}
	}
	w.check() // the times of arrival are known now
	for i, name := range []maildrop.View{"from-1", "from-2", "from-3", "from-4"} {
		w.mustAddView(d, name, d.letters[i].info.Arrived)
	}
	w.mustAddView(d, "all", d.letters[0].info.Arrived.Add(-time.Hour))
	if w.h.Advance != nil {
		// By its clock, the store is ten seconds past the last arrival.
		w.mustAddView(d, "none", d.letters[3].info.Arrived.Add(time.Second))
	}
	w.check()
	// What arrives after AddView is in each view.
	w.fill(d, 1)
	w.open(d, maildrop.Classic).remove(1, 5)
	w.check()
	if w.h.Reopen != nil {
		w.reopen()
		w.check()
		w.fill(d, 1)
		w.check()
	}
}

// checkDropOpenView drops a view that is open: its session is over when
// DropView returns, and removes nothing.
func checkDropOpenView(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 2)
	w.mustAddView(d, "phone", noTime)
	s := w.open(d, "phone")
	w.mustDropView(d, "phone")
	select {
	case <-s.Revoked():
	default:
		t.Errorf("DropView returned and the open session is not revoked")
	}
	if _, err := s.tryRemove(1); !errors.Is(err, maildrop.ErrRevoked) {
		t.Errorf("Remove from a dropped view: %v, want ErrRevoked", err)
	}
	w.mustAddView(d, "phone", noTime)
	next := w.open(d, "phone")
	s.close()
	next.readAll()
	next.remove(1)
	w.check()
	// The view that cannot be dropped is not taken from its session either.
	w.mustDropView(d, "phone")
	last := w.open(d, maildrop.Classic)
	if err := w.dropView(d, maildrop.Classic); err == nil {
		t.Errorf("DropView of the last view answered no error")
	}
	last.remove(1)
	w.check()
}
