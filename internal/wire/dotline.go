// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import "bytes"

var crlfDot = []byte("\r\n.")

// dotLine returns where the first line end in p begins behind which a dot begins a
// line, or -1. It looks for dots: there are none in base64, which is what makes mail
// long, and so many line ends that stopping at each is half the cost of sending a
// message. Where dots are no rarer than line ends, it looks for those.
func dotLine(p []byte) int {
	const few = 8 // dots, and one more in each 64 octets
	for at, dots := len(crlfDot)-1, 0; at < len(p); dots++ {
		if dots > few+at/64 {
			from := at - (len(crlfDot) - 1)
			if i := bytes.Index(p[from:], crlfDot); i >= 0 {
				return from + i
			}
			return -1
		}
		i := bytes.IndexByte(p[at:], '.')
		if i < 0 {
			return -1
		}
		at += i
		if p[at-1] == '\n' && p[at-2] == '\r' {
			return at - 2
		}
		at++
	}
	return -1
}
