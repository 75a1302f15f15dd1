// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"restante.example/pop3server/pop3fault"
)

// TestMessages: what travels is un-stuffed exactly, whatever it is made of and
// however it is cut into reads.
func TestMessages(t *testing.T) {
	for _, test := range []struct{ sent, want string }{
		{`.\r\n`, ""},
		{`\r\n.\r\n`, "\r\n"},
		{`..\r\n.\r\n`, ".\r\n"},
		{`...\r\n.a\r\n.\r\n`, "..\r\na\r\n"},
		{`a\n.\nb\r\n.\r\n`, "a\n.\nb\r\n"},
		{`a\r.\rb\n.\r\nc\r\n.\r\n`, "a\r.\rb\n.\r\nc\r\n"},
		{`\0 8-bit ÿ \e\r\n.\r\n`, "\x00 8-bit ÿ \x1b\r\n"},
		{strings.Repeat("long line ", 20_000) + `\r\n.\r\n`, strings.Repeat("long line ", 20_000) + "\r\n"},
	} {
		for _, size := range []int{16, 64 << 10} {
			opt := *clear
			opt.BufferSize = size
			c := scripted(t, &opt, "C: RETR 1\nS: +OK\ns: "+test.sent+"\nC: NOOP\nS: +OK")
			m, err := c.Retr(t.Context(), Want{Number: 1})
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			n, err := m.WriteTo(&got)
			if err != nil || n != int64(got.Len()) || m.Octets() != n || got.String() != test.want {
				t.Errorf("%.50q: %.50q, %d, %v", test.sent, got.String(), n, err)
			}
			if _, err := m.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("behind the end: %v", err)
			}
			if err := c.Noop(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestLimitOf(t *testing.T) {
	c := &Client{opt: (&Options{MaxMessage: 1000, SizeSlack: 100}).withDefaults()}
	for size, want := range map[int64]int64{-1: 1000, 0: 1000, 1: 102, 200: 500, 450: 1000, 451: 1000, math.MaxInt64: 1000} {
		if got := c.limitOf(size); got != want {
			t.Errorf("announced %d: %d", size, got)
		}
	}
}

// TestMessageLimit: exactly the limit is given out, and one octet more ends it.
func TestMessageLimit(t *testing.T) {
	for limit, want := range map[int64]error{5: nil, 4: ErrLimit} {
		opt := *clear
		opt.MaxMessage = limit
		end := `.\r\n`
		if want != nil {
			end = "\nX: the client leaves"
		}
		c := scripted(t, &opt, "C: RETR 1\nS: +OK\ns: abc\\r\\n"+end)
		m, err := c.Retr(t.Context(), Want{Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(m)
		if string(text) != "abc\r\n"[:limit] || !errors.Is(err, want) {
			t.Errorf("limit %d: %q, %v", limit, text, err)
		}
	}
}

// brokenWriter takes some octets and then fails.
type brokenWriter struct{ room int }

var errDisk = errors.New("disk full")

func (w *brokenWriter) Write(p []byte) (int, error) {
	n := min(w.room, len(p))
	w.room -= n
	if n < len(p) {
		return n, errDisk
	}
	return n, nil
}

// TestDestinationFails: an error of the writer is that message's only; the
// messages behind it are collected.
func TestDestinationFails(t *testing.T) {
	server, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: pop3fault.Numbered(3, 100_000)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := New(t.Context(), dialed(t, server), &Options{InsecurePassword: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	count := 0
	for m, err := range c.RetrAll(t.Context(), slices.Values([]Want{{1, 0}, {2, 0}, {3, 0}})) {
		if err != nil {
			t.Fatal(err)
		}
		room := 1 << 20
		if m.Number == 2 {
			room = 50_000
		}
		n, err := io.Copy(&brokenWriter{room}, m)
		if m.Number == 2 && (n != 50_000 || !errors.Is(err, errDisk)) || m.Number != 2 && (n != 100_000 || err != nil) {
			t.Errorf("%d: %d, %v", m.Number, n, err)
		}
		count++
	}
	if err := c.Quit(t.Context()); count != 3 || err != nil {
		t.Error(count, err)
	}
}

// TestMessageAfterItsTurn: a message that was not read cannot be read when the
// loop has gone on: it would be the next one's text.
func TestMessageAfterItsTurn(t *testing.T) {
	server, err := pop3fault.New(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := New(t.Context(), dialed(t, server), clear)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	var kept *Message
	for m, err := range c.RetrAll(t.Context(), slices.Values([]Want{{1, 0}, {2, 0}})) {
		if err != nil {
			t.Fatal(err)
		}
		if kept != nil {
			if n, err := kept.Read(make([]byte, 10)); n != 0 || !errors.Is(err, errMessageClosed) {
				t.Error(n, err)
			}
		}
		kept = m
	}
}
