// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"restante.example/internal/peers"
)

// TestNoMailTwice: a program that leaves mail on the server gets none of it twice,
// whether the server was ended, or killed, or its index was lost, or another
// program has marked the mail as read; and it gets what is new.
func TestNoMailTwice(t *testing.T) {
	t.Parallel()
	mpop := peers.Need(t, "mpop")
	dir := peers.Dir(t)
	const user = "ana@example.org"
	maildir := filepath.Join(dir, "data", "mail", "example.org", "ana", "Maildir")
	home := newDir(t)
	var o *office
	open := func() account {
		o = startOffice(t, dir, "")
		a := account{user: user, password: password, tls: "implicit", ca: o.CAFile}
		_, a.port, _ = strings.Cut(o.POP3S, ":")
		return a
	}
	a := open()
	o.add(t, user, "implicit")
	collect := func(what string, want ...letter) {
		t.Helper()
		r := run{account: a, home: home, out: newDir(t)}
		runMpop(t, mpop, r).must(t, 0)
		var messages []string
		for _, l := range want {
			messages = append(messages, unix(a, wire(user, l.text)))
		}
		same(t, what, readMaildir(t, r.out), messages)
	}
	letters := corpus()
	for _, l := range letters {
		o.deliver(t, l.text, user)
	}
	collect("the first time", letters...)

	// A file of another program, of which nothing is known until it is read.
	foreign := "Subject: dropped into new\n\nby another program\n"
	writeFile(t, filepath.Join(maildir, "new", "1700000000.M1P1.other"), foreign)
	r := run{account: a, home: home, out: newDir(t)}
	runMpop(t, mpop, r).must(t, 0)
	same(t, "a file of another program", readMaildir(t, r.out), []string{foreign})

	o.end(t, syscall.SIGTERM)
	a = open()
	collect("after an end in good order")

	o.end(t, syscall.SIGKILL)
	a = open()
	collect("after a kill")

	o.end(t, syscall.SIGTERM)
	markRead(t, maildir)
	a = open()
	collect("after another program has read it")

	o.deliver(t, nulLetter().text, user)
	markRead(t, maildir)
	collect("new mail that another program has read", nulLetter())

	o.end(t, syscall.SIGTERM)
	if removed := removeIndexes(t, filepath.Dir(maildir)); removed == 0 {
		t.Error("there was no index to remove")
	}
	a = open()
	collect("after the loss of the index")
}

// markRead does what a mail program does on the server's disk.
func markRead(t *testing.T, maildir string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(maildir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		err := os.Rename(filepath.Join(maildir, "new", e.Name()), filepath.Join(maildir, "cur", e.Name()+":2,S"))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// removeIndexes removes the files that may be lost, and counts them.
func removeIndexes(t *testing.T, dir string) int {
	t.Helper()
	removed := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), "index") {
			removed++
			return os.Remove(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return removed
}
