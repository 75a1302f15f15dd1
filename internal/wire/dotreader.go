// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import "io"

// DotReader gives the text of a multi-line reply or of DATA with its
// dot-stuffing undone, up to the line with the single dot, which it consumes.
// Lines may have any length. Every line of the text keeps its CRLF.
//
// Its end is io.EOF. The end of the connection before it is
// io.ErrUnexpectedEOF: what came until then is not the whole text.
type DotReader struct {
	r         *Reader
	lineStart bool // the next octet begins a line
	cr        bool // the last octet was a CR
	err       error
}

// NewDotReader reads a text from r. Until it has returned io.EOF, r must not be
// read by others.
func NewDotReader(r *Reader) *DotReader {
	return &DotReader{r: r, lineStart: true}
}

// Read implements io.Reader. RFC 1939 section 3.
func (d *DotReader) Read(p []byte) (int, error) {
	if len(p) == 0 || d.err != nil {
		return 0, d.err
	}
	if d.lineStart {
		if d.err = d.beginLine(); d.err != nil {
			return 0, d.err
		}
	}
	if d.r.start == d.r.end {
		if d.err = d.fill(); d.err != nil {
			return 0, d.err
		}
	}
	chunk := d.r.buf[d.r.start:d.r.end]
	if len(chunk) > len(p) {
		chunk = chunk[:len(p)]
	}
	// A line that begins with a dot must be looked at, so stop in front of it.
	if d.cr && chunk[0] == '\n' {
		chunk = chunk[:1]
	} else if i := dotLine(chunk); i >= 0 {
		chunk = chunk[:i+2]
	}
	n := copy(p, chunk)
	d.r.start += n
	if n >= 2 {
		d.cr = p[n-2] == '\r'
	}
	d.lineStart = d.cr && p[n-1] == '\n'
	d.cr = p[n-1] == '\r'
	return n, nil
}

// beginLine looks at the first octets of a line: it drops a stuffed dot, and
// returns io.EOF behind the line that is a dot alone.
func (d *DotReader) beginLine() error {
	for d.r.Buffered() < 3 {
		b := d.r.buf[d.r.start:d.r.end]
		if len(b) > 0 && b[0] != '.' || len(b) > 1 && b[1] != '\r' {
			break
		}
		if err := d.fill(); err != nil {
			return err
		}
	}
	d.lineStart = false
	b := d.r.buf[d.r.start:d.r.end]
	if b[0] != '.' {
		return nil
	}
	if len(b) >= 3 && b[1] == '\r' && b[2] == '\n' {
		d.r.start += 3
		return io.EOF
	}
	d.r.start++
	return nil
}

func (d *DotReader) fill() error {
	err := d.r.fill(d.r.size)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
