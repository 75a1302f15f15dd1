// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program is a mail program that collects.
type program struct {
	// letters are what it is given; nil means the corpus.
	letters []letter
	// transports that it knows; nil means all.
	transports []string
	// stored is what it makes of a message as restanted hands it out, by its own
	// documentation.
	stored func(a account, message string) string
	// remembers is true where it knows in a later run what it has collected and
	// left on the server.
	remembers bool
	// front has something in front of the office that ends TLS, and returns the
	// account as it is reached there; nil means that there is nothing.
	front func(t *testing.T, o *office) func(a account) account
	// collect runs it once and returns what it has newly filed.
	collect func(t *testing.T, r run) []string
}

// run is one collection.
type run struct {
	account
	// home is the directory of the person, kept from one run to the next; out is
	// empty.
	home, out string
	// remove says that what was collected is to be deleted on the server.
	remove bool
}

// collects has a program collect in each transport: leaving everything, again,
// again after one more letter has come, then, as somebody who remembers nothing,
// deleting; and at last, as the first one, a letter that comes after that.
func (p program) collects(t *testing.T) {
	t.Parallel()
	letters, transports := p.letters, p.transports
	if letters == nil {
		letters = corpus()
	}
	if transports == nil {
		transports = []string{"none", "stls", "implicit"}
	}
	o := openOffice(t)
	reached := func(a account) account { return a }
	if p.front != nil {
		reached = p.front(t, o)
	}
	var accounts []account
	var users []string
	for _, tls := range transports {
		users = append(users, tls+"@example.org")
		accounts = append(accounts, reached(o.add(t, tls+"@example.org", tls)))
	}
	for _, l := range letters {
		o.deliver(t, l.text, users...)
	}
	late := letter{"late", header("late") + "\r\none more\r\n"}
	t.Run("transport", func(t *testing.T) {
		for _, a := range accounts {
			t.Run(a.tls, func(t *testing.T) {
				t.Parallel()
				p.collectsFrom(t, o, a, letters, late)
			})
		}
	})
}

func (p program) collectsFrom(t *testing.T, o *office, a account, letters []letter, late letter) {
	var kept, stored []string
	add := func(l letter) string {
		kept = append(kept, wire(a.user, l.text))
		stored = append(stored, p.stored(a, wire(a.user, l.text)))
		return stored[len(stored)-1]
	}
	for _, l := range letters {
		add(l)
	}
	first, ended := newDir(t), 0
	home := first
	step := func(what string, remove bool, want []string) {
		t.Helper()
		got := p.collect(t, run{account: a, home: home, out: newDir(t), remove: remove})
		same(t, what+", collected", got, want)
		if remove {
			kept = nil
		}
		same(t, what+", on the server", o.held(t, a.user), kept)
		ended = p.checkSessions(t, o, a, what, ended, remove, len(stored))
	}
	step("leaving", false, stored)
	again := stored
	if p.remembers {
		again = nil
	}
	step("again", false, again)
	o.deliver(t, late.text, a.user)
	one := add(late)
	if p.remembers {
		again = []string{one}
	} else {
		again = stored
	}
	step("one more", false, again)
	home = newDir(t)
	step("deleting", true, stored)
	// Somebody who remembers the letters that are gone now is not led astray,
	// since no UID comes again.
	home, kept, stored = first, nil, nil
	after := letter{"after", header("after") + "\r\nand one after all is gone\r\n"}
	o.deliver(t, after.text, a.user)
	add(after)
	step("after the deletion", true, stored)
}

// checkSessions holds what the server says of a run, in its sessions from number
// from on, against what was asked for. A program may need several sessions for a
// run; the line of each is there soon after the program has ended.
func (p program) checkSessions(t *testing.T, o *office, a account, what string, from int, remove bool, total int) int {
	t.Helper()
	var list []session
	waitFor(t, what+", a line in the log", func() bool {
		list = o.sessions(t, a.user)
		for _, s := range list[from:] {
			if remove && s.Deleted == total && s.Left == 0 || !remove && s.Deleted == 0 && s.Left == total {
				return true
			}
		}
		return false
	})
	for _, s := range list[from:] {
		if (s.TLS == "") != (a.tls == "none" || p.front != nil) || s.End != "quit" {
			t.Errorf("%s: asked for %s, the server says %+v", what, a.tls, s)
		}
	}
	return len(list)
}

// newDir returns a directory of its own with a short name, as some programs
// want it.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// result is how a program ended.
type result struct {
	code   int
	output string
}

// execute runs a program to its end, in the home directory and with no other
// environment than a person has.
func execute(t *testing.T, home, stdin, path string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "LANG=C.UTF-8", "USER=ana", "LOGNAME=ana"}
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%s: %v, %v\n%s", path, err, ctx.Err(), &out)
	}
	return result{cmd.ProcessState.ExitCode(), out.String()}
}

// must fails the test unless the program ended with one of the codes.
func (r result) must(t *testing.T, codes ...int) result {
	t.Helper()
	for _, c := range codes {
		if r.code == c {
			return r
		}
	}
	t.Fatalf("exit code %d\n%s", r.code, r.output)
	return r
}

// inbox makes the folders of a Maildir.
func inbox(t *testing.T, dir string) string {
	t.Helper()
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// onOff writes a switch of a configuration file.
func onOff(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

// url writes the address of a message, or of the maildrop where number is empty.
func (a account) url(number string) string {
	return fmt.Sprintf("%s://localhost:%s/%s", onOff(a.tls == "implicit", "pop3s", "pop3"), a.port, number)
}
