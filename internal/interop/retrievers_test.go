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

// TestMpop: into a Maildir, with the ids of what it has seen in a file.
func TestMpop(t *testing.T) {
	mpop := peers.Need(t, "mpop")
	program{
		stored: unix, remembers: true,
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			runMpop(t, mpop, r).must(t, 0)
			return readMaildir(t, r.out)
		},
	}.collects(t)
}

// runMpop runs mpop once.
func runMpop(t *testing.T, mpop string, r run) result {
	t.Helper()
	writeFile(t, filepath.Join(r.home, "password"), r.password+"\n")
	rc := filepath.Join(r.home, "mpoprc")
	// It refuses to send a password in clear text unless told how.
	auth := onOff(r.tls == "none", "user", "on")
	if r.mechanism != "" {
		auth = strings.ToLower(r.mechanism)
	}
	writeFile(t, rc, fmt.Sprintf(`account default
host localhost
port %s
user %s
passwordeval "cat %s/password"
auth %s
tls %s
tls_starttls %s
%s
keep %s
received_header off
uidls_file %s/uidls
delivery maildir %s
%s
`, r.port, r.user, r.home, auth, onOff(r.tls == "none", "off", "on"), onOff(r.tls == "stls", "on", "off"),
		onOff(r.tls == "none", "", "tls_trust_file "+r.ca), onOff(r.remove, "off", "on"), r.home, inbox(t, r.out),
		onOff(r.certificate == "", "", "tls_cert_file "+r.certificate+"\ntls_key_file "+r.key)))
	return execute(t, r.home, "", mpop, "-C", rc)
}

// getmailEnds are what getmail takes for the end of a line.
var getmailEnds = regexp.MustCompile(`\r*\n|\r`)

// TestGetmail: to a program. It knows no STLS. A lone carriage return becomes an
// end of line, and a header without a body gets its blank line.
func TestGetmail(t *testing.T) {
	getmail := peers.Need(t, "getmail")
	program{
		remembers: true, transports: []string{"none", "implicit"},
		stored: func(a account, message string) string {
			message = getmailEnds.ReplaceAllString(message, "\n")
			if !strings.Contains(message, "\n\n") {
				message += "\n"
			}
			return message
		},
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			runGetmail(t, getmail, r).must(t, 0)
			return readDir(t, r.out)
		},
	}.collects(t)
}

// runGetmail runs getmail once, which hands each message to a program.
func runGetmail(t *testing.T, getmail string, r run) result {
	t.Helper()
	writeFile(t, filepath.Join(r.home, "password"), r.password+"\n")
	mda := filepath.Join(r.home, "mda")
	// It misses the end of a program, or of its own child that files into a
	// Maildir, when that comes before it has begun to wait, and then waits for a
	// minute.
	if err := os.WriteFile(mda, []byte("#!/bin/sh\nsleep 0.05\ncat >\"$1/$$\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(r.home, "rc")
	writeFile(t, rc, fmt.Sprintf(`[retriever]
type = SimplePOP3%sRetriever
server = localhost
port = %s
username = %s
password_command = ("cat", "%s/password")
use_apop = %s
%s
[destination]
type = MDA_external
path = %s
arguments = ("%s",)
allow_root_commands = true
[options]
read_all = false
delete = %s
delivered_to = false
received = false
`, onOff(r.tls == "none", "", "SSL"), r.port, r.user, r.home, onOff(r.mechanism == "APOP", "true", "false"), onOff(r.tls == "none", "", "ca_certs = "+r.ca),
		mda, r.out, onOff(r.remove, "true", "false")))
	return execute(t, r.home, "", getmail, "--getmaildir", r.home, "--rcfile", rc)
}

// fetch runs fetchmail once, which hands each message to a program.
func fetch(t *testing.T, fetchmail string, r run) result {
	t.Helper()
	rc := filepath.Join(r.home, "fetchmailrc")
	tls := map[string]string{"none": `sslproto ""`, "stls": `sslproto "TLS1.2+"`, "implicit": "ssl"}[r.tls]
	if r.tls != "none" && r.ca != "" {
		tls += " sslcertck sslcertfile " + r.ca
	}
	protocol := onOff(r.mechanism == "APOP", "apop", "pop3")
	// With the option invisible it adds no Received line.
	writeFile(t, rc, fmt.Sprintf(`set invisible
set no syslog
poll localhost proto %s port %s uidl
  user "%s" password "%s" %s
  %s norewrite
  mda "sh -c 'cat > %s/$$'"
`, protocol, r.port, r.user, r.password, tls, onOff(r.remove, "nokeep fetchall", "keep"), r.out))
	return execute(t, r.home, "", fetchmail, "-f", rc, "-i", filepath.Join(r.home, "ids"),
		"--pidfile", filepath.Join(r.home, "pid"), "--nodetach")
}

// TestFetchmail: to a program. It takes every carriage return out of a message,
// its option stripcr, and sets a blank line behind a header without a body.
func TestFetchmail(t *testing.T) {
	fetchmail := peers.Need(t, "fetchmail")
	program{
		remembers: true,
		letters:   append(corpus(), nulLetter(), returnsLetter()),
		stored: func(_ account, message string) string {
			message = strings.ReplaceAll(message, "\r", "")
			if !strings.Contains(message, "\n\n") {
				message += "\n"
			}
			return message
		},
		collect: func(t *testing.T, r run) []string {
			fetch(t, fetchmail, r).must(t, 0, 1) // 1 is: no new mail
			return readDir(t, r.out)
		},
	}.collects(t)
}

// fetchmailCut is what fetchmail 6.4 writes into a line of more than 8,191 octets:
// NUL, an octet that it finds in its memory, and LF.
var fetchmailCut = regexp.MustCompile(`(?s)\x00.\n`)

// TestFetchmailCutsLines: without its cuts a very long line is as it was sent.
func TestFetchmailCutsLines(t *testing.T) {
	t.Parallel()
	fetchmail := peers.Need(t, "fetchmail")
	o := openOffice(t)
	a := o.add(t, "ana@example.org", "implicit")
	o.deliver(t, longLetter().text, a.user)
	r := run{account: a, home: newDir(t), out: newDir(t)}
	fetch(t, fetchmail, r).must(t, 0)
	got := readDir(t, r.out)
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	whole := unix(a, wire(a.user, longLetter().text))
	same(t, "without the cuts", []string{fetchmailCut.ReplaceAllString(got[0], "")}, []string{whole})
	if got[0] == whole {
		t.Log("this fetchmail does not cut long lines: docs/quirks.md can say so")
	}
	same(t, "on the server", o.held(t, a.user), []string{wire(a.user, longLetter().text)})
	// To keep mail it collects with TOP, as its manual says.
	waitFor(t, "the end of the session", func() bool { return len(o.sessions(t, a.user)) == 1 })
	if s := o.sessions(t, a.user)[0]; s.Top != 1 || s.Retrieved != 0 {
		t.Errorf("the session: %+v", s)
	}
}

// TestFetchmailTakesSTLSByItself: where it is offered, and nothing is said of TLS
// in its file.
func TestFetchmailTakesSTLSByItself(t *testing.T) {
	t.Parallel()
	fetchmail := peers.Need(t, "fetchmail")
	o := openOffice(t)
	a := o.add(t, "ana@example.org", "by itself")
	o.deliver(t, corpus()[0].text, a.user)
	stranger := a
	stranger.ca = ""
	fetch(t, fetchmail, run{account: stranger, home: newDir(t), out: newDir(t)}).must(t, 2) // PS_SOCKET
	r := run{account: a, home: newDir(t), out: newDir(t)}
	fetch(t, fetchmail, r).must(t, 0)
	same(t, "collected", readDir(t, r.out), []string{unix(a, wire(a.user, corpus()[0].text))})
	waitFor(t, "the end of the session", func() bool { return len(o.sessions(t, a.user)) == 1 })
	if s := o.sessions(t, a.user)[0]; s.TLS == "" {
		t.Errorf("the session: %+v", s)
	}
}
