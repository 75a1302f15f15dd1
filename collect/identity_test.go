// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"crypto/sha256"
	"strings"
	"testing"
	"testing/iotest"
)

func identityOf(t *testing.T, s string, piece int) (content, header Hash) {
	t.Helper()
	id := newIdentity()
	r := strings.NewReader(s)
	buf := make([]byte, piece)
	if err := copyAll(id, iotest.DataErrReader(r), buf); err != nil {
		t.Fatal(err)
	}
	content, header, n := id.result()
	if n != int64(len(s)) {
		t.Errorf("%d octets of %d", n, len(s))
	}
	return content, header
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct{ in, header, rest string }{
		{"A: b\r\n\r\nbody\r\n", "A: b\r\n", "\r\nbody\r\n"},
		{"Status: RO\r\nA: b\r\nX-UID: 17\r\n\r\nStatus: in the body\r\n", "A: b\r\n", "\r\nStatus: in the body\r\n"},
		{"A: b\r\nX-IMAPbase: 1 2\r\n  3\r\n\tfour\r\nC: d\r\n e\r\n\r\n", "A: b\r\nC: d\r\n e\r\n", "\r\n"},
		{"statuses: x\r\n\r\n", "statuses: x\r\n", "\r\n"},
		{"no body", "no body", ""},
		{"\r\nStatus: body", "", "\r\nStatus: body"},
		{"", "", ""},
		{"St", "St", ""},
		{"Status:", "", ""},
		{"A: " + strings.Repeat("long", 10000) + "\r\n\r\n", "A: " + strings.Repeat("long", 10000) + "\r\n", "\r\n"},
	} {
		for _, piece := range []int{1, 2, 3, 7, 11, 64, 1 << 16} {
			content, header := identityOf(t, c.in, piece)
			if content != sha256.Sum256([]byte(c.header+c.rest)) || header != sha256.Sum256([]byte(c.header)) {
				t.Errorf("%.40q in pieces of %d: not the hashes of what counts", c.in, piece)
			}
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for _, account := range []string{"a", "ab"} {
		for _, uid := range []string{"", "b", "bc"} {
			for _, content := range []Hash{{}, {1}} {
				for nth := range 2 {
					seen[messageKey(account, uid, content, nth)] = true
				}
			}
		}
	}
	if len(seen) != 24 {
		t.Errorf("%d keys of 24", len(seen))
	}
}
