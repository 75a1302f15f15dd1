// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"errors"
	"fmt"

	"restante.example/pop3"
)

// Errors that callers decide by. All are matched by errors.Is.
var (
	// ErrBroken: the connection cannot be used any more; Err tells since when.
	ErrBroken = errors.New("pop3client: the connection is not usable any more")
	// ErrBusy: a listing or message is still being read.
	ErrBusy = errors.New("pop3client: another reply is still being read")
	// ErrState: the command does not belong to the state of the conversation.
	ErrState = errors.New("pop3client: not possible in this state of the conversation")
	// ErrArgument: an argument holds CR, LF or NUL, or the command would be too
	// long. Nothing was sent, and the connection is as good as before.
	ErrArgument = errors.New("pop3client: argument cannot be sent in a command")
	// ErrNoSTLS: TLS is wanted and the server does not offer it.
	ErrNoSTLS = errors.New("pop3client: the server offers no TLS (STLS)")
	// ErrNoGreeting: in clear text the server waits and says nothing, as one does
	// that wants TLS from the start.
	ErrNoGreeting = errors.New("pop3client: the server says nothing in clear text")
	// ErrClearText: the sign-in would show the password to the network.
	ErrClearText = errors.New("pop3client: no TLS, and the password is not sent in clear text")
	// ErrNotASCII: the server does not announce that it takes a name or password
	// beyond ASCII by USER or APOP.
	ErrNotASCII = errors.New("pop3client: the name or password is not ASCII, and the server announces no way to take it (UTF8 USER)")
	// ErrNoMechanism: no way to sign in is known to both sides.
	ErrNoMechanism = errors.New("pop3client: no common way to sign in")
	// ErrTokenTooLong: Microsoft refuses tokens over 4,096 characters.
	ErrTokenTooLong = errors.New("pop3client: the access token has more than 4,096 characters, which Microsoft's servers refuse")
	// ErrQuitLost: QUIT was sent and no reply came: the deletions may or may
	// not have been done.
	ErrQuitLost = errors.New("pop3client: no reply to QUIT: deletions may or may not have been done")
	// ErrTooSlow: the server sends less than Options.MinRate.
	ErrTooSlow = errors.New("the server sends too slowly")
	// ErrNoCapabilities: CAPA was not answered in time; Options.SkipCapabilities
	// on a new connection goes on without it.
	ErrNoCapabilities = errors.New("pop3client: the server does not answer CAPA")
	// ErrPipelining: the connection failed while more than one command was
	// under way; Options.NoPipelining on a new connection may help.
	ErrPipelining = errors.New("pop3client: the connection failed under pipelining")
	// ErrLimit is what each *LimitError is.
	ErrLimit = errors.New("pop3client: the server sends more than the limit")
	// ErrProtocol is what each *ProtocolError is.
	ErrProtocol = errors.New("pop3client: the server does not speak POP3")
	// ErrPin: no certificate with a pinned fingerprint; see CertificateFingerprint.
	ErrPin = errors.New("pop3client: the server's certificate is not the pinned one")
	// ErrSkipVerify: tls.Config.InsecureSkipVerify without VerifyConnection.
	ErrSkipVerify = errors.New("pop3client: certificate checks cannot be switched off; pin the certificate instead")
)

// LimitError says which bound the server exceeded.
type LimitError struct {
	What  string // "status line", "listing", "message 1", ...
	Limit int64  // octets, or rows for "listing"
}

// Error names the bound.
func (e *LimitError) Error() string {
	return fmt.Sprintf("the server's %s exceeds the limit of %d", e.What, e.Limit)
}

// Is makes errors.Is(err, ErrLimit) true.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// ProtocolError is a reply that is none.
type ProtocolError struct {
	Command string // the word of the command; empty for the greeting
	Line    string // the beginning of what came, fit for a terminal
}

// Error shows what came.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("not a POP3 reply: %q", e.Line)
}

// Is makes errors.Is(err, ErrProtocol) true.
func (e *ProtocolError) Is(target error) bool { return target == ErrProtocol }

// FarewellError is a refusal that answers nothing: the server ends the
// conversation, because it is going down or has waited for too long. It is no
// *pop3.Error, after which a conversation goes on.
type FarewellError struct {
	Code pop3.Code // such as [SYS/TEMP]; empty if there is none
	Text string    // fit for a terminal
}

// Error shows the server's words.
func (e *FarewellError) Error() string {
	said := e.Text
	if e.Code != "" {
		said = e.Code.Error() + " " + said
	}
	return "the server ends the conversation: " + said
}

// shown cuts what a peer sent to what fits into a message for a person.
func shown(line string) string {
	const most = 200
	if len(line) > most {
		line = line[:most] + "..."
	}
	return pop3.Printable(line)
}
