// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"io"
)

// Normalizer brings a message into wire form, piece by piece: a bare LF
// becomes CRLF, a lone CR stays, and a final CRLF is added where there is none.
// The empty message stays empty. The zero value is ready.
type Normalizer struct {
	prev, last byte // the last two octets given out
	octets     int64
}

// Octets returns how many octets have been given out.
func (z *Normalizer) Octets() int64 { return z.octets }

// Append appends the wire form of src to dst.
func (z *Normalizer) Append(dst, src []byte) []byte {
	if len(src) == 0 {
		return dst
	}
	from := len(dst)
	last := z.last
	for rest := src; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			dst = append(dst, rest...)
			break
		}
		before := last
		if i > 0 {
			before = rest[i-1]
		}
		if before == '\r' {
			dst = append(dst, rest[:i+1]...)
		} else {
			dst = append(append(dst, rest[:i]...), '\r', '\n')
		}
		last = '\n'
		rest = rest[i+1:]
	}
	z.note(dst[from:])
	return dst
}

// Finish appends the CRLF that is missing at the end, if any.
func (z *Normalizer) Finish(dst []byte) []byte {
	if z.octets == 0 || z.prev == '\r' && z.last == '\n' {
		return dst
	}
	z.note([]byte("\r\n"))
	return append(dst, '\r', '\n')
}

func (z *Normalizer) note(out []byte) {
	z.octets += int64(len(out))
	switch n := len(out); {
	case n >= 2:
		z.prev, z.last = out[n-2], out[n-1]
	case n == 1:
		z.prev, z.last = z.last, out[0]
	}
}

// NormalReader gives the wire form of what a reader gives.
type NormalReader struct {
	src  io.Reader
	norm Normalizer
	in   []byte
	out  []byte
	pos  int
	err  error
}

// NewNormalReader reads from src in pieces of size octets, at least 512.
func NewNormalReader(src io.Reader, size int) *NormalReader {
	return &NormalReader{src: src, in: make([]byte, max(size, 512))}
}

// Read implements io.Reader.
func (r *NormalReader) Read(p []byte) (int, error) {
	for r.pos == len(r.out) {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.src.Read(r.in)
		r.out, r.pos = r.norm.Append(r.out[:0], r.in[:n]), 0
		if err == io.EOF {
			r.out = r.norm.Finish(r.out)
		}
		r.err = err
	}
	n := copy(p, r.out[r.pos:])
	r.pos += n
	return n, nil
}
