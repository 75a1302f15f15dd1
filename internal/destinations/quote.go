// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import "bytes"

// quoter puts a > in front of each line that begins with "From " behind any
// number of >, as mboxrd does, piece by piece. The zero value is ready.
type quoter struct {
	middle bool   // in a line that has been judged
	arrows bool   // behind the > that begin a line
	begin  []byte // perhaps the beginning of "From ", held back
}

var fromWord = []byte("From ")

func (q *quoter) append(dst, src []byte) []byte {
	for len(src) > 0 {
		if q.middle {
			i := bytes.IndexByte(src, '\n')
			if i < 0 {
				return append(dst, src...)
			}
			dst = append(dst, src[:i+1]...)
			src, q.middle = src[i+1:], false
			continue
		}
		c := src[0]
		src = src[1:]
		if c == '>' && len(q.begin) == 0 {
			dst, q.arrows = append(dst, c), true // one more behind it is one more in front
			continue
		}
		q.begin = append(q.begin, c)
		switch {
		case bytes.Equal(q.begin, fromWord):
			dst = append(dst, '>')
		case bytes.HasPrefix(fromWord, q.begin):
			continue
		}
		dst = append(dst, q.begin...)
		q.begin, q.arrows, q.middle = q.begin[:0], false, c != '\n'
	}
	return dst
}

// finish appends what was held back.
func (q *quoter) finish(dst []byte) []byte {
	if len(q.begin) > 0 {
		dst = append(dst, q.begin...)
		q.begin, q.middle = q.begin[:0], true
	}
	return dst
}

// lineStart reports whether the next octet begins a line.
func (q *quoter) lineStart() bool { return !q.middle && !q.arrows && len(q.begin) == 0 }
