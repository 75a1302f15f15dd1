// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// Prep prepares a name or password by SASLprep, RFC 4013: different ways to
// type the same text become the same octets. It fails with an error that is
// ErrMalformed when the text is no UTF-8 or holds what must not be in a name
// or password, such as control characters.
//
// Code points that Unicode 3.2 did not know are let through, as RFC 4013 lets
// a query, so that a password of today's characters works on both sides.
func Prep(s string) (string, error) {
	if plain, ok := prepASCII(s); plain {
		if !ok {
			return "", fmt.Errorf("%w: a control character in a name or password", ErrMalformed)
		}
		return s, nil
	}
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%w: a name or password is not UTF-8", ErrMalformed)
	}
	mapped := norm.NFKC.String(strings.Map(mapPrep, s))
	for _, r := range mapped {
		if prohibited(r) {
			return "", fmt.Errorf("%w: character %U must not be in a name or password", ErrMalformed, r)
		}
	}
	if !bidiOK(mapped) {
		return "", fmt.Errorf("%w: a name or password mixes directions of writing", ErrMalformed)
	}
	return mapped, nil
}

// prepASCII reports whether s is ASCII only, and then whether it is allowed.
func prepASCII(s string) (plain, ok bool) {
	ok = true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false, false
		}
		ok = ok && s[i] >= ' ' && s[i] != 0x7f
	}
	return true, ok
}

// mapPrep maps other spaces to SPACE (RFC 3454 table C.1.2) and drops what is
// commonly mapped to nothing (table B.1). RFC 4013 section 2.1.
func mapPrep(r rune) rune {
	switch {
	case r == 0x00a0, r == 0x1680, r >= 0x2000 && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	case r == 0x00ad, r == 0x034f, r == 0x1806, r >= 0x180b && r <= 0x180d,
		r >= 0x200b && r <= 0x200d, r == 0x2060, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff:
		return -1
	}
	return r
}

// prohibited are the tables C.1.2, C.2.1, C.2.2 and C.3 to C.9 of RFC 3454.
// RFC 4013 section 2.3.
func prohibited(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0xa0, // controls, no-break space
		r == 0x06dd, r == 0x070f, r == 0x180e,
		r == 0x1680, r >= 0x2000 && r <= 0x200f, // spaces, joiners, direction marks
		r >= 0x2028 && r <= 0x202f, // separators, embeddings
		r == 0x205f, r >= 0x2060 && r <= 0x2063, r >= 0x206a && r <= 0x206f,
		r == 0x0340, r == 0x0341, // deprecated
		r >= 0x2ff0 && r <= 0x2ffb, r == 0x3000, // ideographic description, space
		r >= 0xd800 && r <= 0xdfff, r >= 0xe000 && r <= 0xf8ff, // surrogates, private use
		r >= 0xfdd0 && r <= 0xfdef, r == 0xfeff, r >= 0xfff9 && r <= 0xfffd,
		r >= 0x1d173 && r <= 0x1d17a, r == 0xe0001, r >= 0xe0020 && r <= 0xe007f,
		r&0xfffe == 0xfffe,            // non-characters
		r >= 0xf0000 && r <= 0x10ffff: // private use
		return true
	}
	return false
}

// bidiOK checks RFC 3454 section 6: a text with right-to-left characters has
// no left-to-right ones, and begins and ends with right-to-left ones.
func bidiOK(s string) bool {
	var right, left, first, last bool
	for i, r := range s {
		p, _ := bidi.LookupRune(r)
		class := p.Class()
		rtl := class == bidi.R || class == bidi.AL
		right = right || rtl
		left = left || class == bidi.L
		if i == 0 {
			first = rtl
		}
		last = rtl
	}
	return !right || !left && first && last
}

// escapeName writes a name as SCRAM and OAUTHBEARER want it. RFC 5802 section
// 5.1.
func escapeName(s string) string {
	return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s)
}

// unescapeName undoes escapeName; ok is false where an "=" stands alone.
func unescapeName(s string) (name string, ok bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), true
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		s = after[2:]
	}
}
