// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"restante.example/pop3"
)

// canned is a server that has said everything already and never listens.
type canned struct {
	net.Conn
	said io.Reader
	most int // octets a read
}

func (c canned) Read(p []byte) (int, error)         { return c.said.Read(p[:min(len(p), c.most)]) }
func (c canned) Write(p []byte) (int, error)        { return len(p), nil }
func (c canned) Close() error                       { return nil }
func (c canned) RemoteAddr() net.Addr               { return nil }
func (c canned) SetDeadline(time.Time) error        { return nil }
func (c canned) SetReadDeadline(t time.Time) error  { return nil }
func (c canned) SetWriteDeadline(t time.Time) error { return nil }

// FuzzClient: whatever a server says, every call returns, a message that ended
// well was ended by CRLF dot CRLF, and nothing unfit for a terminal is in an
// error. The octets arrive in short pieces, since what comes unasked ends the
// conversation.
func FuzzClient(f *testing.F) {
	f.Add([]byte("+OK\r\n+OK\r\nPIPELINING\r\nSASL PLAIN\r\n.\r\n+OK\r\n+OK\r\nPIPELINING\r\n.\r\n+OK 1 2\r\n+OK\r\n1 2\r\n.\r\n"), uint8(0))
	f.Add([]byte("+OK\r\n-ERR\r\n+OK\r\n+OK\r\n-ERR\r\n+OK\r\n+OK\r\n1 2\r\n.\r\n+OK\r\n1 a\r\n.\r\n+OK\r\n..\r\n.\r\n+OK\r\n.\r\n+OK\r\n+OK\r\n"), uint8(0))
	// CAPA, UTF8, USER, PASS, STAT, LIST, UIDL, CAPA, RETR, DELE (thrice), LANG (twice), QUIT.
	f.Add([]byte("+OK\r\n+OK\r\nUTF8 USER\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n+OK 1 2\r\n+OK\r\n1 2\r\n.\r\n+OK\r\n1 a\r\n.\r\n"+
		"+OK\r\nLANG\r\n.\r\n+OK\r\nx\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\nen English\r\nes \x1bEspa\xf1ol\r\n.\r\n+OK es \xff\r\n+OK\r\n"), uint8(0))
	f.Add([]byte("-ERR [IN-USE] \x1b[31m\r\n"), uint8(3))
	f.Add([]byte("+OK\r\n+OK\r\nSASL SCRAM-SHA-256\r\n.\r\n+ cj0=\r\n+ \r\n"), uint8(0))
	f.Fuzz(func(t *testing.T, said []byte, piece uint8) {
		conn := canned{said: bytes.NewReader(said), most: int(piece) + 1}
		opt := &Options{InsecurePassword: true, UTF8: true, BufferSize: 16, MaxRows: 100, MaxMessage: 1000, Trace: func(e Event) { fit(t, e.Text) }}
		c, err := New(t.Context(), conn, opt)
		fitError(t, err)
		if err != nil {
			return
		}
		fit(t, c.Greeting())
		converse(t, c, said)
		fitError(t, c.Err())
	})
}

// converse goes through the whole of a conversation.
func converse(t *testing.T, c *Client, said []byte) {
	ctx := context.Background()
	err := c.SignIn(ctx, u1)
	fitError(t, err)
	if err != nil {
		return
	}
	_, _, err = c.Stat(ctx)
	fitError(t, err)
	var wants []Want
	for row, err := range c.List(ctx) {
		fitError(t, err)
		if row.Number > 0 {
			wants = append(wants, Want{row.Number, row.Size})
		}
	}
	for row, err := range c.UIDL(ctx) {
		fitError(t, err)
		if len(row.UID) > maxRow || row.Number < 0 {
			t.Errorf("row %+v", row)
		}
	}
	for m, err := range c.RetrAll(ctx, slices.Values(wants)) {
		fitError(t, err)
		if err != nil {
			continue
		}
		n, err := io.Copy(io.Discard, m)
		fitError(t, err)
		end := "\r\n.\r\n"
		if n == 0 {
			end = end[1:] // behind a status line, which may end in a bare LF
		}
		if err == nil && (n > 1000 || !bytes.Contains(said, []byte(end))) {
			t.Errorf("a message of %d octets ended in %q", n, said)
		}
	}
	for _, err := range c.DeleAll(ctx, numbers(1, 3)) {
		fitError(t, err)
	}
	if c.caps.Has(pop3.CapLang) {
		languages, err := c.Languages(ctx)
		fitError(t, err)
		for _, l := range languages {
			fit(t, l.Tag+l.Name)
		}
		tag, err := c.Language(ctx, "es")
		fitError(t, err)
		fit(t, tag)
	}
	fitError(t, c.Quit(ctx))
}

func fit(t *testing.T, text string) {
	if text != pop3.Printable(text) {
		t.Errorf("unfit for a terminal: %q", text)
	}
}

func fitError(t *testing.T, err error) {
	if err != nil {
		// Errors that were joined stand on lines of their own.
		fit(t, string(bytes.ReplaceAll([]byte(err.Error()), []byte("\n"), nil)))
	}
}
