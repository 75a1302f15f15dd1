// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

// textsIn returns the messages of a view.
func textsIn(t testing.TB, s *Store, view maildrop.View) (all []string) {
	t.Helper()
	sn := openView(t, s, view)
	defer sn.Close()
	for n := 1; n <= sn.Len(); n++ {
		text, err := readAll(sn, n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

func uidsIn(t testing.TB, s *Store, view maildrop.View) []string {
	t.Helper()
	sn := openView(t, s, view)
	defer sn.Close()
	return uids(sn)
}

func removeFrom(t testing.TB, s *Store, view maildrop.View, numbers ...int) {
	t.Helper()
	sn := openView(t, s, view)
	defer sn.Close()
	if outcomes, err := sn.Remove(context.Background(), numbers); err != nil {
		t.Fatal(outcomes, err)
	}
}

func addView(t testing.TB, s *Store, view maildrop.View, since time.Time) {
	t.Helper()
	if err := s.AddView(context.Background(), "u", view, since); err != nil {
		t.Fatal(err)
	}
}

func TestResetView(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		s := storeOn(t, f, now)
		for _, text := range []string{"one", "two", "three"} {
			deliver(t, s, text)
		}
		addView(t, s, "phone", time.Time{})
		first := uidsIn(t, s, "")
		equal(t, uidsIn(t, s, "phone"), first)
		removeFrom(t, s, "phone", 1, 3)
		open := openView(t, s, "phone")
		if err := s.ResetView(t.Context(), "u", "phone", time.Time{}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-open.Revoked():
		default:
			t.Error("the open session was not revoked")
		}
		if _, err := open.Remove(t.Context(), []int{1}); !errors.Is(err, maildrop.ErrRevoked) {
			t.Errorf("its QUIT: %v", err)
		}
		open.Close()
		check := func(s *Store) (again []string) {
			t.Helper()
			equal(t, textsIn(t, s, "phone"), []string{"one\r\n", "two\r\n", "three\r\n"})
			equal(t, uidsIn(t, s, ""), first)
			again = uidsIn(t, s, "phone")
			if again[1] != first[1] || slices.Contains(first, again[0]) || slices.Contains(first, again[2]) || again[0] == again[2] {
				t.Errorf("the UIDs %q became %q", first, again)
			}
			return again
		}
		second := check(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = storeOn(t, f, now)
		equal(t, check(s), second)
		// A compaction keeps them too.
		err := s.with(t.Context(), "u", func(d *drop) error { return d.jr.Rewrite(d.dec.records()) })
		if err != nil {
			t.Fatal(err)
		}
		s = storeOn(t, f, now)
		equal(t, check(s), second)
		// Once more, and each UID is new once more.
		removeFrom(t, s, "phone", 1, 2, 3)
		if err := s.ResetView(t.Context(), "u", "phone", time.Time{}); err != nil {
			t.Fatal(err)
		}
		for i, uid := range uidsIn(t, s, "phone") {
			if slices.Contains(first, uid) || slices.Contains(second, uid) {
				t.Errorf("message %d has the UID %s again", i+1, uid)
			}
		}
		// What both have removed is gone, and nothing of it stays behind.
		removeFrom(t, s, "", 1, 2, 3)
		removeFrom(t, s, "phone", 1, 2, 3)
		if err := s.Sweep(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		err = s.with(t.Context(), "u", func(d *drop) error {
			if v := d.dec.views["phone"]; len(v.again)+len(v.removed)+len(d.dec.going) > 0 {
				t.Errorf("%+v", v)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ResetView(t.Context(), "u", "watch", time.Time{}); !errors.Is(err, maildrop.ErrNoView) {
			t.Errorf("a view that is not there: %v", err)
		}
	})
}

// A view that began later can go back to an earlier time, and to no more.
func TestResetViewSince(t *testing.T) {
	c := newClock()
	s := storeOn(t, memfs.New(memfs.Options{Clock: c.Now}), c.Now)
	var times []time.Time
	for _, text := range []string{"one", "two", "three", "four"} {
		c.add(time.Hour)
		times = append(times, c.Now())
		deliver(t, s, text)
	}
	addView(t, s, "phone", times[2])
	equal(t, textsIn(t, s, "phone"), []string{"three\r\n", "four\r\n"})
	removeFrom(t, s, "phone", 1, 2)
	if err := s.ResetView(t.Context(), "u", "phone", times[3]); err != nil {
		t.Fatal(err)
	}
	equal(t, textsIn(t, s, "phone"), []string{"four\r\n"})
	if err := s.ResetView(t.Context(), "u", "phone", times[1]); err != nil {
		t.Fatal(err)
	}
	equal(t, textsIn(t, s, "phone"), []string{"two\r\n", "three\r\n", "four\r\n"})
}

// A view that goes further back than all others takes nothing from them.
func TestLateMailStays(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	addView(t, s, "phone", c.Now())
	addView(t, s, "tablet", c.Now().Add(time.Second))
	if err := s.DropView(t.Context(), "u", ""); err != nil {
		t.Fatal(err)
	}
	dropFile(t, f, "new/100.late", "late") // long before either began
	c.add(time.Second)
	equal(t, textsIn(t, s, "phone"), []string{"late\r\n"})
	uid := uidsIn(t, s, "tablet")
	if err := s.ResetView(t.Context(), "u", "phone", time.Time{}); err != nil {
		t.Fatal(err)
	}
	addView(t, s, "watch", time.Time{})
	for _, view := range []maildrop.View{"phone", "tablet", "watch"} {
		equal(t, uidsIn(t, s, view), uid)
	}
	equal(t, uidsIn(t, storeOn(t, f, c.Now), "tablet"), uid)
}

// A silent view holds nothing back, and sees what is still there when its
// device comes again.
func TestSilentView(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		s := storeOn(t, f, now)
		silence := func(view maildrop.View) error { return s.SilenceView(t.Context(), "u", view) }
		for _, text := range []string{"one", "two", "three"} {
			deliver(t, s, text)
		}
		if err := silence(""); !errors.Is(err, maildrop.ErrLastView) {
			t.Errorf("the only view: %v", err)
		}
		addView(t, s, "phone", time.Time{})
		removeFrom(t, s, "", 1)
		open := openView(t, s, "phone")
		if err := silence("phone"); !errors.Is(err, maildrop.ErrInUse) {
			t.Errorf("a view with a session: %v", err)
		}
		open.Close()
		if err := errors.Join(silence("phone"), silence("phone")); err != nil {
			t.Fatal(err)
		}
		usage := func(want int) {
			t.Helper()
			if n, _, err := s.Usage(t.Context(), "u"); n != want || err != nil {
				t.Errorf("%d messages, want %d, %v", n, want, err)
			}
		}
		usage(2) // the first was held by the phone alone
		if err := silence(""); !errors.Is(err, maildrop.ErrLastView) {
			t.Errorf("the last view that is not silent: %v", err)
		}
		removeFrom(t, s, "", 1)
		deliver(t, s, "four")
		usage(2)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = storeOn(t, f, now)
		removeFrom(t, s, "", 1)
		usage(1)
		// It comes again, and holds again.
		equal(t, textsIn(t, s, "phone"), []string{"four\r\n"})
		removeFrom(t, s, "", 1)
		usage(1)
		// The last that is dropped leaves its mail to a silent one.
		deliver(t, s, "five")
		removeFrom(t, s, "phone", 1)
		if err := silence("phone"); err != nil {
			t.Fatal(err)
		}
		removeFrom(t, s, "")
		deliver(t, s, "six")
		removeFrom(t, s, "phone")
		if err := errors.Join(silence("phone"), s.DropView(t.Context(), "u", "")); err != nil {
			t.Fatal(err)
		}
		s = storeOn(t, f, now)
		equal(t, textsIn(t, s, "phone"), []string{"five\r\n", "six\r\n"})
		if err := s.DropView(t.Context(), "u", "phone"); !errors.Is(err, maildrop.ErrLastView) {
			t.Errorf("dropping the last: %v", err)
		}
	})
}
