// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import "bytes"

// unixLines turns CRLF into LF, piece by piece; a lone CR stays. The zero
// value is ready.
type unixLines struct {
	cr bool // a CR was held back: the next octet decides
}

var crlf = []byte("\r\n")

// append appends the converted src to dst.
func (u *unixLines) append(dst, src []byte) []byte {
	if len(src) == 0 {
		return dst
	}
	if u.cr && src[0] != '\n' {
		dst = append(dst, '\r')
	}
	u.cr = src[len(src)-1] == '\r'
	if u.cr {
		src = src[:len(src)-1]
	}
	for {
		i := bytes.Index(src, crlf)
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		dst = append(dst, '\n')
		src = src[i+2:]
	}
}

// finish appends what was held back.
func (u *unixLines) finish(dst []byte) []byte {
	if u.cr {
		u.cr = false
		dst = append(dst, '\r')
	}
	return dst
}
