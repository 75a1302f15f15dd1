// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
	"restante.example/pop3"
)

const root = "mail/u/Maildir/"

// later lets the clock of a test's file system go on, so that what was changed
// before is no longer of this instant.
func later(now func() time.Time) {
	for end := now().Add(2 * tick); now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func TestOtherWriters(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		lf := "Subject: x\n\n.\nno end"
		crlf := "Subject: x\r\n\r\n.\r\nno end\r\n"
		n := len(lf)
		for name, text := range map[string]string{
			"new/100.a.host":     lf,
			"cur/101.b.host:2,S": lf,
			fmt.Sprintf("cur/102.c.host,S=%d,W=%d:2,", n, n+3):                       lf, // Dovecot's W= knows of no final CRLF
			"new/103.d.host,S=5,W=6":                                                 lf, // wrong
			fmt.Sprintf("new/104.e.host,S=%d,W=1", n):                                lf, // wrong
			"new/105.f.host,S=x,W=-1":                                                lf,
			fmt.Sprintf("new/106.g.host,S=%d,W=%d,C=00000000", len(crlf), len(crlf)): crlf, // C= is only ours
			"new/with blank":                                                         crlf,
			"new/" + "\xff\x01:2,S":                                                  crlf,
			"new/" + strings.Repeat("long", 30) + ".host":                            crlf,
			"new/,S=3":      "abc",
			"new/.dot":      "not a message",
			"cur/.dot:2,S":  "not a message",
			"new/108.empty": "",
			"new/109.cr":    "a\r\rb\n\r\nc\r",
		} {
			dropFile(t, f, name, text)
		}
		if err := f.Mkdir(root + "new/directory"); err != nil {
			t.Fatal(err)
		}
		if m, ok := f.(*memfs.FS); ok {
			if err := m.Special(root + "new/110.link"); err != nil {
				t.Fatal(err)
			}
		}
		later(now)
		s := storeOn(t, f, now)
		got := texts(t, s)
		want := []string{crlf, crlf, crlf, crlf, crlf, crlf, crlf, "", "a\r\rb\r\n\r\nc\r\r\n"}
		equal(t, got[:9], want)
		rest := got[9:] // Without a time in the name: that of the file.
		slices.Sort(rest)
		equal(t, rest, []string{crlf, crlf, crlf, "abc\r\n"})
		sn := openView(t, s, "")
		first := uids(sn)
		for _, uid := range first {
			if !pop3.ValidUID(uid) {
				t.Errorf("%q is not a UID", uid)
			}
		}
		equal(t, first[:3], []string{"100.a.host", "101.b.host", "102.c.host"})

		// In mid-session another program sets flags and moves: all is found.
		for from, to := range map[string]string{
			"new/100.a.host":     "cur/100.a.host:2,RS",
			"cur/101.b.host:2,S": "cur/101.b.host:2,ST",
			"new/with blank":     "cur/with blank:2,",
		} {
			if err := f.Rename(root+from, root+to); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Remove(root + "new/105.f.host,S=x,W=-1"); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= sn.Len(); n++ {
			_, err := readAll(sn, n)
			if gone := sn.Info(n).UID == "105.f.host"; gone != errors.Is(err, maildrop.ErrGone) || !gone && err != nil {
				t.Errorf("%s after the renames: %v", sn.Info(n).UID, err)
			}
		}
		outcomes, err := sn.Remove(context.Background(), []int{1, 6})
		if err != nil {
			t.Errorf("removing what was renamed and what is gone: %v, %v", outcomes, err)
		}
		sn.Close()
		if _, err := f.Stat(root + "cur/100.a.host:2,RS"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the renamed file is there still: %v", err)
		}
		// And the UIDs are the same for the next session, and for one after a
		// restart without our files.
		sn = openView(t, s, "")
		second := uids(sn)
		equal(t, second, slices.DeleteFunc(slices.Clone(first), func(u string) bool { return u == "100.a.host" || u == "105.f.host" }))
		sn.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"mail/u/restante.index", "mail/u/restante.journal"} {
			if err := f.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		sn = openView(t, storeOn(t, f, now), "")
		equal(t, uids(sn), second)
	})
}

// A symbolic link is not a message, wherever it leads.
func TestSymbolicLinks(t *testing.T) {
	dir := t.TempDir()
	f, err := fsx.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// With these names nothing but the size of the file is known.
	dropFile(t, f, "new/1.a,S=6,W=6", "mine\r\n")
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secre\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"2.in": "1.a,S=6,W=6", "3.out": "/etc/passwd", "4.near": "../../../../secret"} {
		if err := os.Symlink(to, filepath.Join(dir, root, "new", name)); err != nil {
			t.Skipf("this system makes no symbolic links (%v); Linux runs this", err)
		}
	}
	s := storeOn(t, f, time.Now)
	equal(t, texts(t, s), []string{"mine\r\n"})
	// And a file that becomes a link while a session is open is not followed.
	sn := openView(t, s, "")
	defer sn.Close()
	if err := os.Remove(filepath.Join(dir, root, "new/1.a,S=6,W=6")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../secret", filepath.Join(dir, root, "new/1.a,S=6,W=6")); err != nil {
		t.Fatal(err)
	}
	if text, err := readAll(sn, 1); err == nil {
		t.Errorf("a link was followed: %q", text)
	}
}

// A poll lists the directories only when something has changed, and own
// deliveries and removals are no reason.
func TestWhenDirectoriesAreListed(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	deliver(t, s, "one")
	dropFile(t, f, "new/100.b", "two")
	listings := 0
	f.Before(func(op memfs.Op) {
		if op.Kind == memfs.ReadDir && op.Name != root+"tmp" {
			listings++
		}
	})
	poll := func(want int, why string) {
		t.Helper()
		before := listings
		sn := openView(t, s, "")
		defer sn.Close()
		if listed := listings > before; listed != (want > 0) {
			t.Errorf("%s: %d listings", why, listings-before)
		}
	}
	c.add(time.Second)
	poll(1, "the first session")
	poll(0, "nothing happened")
	deliver(t, s, "three")
	poll(0, "after our own delivery")
	sn := openView(t, s, "")
	if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	poll(0, "after our own removal")
	dropFile(t, f, "new/101.c", "four")
	poll(1, "after another's delivery")
	poll(1, "it was of the same instant")
	c.add(time.Second)
	poll(1, "once more, as the last look was in the tick of the change")
	poll(0, "and now it is sure")
	if err := f.Rename(root+"new/101.c", root+"cur/101.c:2,S"); err != nil {
		t.Fatal(err)
	}
	c.add(time.Second)
	poll(1, "after a rename")
	c.add(11 * time.Minute)
	poll(1, "after ten minutes")
	poll(0, "and then no more")
	c.add(11 * time.Minute)
	if err := s.Sweep(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	poll(0, "after a sweep")
}

// A change in the same tick as our own is found by the scan every ten minutes.
func TestSameTick(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now, Tick: time.Hour})
	s := storeOn(t, f, c.Now)
	deliver(t, s, "one")
	c.add(3 * time.Second)
	equal(t, texts(t, s), []string{"one\r\n"})
	dropFile(t, f, "new/100.b", "two")
	c.add(11 * time.Minute)
	equal(t, texts(t, s), []string{"two\r\n", "one\r\n"})
}

// Two files with one base are two messages with UIDs of their own, for ever.
func TestTwins(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		dropFile(t, f, "new/100.a", "first")
		later(now)
		s := storeOn(t, f, now)
		equal(t, texts(t, s), []string{"first\r\n"})
		dropFile(t, f, "cur/100.a:2,S", "the second")
		later(now)
		sn := openView(t, s, "")
		before := map[string]string{}
		for n := 1; n <= sn.Len(); n++ {
			text, err := readAll(sn, n)
			if err != nil {
				t.Fatal(err)
			}
			before[sn.Info(n).UID] = text
		}
		sn.Close()
		if len(before) != 2 || before["100.a"] != "first\r\n" {
			t.Fatalf("%q", before)
		}
		check := func(s *Store, want int) {
			t.Helper()
			sn := openView(t, s, "")
			defer sn.Close()
			for n := 1; n <= sn.Len(); n++ {
				if text, err := readAll(sn, n); err != nil || before[sn.Info(n).UID] != text {
					t.Errorf("%s is %q, was %q, %v", sn.Info(n).UID, text, before[sn.Info(n).UID], err)
				}
			}
			if sn.Len() != want {
				t.Errorf("%d messages, want %d", sn.Len(), want)
			}
		}
		check(s, 2)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// They swap directories and flags.
		for _, r := range [][2]string{{"new/100.a", "tmp/x"}, {"cur/100.a:2,S", "new/100.a"}, {"tmp/x", "cur/100.a:2,RS"}} {
			if err := f.Rename(root+r[0], root+r[1]); err != nil {
				t.Fatal(err)
			}
		}
		s = storeOn(t, f, now)
		check(s, 2)
		// One goes; the other keeps its own.
		if err := f.Remove(root + "cur/100.a:2,RS"); err != nil {
			t.Fatal(err)
		}
		later(now)
		check(s, 1)
		check(storeOn(t, f, now), 1)
		// Two names of one file are one message.
		if err := f.Link(root+"new/100.a", root+"cur/100.a:2,F"); err != nil {
			t.Fatal(err)
		}
		later(now)
		check(s, 1)
	})
}

// A removed message that its owner puts back from a backup is there again.
func TestPutBack(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		s := storeOn(t, f, now)
		deliver(t, s, "one")
		deliver(t, s, "two")
		sn := openView(t, s, "")
		uid := sn.Info(1).UID
		name, err := find(f, "u", uid)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
			t.Fatal(err)
		}
		sn.Close()
		equal(t, texts(t, s), []string{"two\r\n"})
		// A change in the tick of our own would wait for the full scan.
		later(now)
		// A file that stands between keeps the inode from being used again.
		dropFile(t, f, "tmp/other", "x")
		dropFile(t, f, strings.TrimPrefix(name, root), "one\r\n")
		later(now)
		equal(t, texts(t, s), []string{"one\r\n", "two\r\n"})
		sn = openView(t, s, "")
		if sn.Info(1).UID != uid {
			t.Errorf("it has the UID %s, had %s", sn.Info(1).UID, uid)
		}
		sn.Close()
		equal(t, texts(t, storeOn(t, f, now)), []string{"one\r\n", "two\r\n"})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		equal(t, texts(t, storeOn(t, f, now)), []string{"one\r\n", "two\r\n"})
	})
}

// The same file may come back, from a backup that is made of links: it is not
// taken for one that is still to go, now or after a crash.
func TestLinkedBack(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	deliver(t, s, "one")
	sn := openView(t, s, "")
	name, err := find(f, "u", sn.Info(1).UID)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Link(name, "backup"); err != nil {
		t.Fatal(err)
	}
	if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	if err := f.Link("backup", name); err != nil {
		t.Fatal(err)
	}
	if err := f.SyncDir(root + "new"); err != nil {
		t.Fatal(err)
	}
	c.add(time.Second)
	equal(t, texts(t, s), []string{"one\r\n"})
	equal(t, texts(t, storeOn(t, f.Crash(memfs.LoseAll()), c.Now)), []string{"one\r\n"})
	equal(t, texts(t, storeOn(t, f.Crash(memfs.KeepAll()), c.Now)), []string{"one\r\n"})
}
