// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"restante.example/internal/wire"
)

// letter is a message of the demo, and what its collection must give.
type letter struct {
	sender string
	open   func() (io.ReadCloser, error)
	// octets and sum describe the message as POP3 must give it.
	octets int64
	sum    [sha256.Size]byte
}

// letters returns the letters of the demo, or those of the directory.
func (d *demoCommand) letters(c *console) ([]*letter, error) {
	if d.Mail != "" {
		return lettersOf(d.Mail)
	}
	var list []*letter
	now := time.Now()
	for i, l := range []struct{ sender, subject, body string }{
		{"bea@example.net", c.text("Welcome"),
			c.text("Hello!\n\nThis letter came in by LMTP and lay in your maildrop until you called for it.\n\nBea\n")},
		{"carlos@example.net", c.text("Dots, and other traps"),
			c.text("A dot at the start of a line travels as two, and the mail program shows one again:\n.\n.hidden\n..two\nNothing of this is lost: \u00e1 \u00f1 \u20ac.\n")},
		{"bea@example.net", c.text("No end of the line"),
			c.text("This letter does not end in a line end, so one is added.\n\nGoodbye")},
	} {
		text := fmt.Sprintf("From: <%s>\nTo: <%s@localhost>\nSubject: %s\nDate: %s\nMessage-ID: <demo-%d-%d@example.net>\n"+
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%s",
			l.sender, d.User, l.subject, now.Format(time.RFC1123Z), i+1, now.UnixNano(), l.body)
		list = append(list, &letter{sender: l.sender, open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}})
	}
	return list, nil
}

// lettersOf returns the files of a directory in the order of their names.
func lettersOf(dir string) ([]*letter, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []*letter
	for _, e := range entries {
		if e.Type().IsRegular() {
			list = append(list, &letter{sender: "demo@localhost", open: func() (io.ReadCloser, error) {
				return os.Open(filepath.Join(dir, e.Name()))
			}})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no files to offer are in %s", dir)
	}
	return list, nil
}

// stepTime is how long one step of a conversation may take.
const stepTime = time.Minute

// talk is one side of a conversation in lines.
type talk struct {
	conn net.Conn
	r    *wire.Reader
	w    *wire.Writer
}

func newTalk(conn net.Conn) *talk {
	return &talk{conn, wire.NewReader(conn, 64<<10), wire.NewWriter(conn, wire.NewPool(64<<10))}
}

// step gives the next step its time.
func (t *talk) step() error { return t.conn.SetDeadline(time.Now().Add(stepTime)) }

// line reads a line of at most 4 KiB.
func (t *talk) line() (string, error) {
	line, err := t.r.ReadLine(4096)
	return string(line), err
}

// deliverLetters delivers by LMTP, one letter after the other, and notes what
// their collection must give.
func deliverLetters(ctx context.Context, address, user string, letters []*letter) error {
	var d net.Dialer
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	t := newTalk(conn)
	recipient := user
	if !strings.Contains(user, "@") {
		recipient += "@localhost"
	}
	err = t.expect("220")
	if err == nil {
		err = t.command("250", "LHLO localhost")
	}
	for _, l := range letters {
		if err != nil {
			break
		}
		err = t.deliver(l, recipient)
	}
	if err == nil {
		err = t.command("221", "QUIT")
	}
	return errors.Join(err, conn.Close())
}

// command sends a line and waits for the code.
func (t *talk) command(code, line string) error {
	if err := t.step(); err != nil {
		return err
	}
	t.w.WriteString(line + "\r\n")
	if err := t.w.Flush(); err != nil {
		return err
	}
	if err := t.expect(code); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

// expect reads a reply of one or more lines. RFC 5321 section 4.2.1.
func (t *talk) expect(code string) error {
	for {
		line, err := t.line()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, code) {
			return fmt.Errorf("the server says %q", line)
		}
		if !strings.HasPrefix(line[len(code):], "-") {
			return nil
		}
	}
}

func (t *talk) deliver(l *letter, recipient string) error {
	text, err := l.open()
	if err != nil {
		return err
	}
	defer func() { _ = text.Close() }() // it was only read
	for _, c := range []struct{ code, line string }{
		{"250", "MAIL FROM:<" + l.sender + "> BODY=8BITMIME"}, {"250", "RCPT TO:<" + recipient + ">"}, {"354", "DATA"},
	} {
		if err := t.command(c.code, c.line); err != nil {
			return err
		}
	}
	sum := sha256.New()
	l.octets = count(sum, "Return-Path: <"+l.sender+">\r\nDelivered-To: "+recipient+"\r\n")
	t.w.BeginText()
	n, err := t.w.TextFrom(io.TeeReader(wire.NewNormalReader(text, make([]byte, 64<<10), nil), sum))
	if err != nil {
		return err
	}
	l.octets += n
	l.sum = [sha256.Size]byte(sum.Sum(nil))
	t.w.EndText()
	if err := errors.Join(t.step(), t.w.Flush()); err != nil {
		return err
	}
	return t.expect("250")
}

func count(h hash.Hash, s string) int64 {
	n, _ := io.WriteString(h, s) // a hash never fails
	return int64(n)
}
