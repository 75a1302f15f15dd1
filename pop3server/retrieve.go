// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// retrCommand sends a message. RFC 1939 section 5, RETR.
func (c *conn) retrCommand(cmd pop3.Command) Ending {
	n, end, ok := c.message(cmd)
	if !ok {
		return end
	}
	size, ok := c.readable(n)
	if !ok {
		return ""
	}
	watch := c.startRetrieval()
	sent, end := c.send(n, size+pop3.MaxStatus, func(r io.Reader) error {
		watch.open()
		b := append(c.w.Available(), "+OK "...)
		b = strconv.AppendInt(b, size, 10)
		c.row(append(b, c.say(" octets")...))
		c.w.BeginText()
		got, err := c.w.TextFrom(r)
		return c.whole(got, size, err)
	})
	if sent {
		c.count(func() { c.session.retrieved++ })
		watch.sent(c)
		c.noteRetrieved(n)
	}
	return end
}

// topCommand sends the header, the blank line and some lines of the body.
// RFC 1939 section 7, TOP.
func (c *conn) topCommand(cmd pop3.Command) Ending {
	words, ok := cmd.Words(nil, 2)
	if !ok || len(words) != 2 {
		return c.wrongCommand("TOP takes the number of a message and of lines")
	}
	n, end, ok := c.number1(words[0])
	if !ok {
		return end
	}
	lines, err := strconv.ParseUint(words[1], 10, 31)
	if err != nil {
		return c.wrongCommand("a number of lines is a decimal number")
	}
	size, ok := c.readable(n)
	if !ok {
		return ""
	}
	sent, end := c.send(n, min(size, topRead)+pop3.MaxStatus, func(r io.Reader) error {
		c.ok("top of the message follows")
		c.w.BeginText()
		top := topReader{src: r, lines: int64(lines)}
		got, err := c.w.TextFrom(&top)
		if top.cut && err == nil {
			return nil
		}
		return c.whole(got, size, err)
	})
	if sent {
		c.count(func() { c.session.top++ })
	}
	return end
}

// readable returns the size of message n, or refuses: one that was received with
// SMTPUTF8 goes only to a client that has said UTF8. It can be deleted all the
// same, which is then meant. What was received without it goes out as it is
// stored, whatever its octets are. RFC 6856 sections 2.1 and 5.
func (c *conn) readable(n int) (size int64, ok bool) {
	info := c.session.snap.Info(n)
	if info.SMTPUTF8 && !c.speech.utf8 {
		c.refuse(pop3.CodeUTF8, "the message needs UTF8, which is said before signing in")
		return 0, false
	}
	return info.Size, true
}

// whole makes an error of a stream that ended well at a wrong place. An error
// of the connection has stopped the copying early and is told elsewhere.
func (c *conn) whole(got, size int64, err error) error {
	if err == nil && got != size && c.w.Err() == nil {
		return fmt.Errorf("%w: %d octets announced, %d there", maildrop.ErrDamaged, size, got)
	}
	return err
}

// send sends what write makes of message n, and ends it with the dot only when
// there was no error. Until octets of it are on their way an error is answered
// -ERR in place of what was written; after that closing the connection is the
// only way to tell it. RFC 1939 section 3 knows no other.
//
// The answer is expected to have some octets, as far as that is known.
func (c *conn) send(n int, octets int64, write func(io.Reader) error) (bool, Ending) {
	if err := c.w.Prepare(octets); err != nil {
		return false, c.writeFailed(err)
	}
	r, err := c.session.snap.Message(c.ctx, n)
	if err != nil {
		return false, c.sendFailed(n, err, true)
	}
	defer r.Close() // nothing was written to it
	mark, sent := c.w.Buffered(), c.w.Sent()
	err = write(r)
	if werr := c.w.Err(); werr != nil {
		return false, c.writeFailed(werr)
	}
	if err != nil {
		return false, c.sendFailed(n, err, c.w.Truncate(mark, sent))
	}
	c.w.EndText()
	return true, ""
}

// sendFailed notes that message n could not be read to its end, so that it
// cannot be deleted, and tells the client in the way that is left.
func (c *conn) sendFailed(n int, err error, unsent bool) Ending {
	s := c.session
	if why := c.meter.interrupted(); why != "" && c.ctx.Err() != nil {
		c.cut = !unsent
		return why
	}
	if errors.Is(err, maildrop.ErrRevoked) {
		c.cut = !unsent
		return EndRevoked
	}
	if s.failed == nil {
		s.failed = make(map[int]struct{})
	}
	s.failed[n] = struct{}{}
	c.log(slog.LevelError, "a message cannot be read", slog.String("user", s.principal.Name),
		slog.String("maildrop", string(s.key.maildrop)), slog.Int("message", n),
		slog.String("uid", s.snap.Info(n).UID), slog.Any("error", err))
	if !unsent {
		c.cut = true
		return EndDamaged
	}
	c.refuseFailure(err, "the message cannot be read")
	return ""
}

// topRead is how many octets are read at a time for TOP. A header is small: not
// more of the body is read than comes with it.
const topRead = 4096

// topReader gives a message up to the end of its header and of some lines
// behind it, reading little further than that.
type topReader struct {
	src   io.Reader
	lines int64 // of the body, still to give
	body  bool
	line  int  // octets of the line so far
	cut   bool // it ended before the source did
}

// Read implements io.Reader.
func (t *topReader) Read(p []byte) (int, error) {
	if t.body && t.lines == 0 {
		t.cut = true
		return 0, io.EOF
	}
	n, err := t.src.Read(p[:min(len(p), topRead)])
	given := t.scan(p[:n])
	if t.body && t.lines == 0 && err == io.EOF {
		err = nil
	}
	return given, err
}

// scan returns how many octets of p are to be given. The border between header
// and body is the first empty line.
func (t *topReader) scan(p []byte) int {
	for i := 0; i < len(p); {
		j := bytes.IndexByte(p[i:], '\n')
		if j < 0 {
			t.line += len(p) - i
			return len(p)
		}
		length := t.line + j + 1 // with CRLF
		t.line, i = 0, i+j+1
		switch {
		case t.body:
			t.lines--
		case length <= 2:
			t.body = true
		default:
			continue
		}
		if t.lines == 0 {
			return i
		}
	}
	return len(p)
}
