// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"restante.example/internal/wire"
	"restante.example/pop3"
)

// Message is a message, or the top of one, while it arrives: its octets as the
// server stores them, in wire form (CRLF), with dot-stuffing undone. It is an
// io.ReadCloser and an io.WriterTo.
//
// Its end is io.EOF only behind the terminating dot. If anything else ends it,
// what came is not the message: io.ErrUnexpectedEOF where the server closed
// the connection, a *LimitError where it went on and on.
type Message struct {
	// Number is the message number that was asked for.
	Number int

	c       *Client
	command string
	text    *wire.DotReader
	octets  int64
	limit   int64
	end     func() // of the operation; nil where it goes on behind the message
	err     error  // sticky
}

// Retr asks for a message. Until it has been read to its end or closed, the
// Client is busy; ctx holds until then. Some servers hide from later sessions
// what was retrieved in one that ended with QUIT. RFC 1939 section 5.
func (c *Client) Retr(ctx context.Context, want Want) (*Message, error) {
	return c.stream(ctx, "RETR", want.Number, c.limitOf(want.Size), strconv.Itoa(want.Number))
}

// Top asks for the header of a message and the given number of lines of its
// body, like Retr. It is optional: a *pop3.Error may mean that the server has
// none. RFC 1939 section 7.
func (c *Client) Top(ctx context.Context, n, lines int) (*Message, error) {
	return c.stream(ctx, "TOP", n, c.opt.MaxMessage, strconv.Itoa(n), strconv.Itoa(lines))
}

func (c *Client) stream(ctx context.Context, command string, n int, limit int64, args ...string) (*Message, error) {
	line, err := commandLine(command, args...)
	if err != nil {
		return nil, err
	}
	end, err := c.begin(ctx, pop3.Transaction, command)
	if err != nil {
		return nil, err
	}
	if _, err := c.roundTrip(command, line, line); err != nil {
		end()
		return nil, err
	}
	m := c.newMessage(command, n, limit)
	m.end = end
	return m, nil
}

func (c *Client) newMessage(command string, n int, limit int64) *Message {
	c.conn.startText()
	return &Message{Number: n, c: c, command: command, text: wire.NewDotReader(c.r), limit: limit}
}

// limitOf returns how long a message of an announced size may be. The size is
// a hint: a server may count LF for CRLF, or estimate.
func (c *Client) limitOf(size int64) int64 {
	if size <= 0 || size > (math.MaxInt64-c.opt.SizeSlack)/2 {
		return c.opt.MaxMessage
	}
	return min(2*size+c.opt.SizeSlack, c.opt.MaxMessage)
}

// Octets returns how many octets have been read.
func (m *Message) Octets() int64 { return m.octets }

// Read implements io.Reader.
func (m *Message) Read(p []byte) (int, error) {
	if m.err != nil || len(p) == 0 {
		return 0, m.err
	}
	n, err := m.text.Read(p)
	m.octets += int64(n)
	switch {
	case err == io.EOF:
		m.c.traceText(m.octets, "octets of text")
		m.finish(io.EOF)
	case err != nil:
		m.finish(m.c.fail(fmt.Sprintf("%s %d, after %d octets", m.command, m.Number, m.octets), err))
	case m.octets > m.limit:
		n -= int(m.octets - m.limit)
		m.octets = m.limit
		m.finish(m.c.fail(m.command, &LimitError{What: "message " + strconv.Itoa(m.Number), Limit: m.limit}))
		return n, m.err
	default:
		return n, nil
	}
	return n, m.err
}

// WriteTo implements io.WriterTo: io.Copy needs no buffer of its own. After an
// error of w the rest can still be read.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	if m.c.scratch == nil {
		m.c.scratch = make([]byte, 32<<10)
	}
	var total int64
	for {
		n, err := m.Read(m.c.scratch)
		if n > 0 {
			written, err := w.Write(m.c.scratch[:n])
			total += int64(written)
			if err == nil && written < n {
				err = io.ErrShortWrite
			}
			if err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (m *Message) finish(err error) {
	m.err = err
	if m.end != nil {
		m.end()
		m.end = nil
	}
}

var errMessageClosed = errors.New("pop3client: the message was closed before its end")

// Close passes over what was not read, up to 8 MiB; with more than that the
// connection is given up. It fails only where passing over does.
func (m *Message) Close() error {
	if m.err != nil {
		return nil
	}
	if m.c.scratch == nil {
		m.c.scratch = make([]byte, 32<<10)
	}
	for from := m.octets; ; {
		_, err := m.Read(m.c.scratch)
		switch {
		case err == io.EOF:
			m.err = errMessageClosed
			return nil
		case err != nil:
			return err
		case m.octets-from > maxDrain:
			m.finish(m.c.fail(m.command, errAbandoned))
			return m.err
		}
	}
}
