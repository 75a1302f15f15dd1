// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"errors"
	"testing"
)

func TestPrep(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		// RFC 4013 section 3
		{"I\u00adX", "IX"}, {"user", "user"}, {"USER", "USER"}, {"\u00aa", "a"}, {"\u2168", "IX"},
		{"a\u00a0b", "a b"}, {"e\u0301", "\u00e9"}, {"", ""}, {"pass word", "pass word"},
		{"\u05d0\u05d1", "\u05d0\u05d1"}, {"\u0627\u0031\u0628", "\u0627\u0031\u0628"},
		{"\U0001f511", "\U0001f511"}, // a key, younger than Unicode 3.2
	} {
		if got, err := Prep(test.in); got != test.want || err != nil {
			t.Errorf("%q: %q, %v; want %q", test.in, got, err, test.want)
		}
	}
	for _, bad := range []string{
		"\x07", "\u0627\u0031", // RFC 4013 section 3
		"a\x7f", "a\u0080ü", "\xff", "\u05d0a", "a\u200eb", "\ue000", "\ufdd0", "\U0001ffff", "\ufffd", "a\u2028",
	} {
		if got, err := Prep(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

func FuzzPrep(f *testing.F) {
	for _, s := range []string{"user", "I\u00adX", "\u0627\u0031\u0628", "\xff", "=2C,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := Prep(s)
		if err != nil {
			return
		}
		if twice, err := Prep(once); twice != once || err != nil {
			t.Errorf("%q gives %q, and that gives %q, %v", s, once, twice, err)
		}
		if back, ok := unescapeName(escapeName(once)); back != once || !ok {
			t.Errorf("%q escaped and back is %q", once, back)
		}
	})
}
