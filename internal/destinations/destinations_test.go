// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/collect"
	"restante.example/internal/fsx/memfs"
)

func TestForms(t *testing.T) {
	for _, good := range []string{"maildir:/x", "maildir:~/Mail", "mbox:x", "eml:C:\\Mail", "pipe:procmail -d x", "lmtp:localhost:24", "lmtp:[::1]:24", "lmtp:unix:/run/x"} {
		if err := Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "maildir", "maildir:", "/x", "imap:x", "lmtp:x", "lmtp::24", "lmtp:x:0", "lmtp:x:y", "lmtp:unix:", "MAILDIR:x"} {
		if err := Check(bad); !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := Open("lmtp:localhost:24", Options{Recipient: "a>\r\nQUIT"}); err == nil {
		t.Error("a recipient with a line end")
	}
}

func TestMaildir(t *testing.T) {
	for _, crlf := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "deep", "Maildir")
		d := openAt(t, "maildir:"+dir, Options{CRLF: crlf})
		var j collect.Memory
		s := serve(t)
		a := account(s, d)
		a.Keep.Delete = true
		if r := run(t, a, &j); !r.Complete() || r.Deleted != len(letters()) {
			t.Errorf("%+v", r)
		}
		expect(t, filesIn(t, filepath.Join(dir, "new")), wanted(t, crlf))
		if left := filesIn(t, filepath.Join(dir, "tmp")); len(left) > 0 {
			t.Errorf("%d files in tmp", len(left))
		}
		list, _ := os.ReadDir(filepath.Join(dir, "new"))
		for _, e := range list {
			if strings.ContainsAny(e.Name(), ":;!/\\") || !strings.Contains(e.Name(), ",S=") {
				t.Errorf("name %s", e.Name())
			}
			if info, err := e.Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
	}
}

func TestMaildirRecover(t *testing.T) {
	dir := t.TempDir()
	d := openAt(t, "maildir:"+dir, Options{})
	var items []*collect.Item
	for n := range 5 {
		items = append(items, item(t, d, fmt.Sprint(n), fmt.Sprintf("Subject: %d\r\n\r\n", n)))
	}
	d.Prepare(t.Context(), items)
	d.File(t.Context(), items[:4])
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	flags := ":2,S"
	if runtime.GOOS == "windows" {
		flags = ";2,S"
	}
	move("new/"+items[1].Name, "cur/"+items[1].Name+flags)
	move("new/"+items[2].Name, "cur/"+items[2].Name)
	if err := os.Remove(filepath.Join(dir, "new", items[3].Name)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "of.another.program"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The process ended before it filed the last one.
	ours := fmt.Sprintf("P%dQ", os.Getpid())
	name := items[4].Staged.(*stagedFile).name
	move("tmp/"+name, "tmp/"+strings.Replace(name, ours, "P999999999Q", 1))
	var pending []*collect.Pending
	for _, it := range items {
		pending = append(pending, &collect.Pending{Name: it.Name})
	}
	if err := d.Recover(t.Context(), "a", pending); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, true, false, false} {
		if pending[i].Filed != want {
			t.Errorf("%d: filed %t", i, pending[i].Filed)
		}
	}
	if list, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(list) != 1 {
		t.Errorf("tmp after cleaning: %v", list)
	}
}

// Another restante with a state of its own may be at work for an account of the
// same name: only what nobody writes to any more is cleaned away.
func TestCleaningLeavesTheLivingAlone(t *testing.T) {
	us := fmt.Sprintf("P%dQ", os.Getpid())
	parent := fmt.Sprintf("P%dQ", os.Getppid())
	at := "." + hostName()
	day := 24 * time.Hour
	for _, c := range []struct {
		what     string
		from, to string // replaced in the name
		age      time.Duration
		stays    bool
	}{
		{"of this process", "", "", 0, true},
		{"of this process, and the clock was set ahead", "", "", 400 * day, true},
		{"of a process that lives", us, parent, 35 * time.Hour, true},
		{"of a process that lives, and the clock was set back", us, parent, -35 * time.Hour, true},
		{"of a dead process whose number another has", us, parent, 37 * time.Hour, false},
		{"of a dead process whose number another has, and from the future", us, parent, -37 * time.Hour, false},
		{"of a process that is dead", us, "P999999999Q", 0, false},
		{"of an earlier process with our number", us, us + "0", 0, false},
		{"of another account", us, "P999999999Q", 0, true},
		{"of another machine", at, ".elsewhere", 35 * time.Hour, true},
		{"of another machine, and old", at, ".elsewhere", 37 * time.Hour, false},
		{"of another machine, and from the future", at, ".elsewhere", -37 * time.Hour, false},
		{"of another program", us, "_", 400 * day, true},
	} {
		for name, maker := range makers {
			now := time.Date(2026, 11, 23, 9, 15, 0, 0, time.UTC)
			disk := memfs.New(memfs.Options{Clock: func() time.Time { return now }})
			one, err := maker(disk)
			if err != nil {
				t.Fatal(err)
			}
			two, err := maker(disk)
			if err != nil {
				t.Fatal(err)
			}
			it := item(t, one, strings.Repeat("7", 32), "Subject: x\r\n\r\n")
			f := it.Staged.(*stagedFile)
			left := strings.Replace(f.name, c.from, c.to, 1)
			if left != f.name {
				if err := disk.Rename(f.s.path(f.name), f.s.path(left)); err != nil {
					t.Fatal(err)
				}
			}
			now = now.Add(c.age)
			account := "a"
			if c.what == "of another account" {
				account = "b"
			}
			if err := two.Recover(t.Context(), account, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := disk.Stat(f.s.path(left)); (err == nil) != c.stays {
				t.Errorf("%s, a file %s: %v", name, c.what, err)
			}
			if left == f.name {
				file(t, one, it)
			}
			it.Staged.Discard()
			if held.has(f.name) {
				t.Errorf("%s: %s counts as being written", name, f.name)
			}
		}
	}
}

func TestEML(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "letters")
	d := openAt(t, "eml:"+dir, Options{CRLF: true})
	var j collect.Memory
	a := account(serve(t), d)
	if r := run(t, a, &j); !r.Complete() {
		t.Errorf("%+v", r)
	}
	expect(t, filesIn(t, dir), wanted(t, true))
	list, _ := os.ReadDir(dir)
	portable := regexp.MustCompile(`^\d{4}-\d{2}-\d{2}_\d{6}_[0-9a-f]{16}\.eml$`)
	for _, e := range list {
		if !portable.MatchString(e.Name()) {
			t.Errorf("name %s", e.Name())
		}
	}
	// A name that is taken is never overwritten.
	it := item(t, d, strings.Repeat("7", 32), "Subject: x\r\n\r\n")
	d.Prepare(t.Context(), []*collect.Item{it})
	if err := os.WriteFile(filepath.Join(dir, it.Name), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.File(t.Context(), []*collect.Item{it})
	if data, err := os.ReadFile(filepath.Join(dir, it.Name)); it.Err == nil || err != nil || string(data) != "mine" {
		t.Errorf("%q, %v, %v", data, err, it.Err)
	}
}

func TestMaildirAndMboxTogether(t *testing.T) {
	dir := t.TempDir()
	maildir := openAt(t, "maildir:"+dir+"/m", Options{})
	mbox := openAt(t, "mbox:"+dir+"/mbox", Options{})
	var j collect.Memory
	s := serve(t)
	run(t, account(s, maildir), &j)
	a := account(s, maildir, mbox) // one joins later
	a.Keep.Delete = true
	if r := run(t, a, &j); !r.Complete() {
		t.Errorf("%+v", r)
	}
	expect(t, filesIn(t, dir+"/m/new"), wanted(t, false))
	expect(t, parseMbox(t, dir+"/mbox"), wanted(t, false))
	if i := slices.IndexFunc(s.Records(), func(r recordOf) bool { return !r.Deleted }); i >= 0 {
		t.Errorf("message %d is not deleted", i+1)
	}
}
