// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"regexp"
	"strings"
	"testing"
)

var awkward = []string{
	"", "\r", "\n", "\r\n", "a\r\nb\r\n", "lone\rcr\r\n", "a\r\r\n", "\r\r\r\n\r", "no end", "ends in cr\r",
	"From a\r\n>From b\r\nFrom\r\n>>>From c\r\nx From d\r\n", ">\r\n>>\r\nF\r\nFr\r\nFromm\r\n", "From ", ">From", "Fro", ">>>",
	strings.Repeat(">", 5000) + "From x\r\n", "nul\x00\xff\r\n", "From \r\nFrom \r\n",
}

func inPieces(s string, size int, take func([]byte)) {
	for len(s) > 0 {
		n := min(size, len(s))
		take([]byte(s[:n]))
		s = s[n:]
	}
}

func TestUnixLines(t *testing.T) {
	for _, in := range awkward {
		want := strings.ReplaceAll(in, "\r\n", "\n")
		for size := 1; size < 9; size++ {
			var u unixLines
			var got []byte
			inPieces(in, size, func(p []byte) { got = u.append(got, p) })
			got = u.finish(got)
			if string(got) != want {
				t.Errorf("%.40q by %d: got %.60q, want %.60q", in, size, got, want)
			}
		}
	}
}

func TestQuoter(t *testing.T) {
	model := regexp.MustCompile("(?m)^(>*From )")
	for _, in := range awkward {
		in = strings.ReplaceAll(in, "\r\n", "\n")
		want := model.ReplaceAllString(in, ">$1")
		for size := 1; size < 9; size++ {
			var q quoter
			var got []byte
			inPieces(in, size, func(p []byte) { got = q.append(got, p) })
			got = q.finish(got)
			if string(got) != want {
				t.Errorf("%.40q by %d: got %.60q, want %.60q", in, size, got, want)
			}
			if q.lineStart() != (in == "" || strings.HasSuffix(in, "\n")) {
				t.Errorf("%.40q: line start %t", in, q.lineStart())
			}
		}
	}
}
