// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// TestRestanteFiles: one collection goes to a Maildir, an mbox, .eml files, a
// program and an LMTP server, each of which gets every message once, octet for
// octet; from a server of others and from restanted.
func TestRestanteFiles(t *testing.T) {
	restante(t)
	t.Run("from Dovecot", func(t *testing.T) {
		t.Parallel()
		dovecot := peer{"Dovecot", peers.Dovecot, asFiles, false, withTLS}
		server, _ := dovecot.open(t)
		var came []string
		for _, l := range dovecot.letters() {
			came = append(came, asSent(l.text))
		}
		filesEverywhere(t, callerOf(t, server, "implicit"), came)
		same(t, "left on the server", server.Left(), nil)
	})
	t.Run("from restanted", func(t *testing.T) {
		t.Parallel()
		o := openOffice(t)
		a := o.add(t, "ana@example.org", "stls")
		var came []string
		for _, l := range asFiles() {
			o.deliver(t, l.text, a.user)
			came = append(came, wire(a.user, l.text))
		}
		filesEverywhere(t, callerAt(t, newDir(t), a), came)
		same(t, "left on the server", o.held(t, a.user), nil)
	})
}

// asSent is the model of what a server hands out of a file: CRLF behind each
// line, the last one too. It shares nothing with the code of the collector.
func asSent(text string) string {
	_, message, _ := strings.Cut(wire("", text), "Delivered-To: \r\n")
	return message
}

// filesEverywhere collects what comes from the server, leaving it, again, and
// deleting it.
func filesEverywhere(t *testing.T, c *caller, came []string) {
	branch := openOffice(t, "--lmtp", "127.0.0.1:0")
	const filed = "filed@example.org"
	branch.add(t, filed, "implicit")

	maildir, mail := c.place("maildir", "Mail")
	mbox, box := c.place("mbox", "box")
	eml, letters := c.place("eml", "letters")
	wireForm, exact := c.place("eml", "exact")
	outputs := newDir(t)
	args := []string{
		"--to", maildir, "--to", mbox, "--to", eml,
		"--to", fmt.Sprintf("pipe:cat >> '%s'/$RESTANTE_KEY", outputs),
		"--to", "lmtp:" + branch.LMTP, "--recipient", filed,
	}
	check := func(what string) {
		t.Helper()
		want := unixAll(came)
		same(t, what+": Maildir", readMaildir(t, mail), want)
		same(t, what+": mbox", readMbox(t, box), want)
		same(t, what+": files", readDir(t, letters), want)
		same(t, what+": a program", readDir(t, outputs), want)
		var delivered []string
		for _, m := range came {
			delivered = append(delivered, "Return-Path: <>\r\nDelivered-To: "+filed+"\r\n"+m)
		}
		same(t, what+": LMTP", branch.held(t, filed), delivered)
		for _, name := range fileNames(t, letters) {
			if !portable.MatchString(name) {
				t.Errorf("%s: a file is called %q, which not every system takes", what, name)
			}
		}
	}
	says(t, c.fetch(t, args...), fmt.Sprintf("collected %d messages", len(came)))
	check("the first time")
	says(t, c.fetch(t, args...), "no new mail")
	check("again")
	// A new destination gets the mail that the others have had.
	says(t, c.fetch(t, "--to", wireForm, "--crlf"), fmt.Sprintf("collected %d messages", len(came)))
	same(t, "files in wire form", readDir(t, exact), came)
	says(t, c.fetch(t, append(args, "--delete")...), fmt.Sprintf("deleted %d on the server", len(came)))
	check("after the deletion")
}

// portable is a file name that Windows takes as well.
var portable = regexp.MustCompile(`^[A-Za-z0-9_.,=+-]{1,120}\.eml$`)

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// quotedFrom is a line that mboxrd has quoted.
var quotedFrom = regexp.MustCompile(`(?m)^>(>*From )`)

// readMbox reads a file in the form mboxrd: each message between a line that
// begins with "From " and an empty line.
func readMbox(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "From ") || !strings.HasSuffix(string(text), "\n\n") {
		t.Fatalf("this is no mbox: %s", excerpt(string(text)))
	}
	var list []string
	for _, part := range strings.Split(strings.TrimSuffix(string(text[len("From "):]), "\n"), "\nFrom ") {
		_, message, _ := strings.Cut(part, "\n")
		list = append(list, quotedFrom.ReplaceAllString(message, "$1"))
	}
	return list
}
