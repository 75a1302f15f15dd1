// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"io"
)

// Writer collects lines and texts and writes them in as few writes as fit the
// buffer: a short answer is one write, and the end of a text is never split
// from its last line. It is used by one goroutine. An error of the connection
// stays: everything after it is dropped and Flush returns it.
type Writer struct {
	dst  io.Writer
	pool *Pool
	held loan
	buf  []byte // of held, as far as it is in use
	sent int64
	err  error

	lineStart bool // inside a text: the next octet begins a line
	cr        bool // inside a text: the last octet was a CR
}

// NewWriter returns a Writer that borrows its buffer from the pool.
func NewWriter(dst io.Writer, pool *Pool) *Writer {
	return &Writer{dst: dst, pool: pool}
}

// Reset goes on with dst; what was not flushed is dropped.
func (w *Writer) Reset(dst io.Writer) {
	w.Release()
	w.dst, w.err = dst, nil
}

// Sent returns how many octets have been written to the connection in all.
func (w *Writer) Sent() int64 { return w.sent }

// Buffered returns how many octets wait for Flush.
func (w *Writer) Buffered() int { return len(w.buf) }

// Truncate takes back what was written since Buffered returned n. It reports
// false, and does nothing, when some of that is on its way already.
func (w *Writer) Truncate(n int, sent int64) bool {
	if w.sent != sent || n > len(w.buf) {
		return false
	}
	w.buf = w.buf[:n]
	return true
}

// Available returns the free part of the buffer, empty but with room for at
// least 96 octets, for appending to; hand the result to Write. It is the way to
// write a row of a listing without allocating.
func (w *Writer) Available() []byte {
	w.room(96)
	return w.buf[len(w.buf):]
}

// WriteString writes s as it is.
func (w *Writer) WriteString(s string) {
	for len(s) > 0 {
		w.room(1)
		n := min(len(s), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, s[:n]...)
		s = s[n:]
	}
}

// Write writes p as it is. It fails only with an error of the connection.
func (w *Writer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		w.room(1)
		n := min(len(rest), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, rest[:n]...)
		rest = rest[n:]
	}
	return len(p), w.err
}

// Flush sends what has been collected and gives the buffer back.
func (w *Writer) Flush() error {
	w.send(0)
	w.Release()
	return w.err
}

// Err returns the error of the connection, if there was one.
func (w *Writer) Err() error { return w.err }

// Release gives the buffer back, and drops what is in it. A Writer that is left
// without Flush needs it: its pool would have one less to lend for ever.
func (w *Writer) Release() {
	w.pool.takeBack(w.held)
	w.held, w.buf = loan{}, nil
}

// room makes sure that n octets fit, n being less than the smallest buffer.
func (w *Writer) room(n int) {
	if w.held.buffer == nil {
		w.held = w.pool.lendShort()
		w.buf = (*w.held.buffer)[:0]
	}
	if w.free() < n && !w.grow() {
		w.send(tail)
	}
}

// free returns how many octets fit into the buffer that is held.
func (w *Writer) free() int { return cap(w.buf) - len(w.buf) }

// grow exchanges the buffer for a long one, if there is one to be had.
func (w *Writer) grow() bool {
	if w.held.long {
		return false
	}
	long, ok := w.pool.lendLong()
	if !ok {
		return false
	}
	buf := append((*long.buffer)[:0], w.buf...)
	w.Release()
	w.held, w.buf = long, buf
	return true
}

// Prepare makes room for an answer of some octets, so that as much of it as can
// be is taken back by Truncate: where it does not fit behind what is collected
// already, most of the buffer is emptied for it. The error is that of Err.
func (w *Writer) Prepare(octets int64) error {
	if octets > int64(w.free()) {
		w.grow()
	}
	if octets > int64(w.free()) && len(w.buf) > cap(w.buf)/4 {
		w.send(0)
	}
	return w.err
}

// tail is how many octets of a text are kept back, so that its last CRLF and
// the terminating dot go out in one write.
const tail = 2

// send writes all but the last keep octets.
func (w *Writer) send(keep int) {
	n := len(w.buf) - keep
	if n <= 0 {
		return
	}
	if w.err == nil {
		var sent int
		sent, w.err = w.dst.Write(w.buf[:n])
		w.sent += int64(sent)
	}
	w.buf = w.buf[:copy(w.buf, w.buf[n:])]
}

// BeginText starts a multi-line text, behind its status line.
func (w *Writer) BeginText() { w.lineStart, w.cr = true, false }

// EndText ends a text with the line of a single dot. A text that does not end
// in CRLF gets one first.
func (w *Writer) EndText() {
	if !w.lineStart {
		w.room(2)
		w.buf = append(w.buf, '\r', '\n')
	}
	w.room(3)
	w.buf = append(w.buf, '.', '\r', '\n')
}

// Text writes the next octets of a text, which is in wire form (CRLF), and
// doubles the dots that begin lines. RFC 1939 section 3.
func (w *Writer) Text(p []byte) {
	for len(p) > 0 {
		if w.lineStart && p[0] == '.' {
			w.room(2)
			w.buf = append(w.buf, '.', '.')
			p = p[1:]
			w.lineStart, w.cr = false, false
			continue
		}
		w.room(1)
		chunk := p[:min(len(p), cap(w.buf)-len(w.buf))]
		chunk = chunk[:w.plain(chunk)]
		w.buf = append(w.buf, chunk...)
		p = p[len(chunk):]
	}
}

// plain returns how many octets of chunk, one at least, go out as they are
// before a line begins with a dot, and notes how they end.
func (w *Writer) plain(chunk []byte) int {
	n := len(chunk)
	if w.cr && chunk[0] == '\n' && n > 1 && chunk[1] == '.' {
		n = 1
	} else if i := dotLine(chunk); i >= 0 {
		n = i + 2
	}
	if n >= 2 {
		w.cr = chunk[n-2] == '\r'
	}
	w.lineStart = w.cr && chunk[n-1] == '\n'
	w.cr = chunk[n-1] == '\r'
	return n
}

// TextFrom writes what r gives, to its end, as Text does, and returns how many
// octets r gave. The octets are read straight into the buffer, so that a
// message without leading dots is copied once only. The error is that of r,
// nil at io.EOF; errors of the connection are told by Err, and end the copying.
func (w *Writer) TextFrom(r io.Reader) (int64, error) {
	var total int64
	for w.err == nil {
		w.room(minBuffer / 2)
		from := len(w.buf)
		n, err := r.Read(w.buf[from:cap(w.buf)])
		total += int64(n)
		w.stuffInPlace(from, n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// stuffInPlace takes the n octets read to buf[from:] into the text. Up to the
// first line with a leading dot they are in place; the rest goes through Text.
func (w *Writer) stuffInPlace(from, n int) {
	chunk := w.buf[from : from+n]
	for len(chunk) > 0 {
		if w.lineStart && chunk[0] == '.' {
			rest := bytes.Clone(chunk)
			w.Text(rest)
			return
		}
		k := w.plain(chunk)
		w.buf = w.buf[:len(w.buf)+k]
		chunk = chunk[k:]
	}
}
