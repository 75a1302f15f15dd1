// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"errors"
	"testing"
	"time"

	"restante.example/maildrop"
)

// comesBack reports whether a letter may have a new UID in the view.
func (v *view) comesBack(l *letter) bool {
	_, may := v.renew[l]
	return may
}

// solid reports whether a letter is surely on the disk, because a view surely
// holds it.
func (d *drop) solid(l *letter) bool {
	for _, v := range d.views {
		if v.holds[l] && !v.doubt[l] && !l.doubt {
			return true
		}
	}
	return false
}

// resetView resets a view and notes what it then holds again. A store that
// cannot is left alone.
func (w *world) resetView(d *drop, name maildrop.View, since time.Time) error {
	w.Helper()
	resetter, ok := w.store.(maildrop.ViewResetter)
	if !ok {
		return errors.ErrUnsupported
	}
	err := resetter.ResetView(w.ctx, d.id, name, since)
	v := d.views[name]
	if v == nil {
		if err == nil {
			w.Errorf("ResetView %q of %s, which is not there, answered no error", name, d.id)
		}
		return err
	}
	for _, l := range d.letters {
		// A letter whose time was never seen takes part in resets to the beginning only.
		if !d.held(l) || !since.IsZero() && l.info.Arrived.Before(since) {
			continue
		}
		switch {
		case v.holds[l] && !v.doubt[l]:
			continue
		case v.holds[l]:
			// It may have been removed, and then it has come back.
			v.renew[l] = false
			if err == nil && d.solid(l) {
				delete(v.doubt, l)
			}
			continue
		case v.removed[l]:
			v.renew[l] = true
		}
		sure := err == nil && d.solid(l)
		v.holds[l] = true
		if !sure {
			v.doubt[l] = true
			v.early[l] = !v.removed[l]
		}
		delete(v.removed, l)
	}
	return err
}

func (w *world) mustResetView(d *drop, name maildrop.View, since time.Time) {
	w.Helper()
	if err := w.resetView(d, name, since); err != nil {
		w.Fatalf("ResetView %q of %s: %v", name, d.id, err)
	}
}

// checkResetView lets a view begin anew: it shows what is still there, under
// new UIDs where it had removed it, and the other views do not notice.
func checkResetView(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	if _, ok := w.store.(maildrop.ViewResetter); !ok {
		t.Skip("the store resets no views; a maildrop.ViewResetter would show this")
	}
	d := w.drops[0]
	for range 4 {
		w.fill(d, 1)
		if w.h.Advance != nil {
			w.h.Advance(10 * time.Second)
		}
	}
	w.fill(w.drops[1], 1)
	w.mustAddView(d, "phone", noTime)
	w.check()
	w.open(d, maildrop.Classic).remove(2) // it stays removed there
	for range 2 {
		w.open(d, "phone").remove(1, 3)
		w.check()
		w.mustResetView(d, "phone", noTime)
		w.check()
		if w.h.Reopen != nil {
			w.reopen()
			w.check()
		}
	}
	// What nobody holds does not come back; what came earlier does not either.
	w.open(d, "phone").remove(1, 2, 4)
	w.open(d, maildrop.Classic).remove(1)
	w.mustResetView(d, "phone", d.letters[3].info.Arrived)
	w.check()
	w.mustResetView(d, "phone", noTime)
	w.check()
	// A view that begins later goes back, and has the UIDs of all.
	w.mustAddView(d, "late", d.letters[3].info.Arrived)
	w.mustResetView(d, "late", noTime)
	w.check()
	// A session of before is over when the reset returns.
	s := w.open(d, "phone")
	w.mustResetView(d, "phone", noTime)
	select {
	case <-s.Revoked():
	default:
		t.Errorf("ResetView returned and the open session is not revoked")
	}
	if _, err := s.tryRemove(1); !errors.Is(err, maildrop.ErrRevoked) {
		t.Errorf("Remove from a view that was reset: %v, want ErrRevoked", err)
	}
	s.close()
	w.check()
	if err := w.resetView(d, "none", noTime); !errors.Is(err, maildrop.ErrNoView) {
		t.Errorf("ResetView of a view that is not there: %v, want ErrNoView", err)
	}
}

func (w *walk) randomResetView(d *drop, name maildrop.View) {
	w.Helper()
	w.note("reset view %q of %s", name, d.id)
	there := d.views[name] != nil
	err := w.resetView(d, name, noTime)
	w.note("= %v", err)
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	if !there && !w.struck() && !errors.Is(err, maildrop.ErrNoView) {
		w.Errorf("ResetView of a view that is not there: %v, want ErrNoView", err)
	}
	if there && w.must(err, "ResetView %q of %s", name, d.id) {
		if s := w.open[d][name]; s != nil {
			s.close()
			delete(w.open[d], name)
		}
	}
}
