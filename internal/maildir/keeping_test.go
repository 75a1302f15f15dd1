// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

// keepingOn is storeOn with rules.
func keepingOn(t testing.TB, f fsx.FS, now func() time.Time, rules *maildrop.Rules) *Store {
	s := storeOn(t, f, now)
	s.opt.Rules = func(context.Context, maildrop.ID) (maildrop.Rules, error) { return *rules, nil }
	return s
}

func heldIn(t testing.TB, s *Store) int {
	t.Helper()
	n, _, err := s.Held(context.Background(), "u")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func heldFiles(t testing.TB, f fsx.FS) int {
	t.Helper()
	names, err := f.ReadDir("mail/u/restante.held")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func undelete(t testing.TB, s *Store, sel maildrop.Selection) []maildrop.Removal {
	t.Helper()
	listed, err := s.Removed(context.Background(), "u", sel)
	if err != nil {
		t.Fatal(err)
	}
	back, err := s.Undelete(context.Background(), "u", sel)
	if err != nil {
		t.Fatal(err)
	}
	for i := range back {
		if back[i].NewUID == "" || i >= len(listed) || listed[i].UID != back[i].UID {
			t.Errorf("%+v was listed, %+v came back", listed, back)
			break
		}
	}
	return back
}

func TestHoldingArea(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		rules := &maildrop.Rules{KeepRemoved: 7 * 24 * time.Hour}
		s := keepingOn(t, f, now, rules)
		for _, text := range []string{"one", "two", "three"} {
			deliver(t, s, text)
		}
		dropFile(t, f, "cur/100.foreign:2,S", "foreign\nmail")
		later(now)
		before := uidsIn(t, s, "")
		equal(t, textsIn(t, s, ""), []string{"foreign\r\nmail\r\n", "one\r\n", "two\r\n", "three\r\n"})
		removeFrom(t, s, "", 1, 2, 3)
		equal(t, textsIn(t, s, ""), []string{"three\r\n"})
		if n, _, err := s.Usage(t.Context(), "u"); n != 1 || err != nil || heldIn(t, s) != 3 || heldFiles(t, f) != 3 {
			t.Errorf("%d messages, %d held, %v", n, heldIn(t, s), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = keepingOn(t, f, now, rules)
		equal(t, textsIn(t, s, ""), []string{"three\r\n"})
		back := undelete(t, s, maildrop.Selection{UID: before[1]})
		if len(back) != 1 || back[0].UID != before[1] || !back[0].Held || back[0].Size != 5 {
			t.Errorf("%+v", back)
		}
		equal(t, textsIn(t, s, ""), []string{"three\r\n", "one\r\n"})
		if got := uidsIn(t, s, ""); got[0] != before[3] || got[1] != back[0].NewUID || slices.Contains(before, got[1]) {
			t.Errorf("UIDs %q, were %q", got, before)
		}
		if back := undelete(t, s, maildrop.Selection{Since: now().Add(time.Hour)}); len(back) != 0 {
			t.Errorf("%+v", back)
		}
		undelete(t, s, maildrop.Selection{})
		all := textsIn(t, s, "")
		slices.Sort(all)
		equal(t, all, []string{"foreign\r\nmail\r\n", "one\r\n", "three\r\n", "two\r\n"})
		if heldIn(t, s) != 0 || heldFiles(t, f) != 0 {
			t.Errorf("%d held, %d files", heldIn(t, s), heldFiles(t, f))
		}
		// And once more, and nothing was doubled by a restart.
		removeFrom(t, s, "", 1, 2, 3, 4)
		undelete(t, s, maildrop.Selection{})
		s = keepingOn(t, f, now, rules)
		all = textsIn(t, s, "")
		slices.Sort(all)
		equal(t, all, []string{"foreign\r\nmail\r\n", "one\r\n", "three\r\n", "two\r\n"})
	})
}

// What one device removed comes back for it under a new UID, and for nobody
// else; what all removed comes back for one, or for all.
func TestUndeleteForViews(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	rules := &maildrop.Rules{KeepRemoved: time.Hour}
	s := keepingOn(t, f, c.Now, rules)
	for _, text := range []string{"one", "two", "three"} {
		deliver(t, s, text)
	}
	addView(t, s, "phone", time.Time{})
	before := uidsIn(t, s, "")
	removeFrom(t, s, "phone", 1, 2)
	c.add(10 * time.Minute)
	removeFrom(t, s, "", 2)
	phone, classic := maildrop.View("phone"), maildrop.Classic
	if back := undelete(t, s, maildrop.Selection{View: &classic, Since: c.Now(), UID: before[0]}); len(back) != 0 {
		t.Errorf("the classic view has not removed it: %+v", back)
	}
	back := undelete(t, s, maildrop.Selection{View: &phone})
	if len(back) != 2 || back[0].UID != before[0] || back[0].Held || back[1].UID != before[1] || !back[1].Held {
		t.Errorf("%+v", back)
	}
	for _, s := range []*Store{s, keepingOn(t, f, c.Now, rules), keepingOn(t, f.Crash(memfs.LoseAll()), c.Now, rules)} {
		equal(t, textsIn(t, s, "phone"), []string{"one\r\n", "three\r\n", "two\r\n"})
		equal(t, uidsIn(t, s, "phone"), []string{back[0].NewUID, before[2], back[1].NewUID})
		equal(t, uidsIn(t, s, ""), []string{before[0], before[2]})
	}
	none := maildrop.View("none")
	if _, err := s.Undelete(t.Context(), "u", maildrop.Selection{View: &none}); !errors.Is(err, maildrop.ErrNoView) {
		t.Errorf("a view that is not there: %v", err)
	}
	// A compaction right after forgets nothing of it.
	if err := s.with(t.Context(), "u", func(d *drop) error { d.prune(); return d.jr.Rewrite(d.dec.records()) }); err != nil {
		t.Fatal(err)
	}
	equal(t, uidsIn(t, keepingOn(t, f, c.Now, rules), ""), []string{before[0], before[2]})
}

// The holding area is emptied in time, also of a maildrop that nobody uses,
// and when the disk is full, the oldest first.
func TestHoldingAreaIsEmptied(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	rules := &maildrop.Rules{KeepRemoved: 24 * time.Hour}
	s := keepingOn(t, f, c.Now, rules)
	fill := func() {
		t.Helper()
		for _, text := range []string{"one", "two", "three"} {
			deliver(t, s, text+strings.Repeat(".", 50_000))
			removeFrom(t, s, "", 1)
			c.add(8 * time.Hour)
		}
	}
	fill()
	sweep := func(ids ...maildrop.ID) {
		t.Helper()
		if err := s.Sweep(t.Context(), slices.Values(ids)); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	if heldIn(t, s) != 2 || heldFiles(t, f) != 2 {
		t.Errorf("%d held, %d files", heldIn(t, s), heldFiles(t, f))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = keepingOn(t, f, c.Now, rules)
	c.add(8 * time.Hour)
	sweep("u", "v")
	if heldFiles(t, f) != 1 {
		t.Errorf("%d files", heldFiles(t, f))
	}
	// A file that nothing speaks of goes as well, in its time.
	if err := f.Link("mail/u/restante.held/"+first(t, f), "mail/u/restante.held/orphan"); err != nil {
		t.Fatal(err)
	}
	c.add(25 * time.Hour)
	sweep("u")
	if heldFiles(t, f) != 0 || heldIn(t, s) != 0 {
		t.Errorf("%d files", heldFiles(t, f))
	}

	fill()
	rules.KeepRemoved = 100 * 24 * time.Hour
	space, err := f.Space()
	if err != nil {
		t.Fatal(err)
	}
	s.opt.Reserve = 70_000
	total := space.Total - space.Free + 10_000 // 60,000 octets are missing
	f.SetTotal(total)
	f.Before(func(op memfs.Op) {
		if op.Kind == memfs.Remove && strings.Contains(op.Name, "restante.held") {
			total += 50_005 // What is removed from memory stays there for crashes.
			f.SetTotal(total)
		}
	})
	sweep()
	f.Before(nil)
	if list, err := s.Removed(t.Context(), "u", maildrop.Selection{}); err != nil || len(list) != 1 || list[0].Size != 50_007 {
		t.Errorf("%+v, %v", list, err)
	}
	// Switched off, what is left goes.
	rules.KeepRemoved = 0
	sweep()
	erased := 0
	for _, line := range trailOf(t, s, maildrop.EventFilter{}) {
		if strings.Contains(line, string(maildrop.EventErased)) {
			erased++
		}
	}
	if erased != 6 {
		t.Errorf("%d messages are said to be erased", erased)
	}
	if heldIn(t, s) != 0 {
		t.Errorf("%d held", heldIn(t, s))
	}
}

func first(t testing.TB, f fsx.FS) string {
	t.Helper()
	names, err := f.ReadDir("mail/u/restante.held")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	return names[0].Name
}

// Mail and state may be in different places.
func TestHoldingAreaElsewhere(t *testing.T) {
	c := newClock()
	mail, state := memfs.New(memfs.Options{Clock: c.Now}), memfs.New(memfs.Options{Clock: c.Now})
	rules := maildrop.Rules{KeepRemoved: time.Hour}
	open := func() *Store {
		s := keepingOn(t, mail, c.Now, &rules)
		s.opt.Locate = func(context.Context, maildrop.ID) (Place, error) {
			return Place{Mail: mail, Maildir: "Maildir", State: state, StateDir: "state/u"}, nil
		}
		return s
	}
	s := open()
	deliver(t, s, "one")
	deliver(t, s, "two")
	removeFrom(t, s, "", 1)
	mail, state = mail.Crash(memfs.LoseAll()), state.Crash(memfs.LoseAll())
	s = open()
	equal(t, textsIn(t, s, ""), []string{"two\r\n"})
	undelete(t, s, maildrop.Selection{})
	mail, state = mail.Crash(memfs.LoseAll()), state.Crash(memfs.LoseAll())
	s = open()
	equal(t, textsIn(t, s, ""), []string{"two\r\n", "one\r\n"})
	if heldIn(t, s) != 0 {
		t.Errorf("%d held", heldIn(t, s))
	}
}

func TestRetention(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	rules := &maildrop.Rules{}
	s := keepingOn(t, f, c.Now, rules)
	addView(t, s, "phone", time.Time{})
	for i := range 10 {
		deliver(t, s, fmt.Sprint(i)) // 3 octets each
		c.add(time.Hour)
	}
	sn := openView(t, s, "phone")
	defer sn.Close()
	sweep := func(r maildrop.Rules, want int) {
		t.Helper()
		*rules = r
		if err := s.Sweep(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, view := range []maildrop.View{"", "phone"} {
			u, err := s.UsageOf(t.Context(), "u", view)
			if u.Messages != want || err != nil {
				t.Errorf("%+v: %d messages in view %q, want %d, %v", r, u.Messages, view, want, err)
			}
		}
	}
	sweep(maildrop.Rules{}, 10)
	sweep(maildrop.Rules{Age: 9*time.Hour + time.Minute}, 9)
	sweep(maildrop.Rules{Messages: 9}, 9)
	sweep(maildrop.Rules{Messages: 8}, 8)
	sweep(maildrop.Rules{Octets: 20, KeepRemoved: time.Hour}, 6)
	equal(t, textsIn(t, s, "")[:1], []string{"4\r\n"})
	// The session of before keeps its numbers, and what has gone is gone.
	if sn.Len() != 10 || sn.Octets() != 30 {
		t.Errorf("%d messages, %d octets", sn.Len(), sn.Octets())
	}
	for n := 1; n <= 10; n++ {
		_, err := sn.Message(t.Context(), n)
		if gone := n <= 4; gone != errors.Is(err, maildrop.ErrGone) || !gone && err != nil {
			t.Errorf("message %d: %v", n, err)
		}
	}
	if outcomes, err := sn.Remove(t.Context(), []int{1, 2, 10}); err != nil {
		t.Errorf("its QUIT: %v, %v", outcomes, err)
	}
	sn.Close()
	back := undelete(t, s, maildrop.Selection{})
	if len(back) != 3 || !back[0].Held {
		t.Errorf("%+v", back) // two by the rule, and the last for the phone
	}
	if got := textsIn(t, s, "phone"); len(got) != 8 {
		t.Errorf("%q", got)
	}
	// A maildrop that is not in memory keeps its rules too.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = keepingOn(t, f, c.Now, rules)
	c.add(11 * time.Hour)
	*rules = maildrop.Rules{Age: 11 * time.Hour}
	if err := s.Sweep(t.Context(), slices.Values([]maildrop.ID{"u"})); err != nil {
		t.Fatal(err)
	}
	if n, _, err := s.Usage(t.Context(), "u"); n != 0 || err != nil {
		t.Errorf("%d messages, %v", n, err)
	}
}

func trailOf(t testing.TB, s *Store, f maildrop.EventFilter) (trail []string) {
	t.Helper()
	for e, err := range s.Trace(context.Background(), "u", f) {
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %s %s%s", e.At.UTC().Format("15:04"), e.Kind, e.View, e.Origin)
		if e.Remote != "" {
			line += " at " + e.Remote
		}
		if e.Final {
			line += ", the last"
		}
		trail = append(trail, line)
	}
	return trail
}

func TestTrace(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	rules := &maildrop.Rules{KeepRemoved: 24 * time.Hour}
	s := keepingOn(t, f, c.Now, rules)
	addView(t, s, "phone", time.Time{})
	send := func(text string) {
		t.Helper()
		d, err := s.Deliver(t.Context(), maildrop.Envelope{Origin: "mx.example [192.0.2.7]"}, []maildrop.Target{{Maildrop: "u"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(d, text); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Commit(t.Context())...); err != nil {
			t.Fatal(err)
		}
	}
	send("one")
	send("two")
	session := func(view maildrop.View, remote string) {
		t.Helper()
		c.add(time.Minute)
		sn := openView(t, s, view)
		defer sn.Close()
		n := sn.(maildrop.Noter)
		n.NoteRemote(remote)
		n.NoteRetrieved(1)
		if _, err := sn.Remove(t.Context(), []int{1}); err != nil {
			t.Fatal(err)
		}
	}
	uid := uidsIn(t, s, "")[0]
	session("", "192.0.2.1")
	session("phone", "192.0.2.2")
	c.add(time.Minute)
	back := undelete(t, s, maildrop.Selection{UID: uid})
	if len(back) != 1 {
		t.Fatalf("%+v", back)
	}
	want := []string{
		"12:00 arrived mx.example [192.0.2.7]",
		"12:01 retrieved  at 192.0.2.1", "12:01 removed  at 192.0.2.1",
		"12:02 retrieved phone at 192.0.2.2", "12:02 removed phone at 192.0.2.2, the last",
		"12:03 undeleted ",
	}
	equal(t, trailOf(t, s, maildrop.EventFilter{UID: uid}), want)
	equal(t, trailOf(t, s, maildrop.EventFilter{UID: back[0].NewUID}), want)
	if all := trailOf(t, s, maildrop.EventFilter{}); len(all) != 7 {
		t.Errorf("%q", all)
	}
	equal(t, trailOf(t, s, maildrop.EventFilter{Since: c.Now()}), want[5:])
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = keepingOn(t, f, c.Now, rules)
	equal(t, trailOf(t, s, maildrop.EventFilter{UID: uid}), want)

	// A damaged file costs the events behind the damage, and new ones are kept.
	file, err := f.OpenFile("mail/u/restante.trace", 1|1024)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("rubbish")); err != nil {
		t.Fatal(err)
	}
	s = keepingOn(t, f, c.Now, rules)
	session("", "192.0.2.3")
	if all := trailOf(t, s, maildrop.EventFilter{}); len(all) != 9 {
		t.Errorf("%q", all)
	}

	// It ends: by age, also of a maildrop that nobody uses, and by size.
	c.add(keepTrace)
	send("three")
	if err := s.Sweep(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if all := trailOf(t, s, maildrop.EventFilter{}); len(all) != 1 {
		t.Errorf("%q", all)
	}
	sn := openView(t, s, "")
	for range 2 * maxTrace / 60 {
		sn.(maildrop.Noter).NoteRetrieved(1)
	}
	sn.Close()
	for range 2 {
		if err := s.Sweep(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := f.Stat("mail/u/restante.trace"); err != nil || info.Size > maxTrace {
		t.Errorf("%d octets, %v", info.Size, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = keepingOn(t, f, c.Now, rules)
	c.add(keepTrace + time.Hour)
	if err := s.Sweep(t.Context(), slices.Values([]maildrop.ID{"u"})); err != nil {
		t.Fatal(err)
	}
	if all := trailOf(t, s, maildrop.EventFilter{}); len(all) != 0 {
		t.Errorf("%d events are left", len(all))
	}
	rules.Trace = -1
	send("four")
	if all := trailOf(t, s, maildrop.EventFilter{}); len(all) != 0 {
		t.Errorf("%q", all)
	}
}
