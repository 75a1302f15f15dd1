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

// direct is the least number of octets that are read for a caller's memory to be
// filled without a copy in between.
const direct = 4096

// NewNormalReader reads from src by way of in, 512 octets at least, and out, which
// may be nil and should hold twice as much and a CRLF. Both are in use as long as
// the reader is.
func NewNormalReader(src io.Reader, in, out []byte) *NormalReader {
	return &NormalReader{src: src, in: in, out: out[:0]}
}

// Read implements io.Reader.
func (r *NormalReader) Read(p []byte) (int, error) {
	for r.pos == len(r.out) {
		if r.err != nil {
			return 0, r.err
		}
		if room := len(p)/2 - 1; room >= direct {
			if n := len(r.fill(p[:0], min(room, len(r.in)))); n > 0 {
				return n, nil
			}
			continue
		}
		r.out, r.pos = r.fill(r.out[:0], len(r.in)), 0
	}
	n := copy(p, r.out[r.pos:])
	r.pos += n
	return n, nil
}

// fill reads at most n octets and appends their wire form, up to 2n+2 octets, to dst.
func (r *NormalReader) fill(dst []byte, n int) []byte {
	n, r.err = r.src.Read(r.in[:n])
	dst = r.norm.Append(dst, r.in[:n])
	if r.err == io.EOF {
		dst = r.norm.Finish(dst)
	}
	return dst
}
