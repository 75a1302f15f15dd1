// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"restante.example/collect"
)

// parseMbox is a reader of mboxrd that shares nothing with the writer.
func parseMbox(t *testing.T, path string) (list []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile("(?m)^From .*\n")
	quoted := regexp.MustCompile("(?m)^>(>*From )")
	at := from.FindAllStringIndex(string(data), -1)
	if len(at) > 0 && at[0][0] != 0 {
		t.Errorf("%d octets in front of the first message", at[0][0])
	}
	for i, span := range at {
		end := len(data)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		text, ok := strings.CutSuffix(string(data[span[1]:end]), "\n")
		if !ok {
			t.Errorf("message %d has no empty line behind it", i)
		}
		list = append(list, quoted.ReplaceAllString(text, "$1"))
	}
	return list
}

func TestMbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "mbox")
	d := openAt(t, "mbox:"+path, Options{})
	var j collect.Memory
	a := account(serve(t), d)
	a.Keep.Delete = true
	if r := run(t, a, &j); !r.Complete() {
		t.Errorf("%+v", r)
	}
	expect(t, parseMbox(t, path), wanted(t, false))
	if _, err := os.Stat(path + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock is left: %v", err)
	}
}

// What other programs left is not touched, and what comes after it is apart.
func TestMboxBehindOthers(t *testing.T) {
	for _, before := range []string{"", "From x\nA: b\n\nbody\n\n", "From x\nA: b\n\nbody\n", "From x\nA: b\n\nbody"} {
		path := filepath.Join(t.TempDir(), "mbox")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		d := openAt(t, "mbox:"+path, Options{})
		it := item(t, d, "k", "Subject: new\r\n\r\nFrom me")
		file(t, d, it)
		data, _ := os.ReadFile(path)
		rest, ok := strings.CutPrefix(string(data), before)
		if !ok || !strings.HasSuffix(rest, "Subject: new\n\n>From me\n\n") {
			t.Errorf("%q became %q", before, data)
		}
		if n := len(parseMbox(t, path)); n != strings.Count(before, "From x")+1 {
			t.Errorf("%q: %d messages in %q", before, n, data)
		}
	}
}

func file(t *testing.T, d collect.Destination, items ...*collect.Item) {
	t.Helper()
	d.Prepare(t.Context(), items)
	d.File(t.Context(), items)
	for _, it := range items {
		if it.Err != nil {
			t.Fatal(it.Err)
		}
	}
}

// A crash at every octet of an append: what is ours and torn goes, what is
// whole counts, what belongs to others stays.
func TestMboxRecover(t *testing.T) {
	const before = "From x\nA: b\n\nbody\n\n"
	first := "Subject: one\r\n\r\n" + strings.Repeat("one\r\n", 100)
	second := "Subject: two\r\n\r\n" + strings.Repeat("two\r\n", 3)
	prepare := func(path string) (d collect.Destination, names []string, whole string) {
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		d = openAt(t, "mbox:"+path, Options{})
		items := []*collect.Item{item(t, d, "1", first), item(t, d, "2", second)}
		d.Prepare(t.Context(), items)
		names = []string{items[0].Name, items[1].Name} // as the journal has them
		d.File(t.Context(), items)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return d, names, string(data)
	}
	path := filepath.Join(t.TempDir(), "mbox")
	d, names, whole := prepare(path)
	recover := func(content string) (filed [2]bool, after string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		pending := []*collect.Pending{{Name: names[1]}, {Name: names[0]}} // any order
		if err := d.Recover(t.Context(), "a", pending); err != nil {
			t.Fatal(err)
		}
		// The caller knows by the order which answer is whose.
		if pending[0].Name != names[1] || pending[1].Name != names[0] {
			t.Fatal("the order has changed")
		}
		data, _ := os.ReadFile(path)
		return [2]bool{pending[1].Filed, pending[0].Filed}, string(data)
	}
	place1, _ := parsePlace(names[0])
	place2, _ := parsePlace(names[1])
	end1 := int(place2.offset)
	for cut := len(before); cut <= len(whole); cut++ {
		filed, after := recover(whole[:cut])
		want, length := [2]bool{cut >= end1, cut == len(whole)}, len(before)
		if want[0] {
			length = end1
		}
		if want[1] {
			length = len(whole)
		}
		if filed != want || after != whole[:length] {
			t.Fatalf("cut at %d: filed %v, %d octets left; want %v, %d", cut, filed, len(after), want, length)
		}
	}
	// A power cut: the size is right and the octets are zeros.
	if filed, after := recover(whole[:place1.offset+40] + strings.Repeat("\x00", 60)); filed[0] || after != before {
		t.Errorf("zeros: filed %v, left %q", filed, after)
	}
	foreign := before + "From other\nSubject: not ours\n\nx\n\n"
	for name, content := range map[string]string{
		"another program's message in its place": foreign,
		"the same, shorter":                      before + "From o",
		"another's behind our torn one":          whole[:place1.offset+280] + "\nFrom other\nA: b\n\n\n",
		"rewritten and shorter":                  "From x\n",
	} {
		if filed, after := recover(content); filed[0] || filed[1] || after != content {
			t.Errorf("%s: filed %v, %q became %q", name, filed, content, after)
		}
	}
	// Another program took out a message in front of ours.
	if filed, after := recover(whole[len(before):]); filed != [2]bool{true, true} || after != whole[len(before):] {
		t.Errorf("moved: filed %v", filed)
	}
	if filed, _ := recover(""); filed[0] || filed[1] {
		t.Errorf("emptied: filed %v", filed)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	pending := []*collect.Pending{{Name: names[0]}}
	if err := d.Recover(t.Context(), "a", pending); err != nil || pending[0].Filed {
		t.Errorf("without a file: %v", err)
	}
}

func TestMboxLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mbox")
	d := openAt(t, "mbox:"+path, Options{})
	// Of a process that is dead: broken at once.
	if err := os.WriteFile(path+".lock", []byte("999999999 "+hostName()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file(t, d, item(t, d, "k", "Subject: x\r\n\r\n"))
	// Of an earlier process with our number.
	if err := os.WriteFile(path+".lock", []byte(fmt.Sprintln(os.Getpid(), hostName(), "TOKEN")), 0o600); err != nil {
		t.Fatal(err)
	}
	file(t, d, item(t, d, "j", "Subject: z\r\n\r\n"))
	// Of one that lives: waited for, as long as there is time.
	if err := os.WriteFile(path+".lock", []byte(fmt.Sprintln(os.Getppid(), hostName())), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	it := item(t, d, "l", "Subject: y\r\n\r\n")
	d.Prepare(ctx, []*collect.Item{it})
	if !errors.Is(it.Err, context.Canceled) {
		t.Errorf("locked: %v", it.Err)
	}
	if _, err := os.Stat(path + ".lock"); err != nil {
		t.Errorf("another's lock is gone: %v", err)
	}
}

// Another program's dotlock is heeded also where it cannot be read, or where we
// could not make one; none is needed there, and an old one is in nobody's way.
func TestMboxHeedsDotlocks(t *testing.T) {
	if asNobody(t) {
		return
	}
	const none = -1
	for _, c := range []struct {
		what      string
		dir, lock os.FileMode
		age       time.Duration
		waits     bool
	}{
		{"unreadable", 0o700, 0, 0, true},
		{"unreadable and old", 0o700, 0, time.Hour, false},
		{"in a directory of others", 0o500, 0o400, 0, true},
		{"unreadable in a directory of others", 0o500, 0, 0, true},
		{"old in a directory of others", 0o500, 0o400, time.Hour, false},
		{"not there in a directory of others", 0o500, 0, none, false},
	} {
		dir := filepath.Join(t.TempDir(), "mail")
		path := filepath.Join(dir, "mbox")
		d := openAt(t, "mbox:"+path, Options{})
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if c.age != none {
			if err := os.WriteFile(path+".lock", []byte("0"), 0o600); err != nil {
				t.Fatal(err)
			}
			made := time.Now().Add(-c.age)
			if err := errors.Join(os.Chtimes(path+".lock", made, made), os.Chmod(path+".lock", c.lock)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, c.dir); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*lockPoll)
		it := item(t, d, "k", "Subject: x\r\n\r\n")
		d.Prepare(ctx, []*collect.Item{it})
		if errors.Is(it.Err, context.DeadlineExceeded) != c.waits || (it.Err != nil) != c.waits {
			t.Errorf("%s: %v", c.what, it.Err)
		}
		cancel()
		if it.Err == nil {
			d.File(t.Context(), []*collect.Item{it})
		}
		it.Staged.Discard()
		if it.Err != nil && !c.waits {
			t.Errorf("%s: %v", c.what, it.Err)
		}
		if err := os.Chmod(dir, 0o700); err != nil { // so that it can be removed
			t.Fatal(err)
		}
	}
}

// Twins that come in the same second are two messages, also when only one of
// them is there after a crash.
func TestMboxTwins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mbox")
	d := openAt(t, "mbox:"+path, Options{})
	const text = "Subject: twin\r\n\r\nbody\r\n"
	for _, elsewhere := range []string{"", "From x\nA: b\n\nanother program's\n\n"} {
		first, second := item(t, d, "1", text), item(t, d, "2", text)
		d.Prepare(t.Context(), []*collect.Item{first, second})
		pending := []*collect.Pending{{Name: first.Name}, {Name: second.Name}}
		d.File(t.Context(), []*collect.Item{first})
		second.Staged.Discard() // never written
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(elsewhere+string(data)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Recover(t.Context(), "a", pending); err != nil || !pending[0].Filed || pending[1].Filed {
			t.Errorf("filed %t and %t, %v", pending[0].Filed, pending[1].Filed, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// Where no dotlock can be made, two accounts of one process still take turns.
func TestMboxOfTwoAccounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mbox")
	var locks Locks
	one := openAt(t, "mbox:"+path, Options{Locks: &locks})
	two := openAt(t, "mbox:"+path, Options{Locks: &locks})
	first := item(t, one, "1", "Subject: one\r\n\r\n")
	one.Prepare(t.Context(), []*collect.Item{first})
	// As in a directory that belongs to others.
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	second := item(t, two, "2", "Subject: two\r\n\r\n")
	two.Prepare(ctx, []*collect.Item{second})
	if !errors.Is(second.Err, context.Canceled) {
		t.Fatalf("both are at it: %v", second.Err)
	}
	one.File(t.Context(), []*collect.Item{first})
	second = item(t, two, "2", "Subject: two\r\n\r\n")
	file(t, two, second)
	if list := parseMbox(t, path); first.Err != nil || len(list) != 2 {
		t.Errorf("%v, %q", first.Err, list)
	}
}

// A dotlock that this process holds is not that of an earlier one, also where
// the path says nothing of it: here the two share no Locks.
func TestMboxDotlockOfThisProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mbox")
	one, two := openAt(t, "mbox:"+path, Options{}), openAt(t, "mbox:"+path, Options{})
	first := item(t, one, "1", "Subject: one\r\n\r\n")
	one.Prepare(t.Context(), []*collect.Item{first})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	second := item(t, two, "2", "Subject: two\r\n\r\n")
	two.Prepare(ctx, []*collect.Item{second})
	if !errors.Is(second.Err, context.Canceled) {
		t.Fatalf("both are at it: %v", second.Err)
	}
	held := textIn(t, path+".lock")
	one.File(t.Context(), []*collect.Item{first})
	// One that could not be removed is in nobody's way.
	if err := os.WriteFile(path+".lock", []byte(held), 0o600); err != nil {
		t.Fatal(err)
	}
	file(t, two, item(t, two, "2", "Subject: two\r\n\r\n"))
	if list := parseMbox(t, path); first.Err != nil || len(list) != 2 {
		t.Errorf("%v, %q", first.Err, list)
	}
}

// Before the file is there its links are followed as they are afterwards.
func TestMboxOfTwoAccountsBehindLinks(t *testing.T) {
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, name); err != nil {
			t.Skip("needs symbolic links; run on Unix")
		}
	}
	for name, paths := range map[string][2]string{
		"the same link":            {"link/mbox", "link/mbox"},
		"a link and its target":    {"link/mbox", "real/deep/mbox"},
		"the file is a link":       {"file", "real/deep/mbox"},
		"the same link for a file": {"file", "file"},
		"a link to a link":         {"second", "file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "real", "deep"), 0o700); err != nil {
				t.Fatal(err)
			}
			link("real/deep", filepath.Join(dir, "link"))
			// Behind a link, .. is not where the link is.
			link("link/../deep/mbox", filepath.Join(dir, "file"))
			link(filepath.Join(dir, "file"), filepath.Join(dir, "second"))
			var locks Locks
			one := openAt(t, "mbox:"+filepath.Join(dir, paths[0]), Options{Locks: &locks})
			two := openAt(t, "mbox:"+filepath.Join(dir, paths[1]), Options{Locks: &locks})
			first := item(t, one, "1", "Subject: one\r\n\r\n")
			one.Prepare(t.Context(), []*collect.Item{first})
			// As in a directory that belongs to others.
			if err := os.Remove(filepath.Join(dir, paths[0]+".lock")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			second := item(t, two, "2", "Subject: two\r\n\r\n")
			two.Prepare(ctx, []*collect.Item{second})
			if !errors.Is(second.Err, context.Canceled) {
				t.Fatalf("both are at it: %v", second.Err)
			}
			one.File(t.Context(), []*collect.Item{first})
			file(t, two, item(t, two, "2", "Subject: two\r\n\r\n"))
			if list := parseMbox(t, filepath.Join(dir, "real", "deep", "mbox")); first.Err != nil || len(list) != 2 {
				t.Errorf("%v, %q", first.Err, list)
			}
		})
	}
}

func TestMboxReplacedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mbox")
	if err := os.WriteFile(path, []byte("From x\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	same := func() bool {
		info, err := os.Stat(path)
		return err == nil && sameFile(info, f)
	}
	if !same() {
		t.Error("it is the same file")
	}
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Skip("needs a system that replaces open files; run on Unix")
	}
	if same() {
		t.Error("it is another file")
	}
}

// Whenever a process is killed, its dotlock says whose it was.
func TestMboxDotlockHasItsOwner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mbox")
	// Temporary ones that killed processes left, and one of somebody's.
	left, theirs := path+".lock.999999999.TOKEN."+hostName(), path+".lock.backup"
	sameNumber := fmt.Sprintf("%s.lock.%d.TOKEN.%s", path, os.Getpid(), hostName())
	for _, name := range []string{left, sameNumber, theirs} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := openAt(t, "mbox:"+path, Options{})
	if err := d.Recover(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	it := item(t, d, "k", "Subject: x\r\n\r\n")
	d.Prepare(t.Context(), []*collect.Item{it})
	if pid, host, _ := parseOwner(textIn(t, path+".lock")); pid != os.Getpid() || host != hostName() {
		t.Errorf("the owner is %d at %q", pid, host)
	}
	if err := makeDot(path+".lock", "OTHER"); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	d.File(t.Context(), []*collect.Item{it})
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 2 || list[1].Name() != filepath.Base(theirs) {
		t.Errorf("%v, %v", list, err)
	}
}

// When NFS loses the answer to a link and asks again, it says that the link is
// there already: it is ours.
func TestMboxDotlockAnswerLost(t *testing.T) {
	dot := filepath.Join(t.TempDir(), "mbox.lock")
	const token = "TOKEN"
	temp := fmt.Sprintf("%s.%d.%s.%s", dot, os.Getpid(), token, hostName())
	if err := os.WriteFile(temp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(temp, dot); err != nil {
		t.Skip("needs links; run on another file system: ", err)
	}
	if err := makeDot(dot, token); err != nil {
		t.Error(err)
	}
	if _, _, got := parseOwner(textIn(t, dot)); got != token {
		t.Errorf("the lock has %q", got)
	}
	if _, err := os.Stat(temp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary one is left: %v", err)
	}
	if err := makeDot(dot, "OTHER"); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
}

// A temporary dotlock does not stay because another process has the number of
// the one that was killed.
func TestMboxCleansDotlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mbox")
	held.try("HELD")
	defer held.release("HELD")
	for _, c := range []struct {
		pid   int
		token string
		host  string
		age   time.Duration
		stays bool
	}{
		{os.Getpid(), "HELD", hostName(), 400 * 24 * time.Hour, true},
		{os.Getpid(), "TOKEN", hostName(), 0, false},
		{os.Getppid(), "TOKEN", hostName(), 35 * time.Hour, true},
		{os.Getppid(), "TOKEN", hostName(), 37 * time.Hour, false},
		{os.Getppid(), "TOKEN", hostName(), -37 * time.Hour, false},
		{os.Getppid(), "TOKEN", "elsewhere", 37 * time.Hour, true}, // perhaps no name of ours
	} {
		name := fmt.Sprintf("%s.lock.%d.%s.%s", path, c.pid, c.token, c.host)
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		made := time.Now().Add(-c.age)
		if err := os.Chtimes(name, made, made); err != nil {
			t.Fatal(err)
		}
		if err := cleanDots(path); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(name); (err == nil) != c.stays {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func textIn(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
