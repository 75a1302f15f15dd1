// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// TestPostfix: mail comes by SMTP, Postfix hands it on by LMTP, and curl collects
// it by POP3S, octet for octet. The server is started by root and becomes the
// owner of its data, as in a real installation.
func TestPostfix(t *testing.T) {
	t.Parallel()
	peers.Need(t, "postfix")
	peers.Need(t, "curl")
	peers.NeedRoot(t)
	t.Run("unix", func(t *testing.T) {
		t.Parallel()
		dir := ownedDir(t)
		socket := filepath.Join(dir, "lmtp")
		o := startOffice(t, dir, "[listen]\nlmtp_group = \"postfix\"\n", "--lmtp", "unix:"+socket)
		throughPostfix(t, o, "lmtp:unix:"+socket)
	})
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		o := startOffice(t, ownedDir(t), "", "--lmtp", "127.0.0.1:0")
		throughPostfix(t, o, "lmtp:inet:"+o.LMTP)
	})
}

// ownedDir makes a directory, with the data directory in it, that belongs to
// nobody.
func ownedDir(t *testing.T) string {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	dir := peers.Dir(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, data} {
		if err := os.Chown(d, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// received is the line that Postfix adds; it names the recipient where there is
// one alone.
var received = regexp.MustCompile(`^Received: from client\.example \([^\r\n]*\)\r\n\tby postfix\.example \(Postfix\) with ESMTP id \w+` +
	`(?:\r\n\tfor <\w+@example\.org>)?;(?:\r\n\t| )[^\r\n]*\r\n`)

// postfixReturns does what Postfix does to carriage returns that are no part of a
// CRLF: at the end of a line they are gone, elsewhere they are blanks.
func postfixReturns(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		b.WriteString(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\r", " ") + "\r\n")
	}
	return b.String()
}

func throughPostfix(t *testing.T, o *office, transport string) {
	t.Helper()
	ana, carla := o.add(t, "ana@example.org", "implicit"), o.add(t, "carla@example.org", "implicit")
	p := peers.Postfix(t, transport)
	defer func() {
		if t.Failed() {
			t.Logf("Postfix said:\n%s", p.Log(t))
		}
	}()

	letters := append(corpus(), longLetter(), nulLetter(), returnsLetter())
	var want []string
	c := dialSMTP(t, p.SMTP)
	for _, l := range letters {
		// SMTP has CRLF at the end of a line, so a mail program has put it there.
		_, _, text := cutReceivedBy(t, wire("x", l.text))
		c.send(t, text, ana.user, carla.user)
		want = append(want, postfixReturns(text))
	}
	c.send(t, corpus()[0].text, "nobody@example.org")
	c.say(t, "221", "QUIT")

	for _, a := range []account{ana, carla} {
		waitFor(t, "the mail of "+a.user, func() bool { return len(o.held(t, a.user)) >= len(letters) })
		r := run{account: a, home: newDir(t), out: newDir(t)}
		curlAll(t, r)
		var got []string
		for _, m := range readDir(t, r.out) {
			from, to, text := cutReceivedBy(t, m)
			if from != "Return-Path: <"+sender+">\r\n" || to != "Delivered-To: "+a.user+"\r\n" {
				t.Errorf("a message begins with %q, %q", from, to)
			}
			line := received.FindString(text)
			if line == "" {
				t.Errorf("no line of Postfix at the start of %s", excerpt(text))
			}
			got = append(got, text[len(line):])
		}
		same(t, a.user, got, want)
	}
	bounced := regexp.MustCompile(`to=<nobody@example\.org>.*dsn=5\.1\.1, status=bounced \(host .* said: 550 `)
	waitFor(t, "the bounce of the unknown user", func() bool { return bounced.MatchString(p.Log(t)) })
}

// cutReceivedBy cuts the two lines off that a delivery adds.
func cutReceivedBy(t *testing.T, message string) (first, second, rest string) {
	t.Helper()
	lines := strings.SplitAfterN(message, "\r\n", 3)
	if len(lines) != 3 {
		t.Fatalf("a message of %d lines: %q", len(lines), message)
	}
	return lines[0], lines[1], lines[2]
}

// smtpClient speaks SMTP.
type smtpClient struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialSMTP(t *testing.T, address string) *smtpClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := &smtpClient{conn, bufio.NewReader(conn)}
	c.expect(t, "220")
	c.say(t, "250", "EHLO client.example")
	return c
}

// say sends a line and waits for a reply with the code.
func (c *smtpClient) say(t *testing.T, code, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(c.conn, format+"\r\n", args...); err != nil {
		t.Fatal(err)
	}
	c.expect(t, code)
}

func (c *smtpClient) expect(t *testing.T, code string) {
	t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil || len(line) < 4 || line[:3] != code {
			t.Fatalf("wanted %s: %q, %v", code, line, err)
		}
		if line[3] == ' ' {
			return
		}
	}
}

// send sends a message, whose lines end in CRLF.
func (c *smtpClient) send(t *testing.T, message string, recipients ...string) {
	t.Helper()
	c.say(t, "250", "MAIL FROM:<%s> BODY=8BITMIME", sender)
	for _, r := range recipients {
		c.say(t, "250", "RCPT TO:<%s>", r)
	}
	c.say(t, "354", "DATA")
	stuffed := strings.ReplaceAll("\r\n"+message, "\r\n.", "\r\n..")[2:]
	c.say(t, "250", "%s.", stuffed)
}
