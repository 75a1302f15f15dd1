// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3

import (
	"errors"
	"strings"
)

// Status is the first line of a reply, taken apart.
type Status struct {
	// OK is true for +OK, false for -ERR.
	OK bool
	// Code is the response code in upper case, or empty.
	Code Code
	// Text is the rest of the line, as it came.
	Text string
}

// ErrStatus is returned by ParseStatus for a line that is no status line.
var ErrStatus = errors.New("pop3: a reply must start with +OK or -ERR")

// ParseStatus takes a first reply line apart; the line comes without its line
// end. A bracketed word counts as response code only where its form is that of
// one (RFC 2449 section 8), so that "-ERR [no such user]" keeps its text.
func ParseStatus(line string) (Status, error) {
	var s Status
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case strings.EqualFold(word, "+OK"):
		s.OK = true
	case strings.EqualFold(word, "-ERR"):
	default:
		return Status{}, ErrStatus
	}
	s.Text = strings.TrimLeft(rest, " ")
	if !strings.HasPrefix(s.Text, "[") {
		return s, nil
	}
	code, text, found := strings.Cut(s.Text[1:], "]")
	if !found || !isCode(code) {
		return s, nil
	}
	s.Code = Code(strings.ToUpper(code))
	s.Text = strings.TrimLeft(text, " ")
	return s, nil
}

// isCode reports whether s has the form of a response code: printable ASCII
// without blanks, brackets or a trailing slash. RFC 2449 section 8.
func isCode(s string) bool {
	if s == "" || s[0] == '/' || s[len(s)-1] == '/' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '[' || c == '(' {
			return false
		}
	}
	return true
}

// Err returns nil for +OK and the refusal of the named command for -ERR.
func (s Status) Err(command string) error {
	if s.OK {
		return nil
	}
	return &Error{Command: command, Code: s.Code, Text: Printable(s.Text)}
}

// Printable returns s without its control characters, so that a text that a
// peer sent can be shown on a terminal: C0, DEL and C1 characters and octets
// that are no UTF-8 become '?'.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' || isBidi(r) {
			return '?'
		}
		return r
	}, s)
}

// isBidi reports whether r reorders the text around it, which would let a
// peer disguise what is shown.
func isBidi(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}
