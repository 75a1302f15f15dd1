// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"io"
)

// Errors of a Reader. After ErrLineTooLong the conversation can go on; after
// ErrLineEndless it cannot.
var (
	// ErrLineTooLong: a line was longer than allowed. It has been read to its
	// end and dropped whole.
	ErrLineTooLong = errors.New("wire: line too long")
	// ErrLineEndless: a line was so much too long that its end was not waited for.
	ErrLineEndless = errors.New("wire: line without end")
)

// maxSkip is how many octets of an over-long line are dropped while looking
// for its end.
const maxSkip = 1 << 20

// Reader reads lines and raw octets from a connection. It is used by one
// goroutine.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int // buf[start:end] has been read from src and not been asked for
	size       int
	total      int64
}

// NewReader returns a Reader with a buffer of size octets, at least 16, which
// it keeps; a longer line borrows a larger one while it is read.
func NewReader(src io.Reader, size int) *Reader {
	return &Reader{src: src, size: max(size, 16)}
}

// Buffered returns how many octets have been received and not been read.
func (r *Reader) Buffered() int { return r.end - r.start }

// Received returns how many octets have come from the connection in all.
func (r *Reader) Received() int64 { return r.total }

// Reset drops everything that was received and goes on with src. STLS calls
// it, so that nothing said in clear text is taken for said under TLS.
// RFC 2595 section 4.
func (r *Reader) Reset(src io.Reader) {
	r.src, r.start, r.end = src, 0, 0
}

// fill reads more octets behind those that are there. The buffer grows to at
// most limit octets when it is full; a full buffer of that size is io.ErrShortBuffer.
func (r *Reader) fill(limit int) error {
	if r.start == r.end {
		r.start, r.end = 0, 0
		if len(r.buf) != r.size {
			r.buf = make([]byte, r.size) // the larger one of a long line goes back
		}
	}
	if r.end == len(r.buf) {
		if r.start > 0 {
			r.end = copy(r.buf, r.buf[r.start:r.end])
			r.start = 0
		} else {
			if len(r.buf) >= limit {
				return io.ErrShortBuffer
			}
			bigger := make([]byte, min(2*len(r.buf), limit))
			copy(bigger, r.buf)
			r.buf = bigger
		}
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.total += int64(n)
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// ReadLine returns the next line without its CRLF; a bare LF ends a line too.
// The line, its end included, is at most limit octets long, or else
// ErrLineTooLong. The octets are valid until the next call. The end of the
// stream in the middle of a line is io.ErrUnexpectedEOF.
func (r *Reader) ReadLine(limit int) ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[r.start+scanned:r.end], '\n'); i >= 0 {
			line := r.buf[r.start : r.start+scanned+i]
			r.start += scanned + i + 1
			if len(line)+1 > limit {
				return nil, ErrLineTooLong
			}
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		scanned = r.end - r.start
		if scanned >= limit {
			return nil, r.skipLine()
		}
		if err := r.fill(max(limit, r.size)); err != nil {
			if err == io.EOF && r.start < r.end {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// skipLine drops octets up to and with the next LF.
func (r *Reader) skipLine() error {
	for skipped := 0; skipped < maxSkip; {
		if i := bytes.IndexByte(r.buf[r.start:r.end], '\n'); i >= 0 {
			r.start += i + 1
			return ErrLineTooLong
		}
		skipped += r.end - r.start
		r.start = r.end
		if err := r.fill(r.size); err != nil {
			return err
		}
	}
	return ErrLineEndless
}

// Read gives octets as they came, those that are buffered first.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.start == r.end {
		if err := r.fill(r.size); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.start:r.end])
	r.start += n
	return n, nil
}
