// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"restante.example/internal/intake"
	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// nasty are messages that have hurt somebody.
var nasty = map[string]string{
	"plain":             "Subject: x\r\n\r\nhello\r\n",
	"empty":             "",
	"headers only":      "Subject: x\r\nFrom: a@b\r\n",
	"no header":         "\r\nbody\r\n",
	"dots":              ".\r\n..\r\n.x\r\n\r\n.\r\n...\r\n.",
	"no final line end": "Subject: x\r\n\r\nhello",
	"bare LF":           "Subject: x\n\nhello\nworld\n",
	"LF dot LF":         "a\n.\nMAIL FROM:<forged@example.net>\n",
	"LF dot CRLF":       "a\n.\r\nMAIL FROM:<forged@example.net>\r\nRCPT TO:<bob>\r\nDATA\r\nforged\r\n",
	"CRLF dot LF":       "a\r\n.\nMAIL FROM:<forged@example.net>\r\n",
	"CR dot CR":         "a\r.\rMAIL FROM:<forged@example.net>\r",
	"CRLF dot CR":       "a\r\n.\rMAIL FROM:<forged@example.net>\r\n",
	"CR dot CRLF":       "a\r.\r\nRSET\r\n",
	"CRLF NUL dot":      "a\r\n\x00.\r\nRSET\r\n",
	"lone CR":           "a\rb\r\r\nc\r\r",
	"only CR":           "\r",
	"only LF":           "\n",
	"NUL":               "a\x00b\r\n\x00\r\n\x00",
	"8-bit":             "Subject: \xe9\xff\x80\r\n\r\n\xc3\xa9\xfe\xff\r\n",
	"every octet":       everyOctet(),
	"CRs and LFs":       strings.Repeat("\r\n\n\r\r.\n", 30_000),
	"short lines":       strings.Repeat(".\r\n", 50_000),
	"buffer edges":      strings.Repeat("x", readBuffer-3) + "\r\n.\r\n" + strings.Repeat("y", readBuffer-4) + "\r\n..\r\n",
	"10 MB in one line": strings.Repeat("0123456789", 1_000_000),
}

func everyOctet() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
		b.WriteString(".\r\n")
	}
	return b.String()
}

// onTheWire is what RFC 5321 section 4.5.2 wants of a sender, and the text that
// it stands for: one that is not empty ends in CRLF.
func onTheWire(text string) (wire, meant string) {
	meant = text
	if text != "" && !strings.HasSuffix(text, "\r\n") {
		meant += "\r\n"
	}
	lines := strings.Split(meant, "\r\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = "." + line
		}
	}
	return strings.Join(lines, "\r\n") + ".\r\n", meant
}

var bareLF = regexp.MustCompile(`(^|[^\r])\n`)

// asStored is what a store must hold of a message: the lines of final delivery,
// and then the message with a bare LF as CRLF.
func asStored(meant, to string) string {
	for bareLF.MatchString(meant) {
		meant = bareLF.ReplaceAllString(meant, "$1\r\n")
	}
	return "Return-Path: <sender@example.net>\r\nDelivered-To: " + to + "\r\n" + meant
}

func TestNastyMessages(t *testing.T) {
	for name, text := range nasty {
		t.Run(name, func(t *testing.T) {
			office := newOffice(nil)
			_, dial := start(t, optionsFor(office, 0))
			c := dial()
			c.hello(t, "ana@example.org")
			c.say(t, "DATA", "354 ")
			wire, meant := onTheWire(text)
			c.send(t, wire)
			c.want(t, "250 2.1.5")
			c.say(t, "RCPT TO:<ana>", "503") // nothing is left over
			c.say(t, "QUIT", "221 ")
			got := texts(office, "ana")
			if len(got) != 1 || got[0] != asStored(meant, "ana@example.org") {
				t.Errorf("stored %d messages, %.200q", len(got), got)
			}
			if n := len(office.Messages("bob")); n != 0 {
				t.Errorf("a message was smuggled to bob")
			}
		})
	}
}

// TestOneOctetAtATime: where the network cuts does not matter.
func TestOneOctetAtATime(t *testing.T) {
	office := newOffice(nil)
	_, dial := start(t, optionsFor(office, 0))
	c := dial()
	c.want(t, "220 ")
	wire, meant := onTheWire(nasty["dots"] + "\n.\n.\r.\r\n.\r\n\r\n.")
	text := "LHLO x\r\nMAIL FROM:<sender@example.net>\r\nRCPT TO:<ana>\r\nDATA\r\n" + wire + "QUIT\r\n"
	for i := range len(text) {
		c.send(t, text[i:i+1])
	}
	for _, want := range []string{"250 ", "250 ", "250 ", "354 ", "250 2.1.5", "221 "} {
		c.want(t, want)
	}
	if got := texts(office, "ana"); len(got) != 1 || got[0] != asStored(meant, "ana") {
		t.Errorf("stored %q", got)
	}
}

// void is a store that counts what it is given and keeps nothing.
type void struct {
	maildrop.Store
	octets int64
}

func (v *void) Deliver(context.Context, maildrop.Envelope, []maildrop.Target) (maildrop.Delivery, error) {
	return v, nil
}
func (v *void) Write(p []byte) (int, error)    { v.octets += int64(len(p)); return len(p), nil }
func (v *void) Commit(context.Context) []error { return []error{nil} }
func (v *void) Abort()                         {}

func TestMemoryDoesNotGrowWithTheMessage(t *testing.T) {
	store := &void{}
	opts := optionsFor(newOffice(nil), 0)
	opts.Intake = intake.New(store, newOffice(nil), nil)
	_, dial := start(t, opts)
	c := dial()
	c.hello(t, "ana")
	c.say(t, "DATA", "354 ")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const size = 100 << 20
	block := bytes.Repeat([]byte("lines and lines\r\n.. and dots \x00"), 1<<10)
	sent := 0
	for sent < size {
		n, err := c.Write(block)
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	c.send(t, "\r\n.\r\n")
	c.want(t, "250 2.1.5")
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("a message of %d MiB cost %d MiB of memory", sent>>20, grown>>20)
	}
	dots := sent / len(block) * bytes.Count(block, []byte("\r\n."))
	if want := int64(sent - dots + len("\r\n")); store.octets != want {
		t.Errorf("%d octets arrived, want %d", store.octets, want)
	}
}

// TestNoAnswerBeforeCommit holds Commit back: the client must not be told.
func TestNoAnswerBeforeCommit(t *testing.T) {
	committing, release := make(chan struct{}), make(chan struct{})
	office := newOffice(func(op pop3mem.Op, _ maildrop.ID) error {
		if op == pop3mem.OpStore {
			close(committing)
			<-release
		}
		return nil
	})
	_, dial := start(t, optionsFor(office, 0))
	c := dial()
	c.hello(t, "ana")
	c.say(t, "DATA", "354 ")
	c.send(t, "x\r\n.\r\n")
	<-committing
	answered := make(chan string, 1)
	go func() { answered <- c.reply() }()
	for range 100 {
		runtime.Gosched()
	}
	select {
	case r := <-answered:
		t.Fatalf("%q came before Commit was done", r)
	default:
	}
	close(release)
	if r := <-answered; !strings.HasPrefix(r, "250 2.1.5") {
		t.Errorf("after Commit came %q", r)
	}
}

func TestClientGoneInData(t *testing.T) {
	for _, text := range []string{"", "half", "half\r\n", "half\r\n.", "half\r\n.\r"} {
		office := newOffice(nil)
		s, dial := start(t, optionsFor(office, 0))
		c := dial()
		c.hello(t, "ana")
		c.say(t, "DATA", "354 ")
		c.send(t, text)
		c.Close()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(office.Messages("ana")); n != 0 {
			t.Errorf("%q and gone: %d messages are stored", text, n)
		}
	}
}

func TestStoreRefusals(t *testing.T) {
	for _, c := range []struct {
		op        pop3mem.Op
		err       error
		data      string // the answer to DATA
		ana, bob_ string // the answers after the message
	}{
		{pop3mem.OpDeliver, maildrop.ErrNoSpace, "452 4.3.1", "", ""},
		{pop3mem.OpDeliver, errors.New("secret"), "451 4.3.0", "", ""},
		{pop3mem.OpWrite, maildrop.ErrNoSpace, "354 ", "452 4.3.1", "452 4.3.1"},
		{pop3mem.OpWrite, errors.New("secret"), "354 ", "451 4.3.0", "451 4.3.0"},
		{pop3mem.OpStore, maildrop.ErrNoSpace, "354 ", "250 2.1.5", "452 4.3.1"},
		{pop3mem.OpStore, maildrop.ErrQuota, "354 ", "250 2.1.5", "452 4.2.2"},
		{pop3mem.OpStore, errors.New("secret"), "354 ", "250 2.1.5", "451 4.3.0"},
	} {
		office := newOffice(func(op pop3mem.Op, id maildrop.ID) error {
			if op == c.op && id != "ana" {
				return c.err
			}
			return nil
		})
		_, dial := start(t, optionsFor(office, 0))
		conn := dial()
		conn.hello(t, "ana", "bob")
		conn.say(t, "DATA", c.data)
		if c.data == "354 " {
			conn.send(t, strings.Repeat("x", 3*readBuffer)+"\r\n.\r\n")
			conn.want(t, c.ana)
			conn.want(t, c.bob_)
		}
		// The conversation goes on in step, and a new message can begin.
		conn.say(t, "MAIL FROM:<>", "250 2.1.0")
		for user, answer := range map[string]string{"ana": c.ana, "bob": c.bob_} {
			if n := len(office.Messages(user)); (n == 1) != strings.HasPrefix(answer, "250") {
				t.Errorf("%s fails with %v: %s was told %q and holds %d", c.op, c.err, user, answer, n)
			}
		}
	}
}

// Mail over a quota is deferred, or refused for ever. RFC 3463 section 3.3.
func TestOverQuota(t *testing.T) {
	for refuse, want := range map[bool]string{false: "452 4.2.2", true: "552 5.2.2"} {
		office := newOffice(nil)
		if err := office.SetLimits("ana", pop3mem.Limits{Quota: maildrop.Quota{Octets: 100}}); err != nil {
			t.Fatal(err)
		}
		opts := optionsFor(office, 0)
		opts.Intake = intake.New(office, office, &intake.Options{RefuseOverQuota: refuse})
		_, dial := start(t, opts)
		conn := dial()
		conn.hello(t, "ana", "bob")
		conn.say(t, "DATA", "354 ")
		conn.send(t, strings.Repeat("x", 100)+"\r\n.\r\n")
		conn.want(t, want)
		conn.want(t, "250 2.1.5")
		conn.say(t, "MAIL FROM:<> SIZE=101", "250 2.1.0")
		conn.say(t, "RCPT TO:<ana>", want)
		conn.say(t, "RCPT TO:<bob>", "250 2.1.5")
		if n := len(office.Messages("ana")); n != 0 {
			t.Errorf("%d messages are there", n)
		}
	}
}

// TestDrainIsBounded: a message that goes on for ever is refused and left.
func TestDrainIsBounded(t *testing.T) {
	office := newOffice(nil)
	opts := optionsFor(office, 1000)
	opts.Limits.Drain = 1 << 20
	_, dial := start(t, opts)
	c := dial()
	c.hello(t, "ana")
	c.say(t, "DATA", "354 ")
	endless := make(chan int64)
	go func() {
		n, _ := io.Copy(c, forever{}) // ends with the connection
		endless <- n
	}()
	c.want(t, "552 5.3.4")
	c.Close()
	<-endless
	if n := len(office.Messages("ana")); n != 0 {
		t.Errorf("%d messages are stored", n)
	}
}

type forever struct{}

func (forever) Read(p []byte) (int, error) { return len(p), nil }

func TestSMTPUTF8IsMarked(t *testing.T) {
	office := newOffice(nil)
	_, dial := start(t, optionsFor(office, 0))
	c := dial()
	c.hello(t)
	for _, param := range []string{"", " SMTPUTF8"} {
		c.say(t, "MAIL FROM:<>"+param, "250")
		c.say(t, "RCPT TO:<ana>", "250")
		c.say(t, "DATA", "354")
		c.say(t, "Subject: \xc3\xa9\r\n.", "250")
	}
	m := office.Messages("ana")
	if len(m) != 2 || m[0].SMTPUTF8 || !m[1].SMTPUTF8 {
		t.Errorf("stored %+v", m)
	}
}
