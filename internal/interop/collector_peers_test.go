// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// peer is a POP3 server of others.
type peer struct {
	name  string
	start func(testing.TB, []string) *peers.POP3Server
	// letters are what it can hold; unix says that it keeps them with LF line
	// ends, and would send a CR more where a file has one.
	letters func() []letter
	unix    bool
	// transports that it knows.
	transports []string
}

var withTLS = []string{"none", "stls", "implicit"}

func peerServers() []peer {
	return []peer{
		{"Dovecot", peers.Dovecot, asFiles, false, withTLS},
		{"Courier", peers.Courier, asFiles, true, withTLS},
		{"Cyrus", peers.Cyrus, asText, false, withTLS},
		{"popa3d", peers.Popa3d, inMbox, true, []string{"none"}},
		{"mailutils", peers.Mailutils, inMbox, true, withTLS},
	}
}

// asFiles is the corpus for servers that hand out files as they are.
func asFiles() []letter { return append(asText(), nulLetter(), returnsLetter()) }

// asText is the corpus for servers that take no NUL and no lone CR.
func asText() []letter { return append(corpus(), longLetter()) }

// inMbox is the corpus for servers that keep it in an mbox file, which cannot
// hold all: LF line ends, no empty line at the end, no line that begins with
// "From ", or with ">From ", which Mailutils takes for a quoted one.
func inMbox() []letter {
	var list []letter
	for _, l := range asText() {
		l.text = strings.TrimRight(unix(account{}, l.text), "\n") + "\n"
		if !strings.Contains(l.text, "\n\n") {
			// Without a body there is no blank line, and these servers make one.
			continue
		}
		l.text = strings.NewReplacer("\nFrom ", "\n from ", "\n>From ", "\n> from ").Replace(l.text)
		list = append(list, l)
	}
	return list
}

// notes are the header lines that servers with an mbox add when they hand a
// message out.
var notes = regexp.MustCompile(`(?m)^(Status|X-Status|X-UID|X-IMAP|X-IMAPbase|X-UIDL): [^\n]*\n`)

// bare takes off what the server has added to messages in a Maildir.
func bare(messages []string) []string {
	list := make([]string, len(messages))
	for i, m := range messages {
		head, body, found := strings.Cut(m, "\n\n")
		if found {
			body = "\n" + body
		}
		list[i] = notes.ReplaceAllString(head+"\n", "") + body
		if !strings.HasSuffix(list[i], "\n") {
			list[i] += "\n" // POP3 cannot hand out a last line that does not end
		}
	}
	return list
}

// TestRestanteFromOthers: what each server holds is collected octet for octet by
// each way to reach it: kept, not collected twice, then deleted; and deleted at
// once.
func TestRestanteFromOthers(t *testing.T) {
	restante(t)
	for _, p := range peerServers() {
		for _, tls := range p.transports {
			t.Run(p.name+"/"+tls, func(t *testing.T) {
				t.Parallel()
				p.keptThenDeleted(t, tls)
			})
		}
		t.Run(p.name+"/at once", func(t *testing.T) {
			t.Parallel()
			p.deletedAtOnce(t)
		})
	}
}

// open starts the server with its letters, and returns them as they should
// arrive.
func (p peer) open(t *testing.T) (*peers.POP3Server, []string) {
	t.Helper()
	var texts []string
	for _, l := range p.letters() {
		texts = append(texts, l.text)
	}
	want := bare(unixAll(texts))
	if p.unix {
		texts = unixAll(texts)
	}
	server := p.start(t, texts)
	same(t, "before anything, on the server", p.left(server), want)
	return server, want
}

// left is what a server holds, as it would be in a Maildir.
func (p peer) left(server *peers.POP3Server) []string {
	if p.unix {
		return bare(server.Left())
	}
	return bare(unixAll(server.Left()))
}

// callerOf is somebody who collects from a server of others.
func callerOf(t *testing.T, s *peers.POP3Server, tls string) *caller {
	t.Helper()
	address := s.Addr
	if tls == "implicit" {
		address = s.TLSAddr
	}
	return newCaller(t, newDir(t), address, tls, s.CA, s.User, s.Password)
}

func (p peer) keptThenDeleted(t *testing.T, tls string) {
	server, want := p.open(t)
	c := callerOf(t, server, tls)
	to, path := c.place("maildir", "Mail")

	says(t, c.fetch(t, "--to", to), fmt.Sprintf("collected %d messages", len(want)))
	same(t, "collected", bare(readMaildir(t, path)), want)
	same(t, "left on the server", p.left(server), want)

	// --keep is what is done anyway.
	says(t, c.fetch(t, "--to", to, "--keep"), "no new mail")
	same(t, "collected again", bare(readMaildir(t, path)), want)
	same(t, "left on the server again", p.left(server), want)

	says(t, c.fetch(t, "--to", to, "--delete"), fmt.Sprintf("deleted %d on the server", len(want)))
	same(t, "after the deletion", bare(readMaildir(t, path)), want)
	same(t, "left on the server at last", server.Left(), nil)

	says(t, c.fetch(t, "--to", to, "--delete"), "no new mail")
	same(t, "at last", bare(readMaildir(t, path)), want)
}

func (p peer) deletedAtOnce(t *testing.T) {
	server, want := p.open(t)
	c := callerOf(t, server, "none")
	to, path := c.place("maildir", "Mail")
	out := c.fetch(t, "--to", to, "--delete")
	says(t, out, fmt.Sprintf("collected %d messages", len(want)))
	says(t, out, fmt.Sprintf("deleted %d on the server", len(want)))
	same(t, "collected", bare(readMaildir(t, path)), want)
	same(t, "left on the server", server.Left(), nil)
}
