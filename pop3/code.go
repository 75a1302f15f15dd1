// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3

import "strings"

// Code is an extended response code, the word in brackets behind +OK or -ERR,
// in upper case and without its brackets. RFC 2449 section 8.
//
// A Code is an error, so that errors.Is(err, pop3.CodeInUse) asks whether a
// refusal carried it.
type Code string

// The registered response codes.
const (
	// CodeInUse: another session holds the maildrop. RFC 2449 section 8.1.2.
	CodeInUse Code = "IN-USE"
	// CodeLoginDelay: the last sign-in was too recent. RFC 2449 section 8.1.1.
	CodeLoginDelay Code = "LOGIN-DELAY"
	// CodeSysTemp: something at the server fails and may work later. RFC 3206 section 4.
	CodeSysTemp Code = "SYS/TEMP"
	// CodeSysPerm: something at the server fails until a person mends it. RFC 3206 section 4.
	CodeSysPerm Code = "SYS/PERM"
	// CodeAuth: the credentials are wrong, and nothing else is. RFC 3206 section 5.
	CodeAuth Code = "AUTH"
	// CodeUTF8: the message or name needs a session that has said UTF8. RFC 6856 section 5.
	CodeUTF8 Code = "UTF8"
)

// Error returns the code in its brackets.
func (c Code) Error() string { return "[" + string(c) + "]" }

// Temporary reports whether the same request may succeed later without
// anybody changing anything. It looks at the code alone, never at the text.
func (c Code) Temporary() bool {
	switch top, _, _ := strings.Cut(string(c), "/"); {
	case c == CodeSysTemp, c == CodeInUse, c == CodeLoginDelay:
		return true
	case top == "SYS":
		return c != CodeSysPerm
	}
	return false
}

// Is reports whether target is the same code or the hierarchy above it: a
// reply with [SYS/TEMP/DISK] is CodeSysTemp too. RFC 3206 section 3.
func (c Code) Is(target error) bool {
	t, ok := target.(Code)
	return ok && (c == t || strings.HasPrefix(string(c), string(t)+"/"))
}

// Error is a refusal: a reply that began with -ERR. The client returns what
// the server said; a server's backends return one to choose the reply.
type Error struct {
	// Command is the word of the command that was refused, such as "RETR";
	// empty for the greeting. A server ignores it.
	Command string
	// Code is the response code, or empty.
	Code Code
	// Text is the human-readable rest, one line. What a client found there
	// has been stripped of control characters.
	Text string
}

// Error returns command, code and text in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("pop3: ")
	if e.Command != "" {
		b.WriteString(e.Command)
		b.WriteString(" refused: ")
	}
	if e.Code != "" {
		b.WriteString(e.Code.Error())
		b.WriteByte(' ')
	}
	if e.Text == "" && e.Code == "" {
		b.WriteString("no reason given")
	}
	b.WriteString(e.Text)
	return strings.TrimSuffix(b.String(), " ")
}

// Is makes errors.Is(err, pop3.CodeInUse) work.
func (e *Error) Is(target error) bool { return e.Code != "" && e.Code.Is(target) }

// Temporary reports whether trying the same again later makes sense.
func (e *Error) Temporary() bool { return e.Code.Temporary() }
