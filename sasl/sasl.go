// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package sasl has the mechanisms with which POP3, SMTP and IMAP sign in, both
// sides of each. The shape of a mechanism is that of the Simple Authentication
// and Security Layer (RFC 4422): challenges from the server, responses from
// the client, in lock-step, as raw octets; how they travel (base64 in POP3,
// RFC 5034) is the protocol's affair.
//
// A mechanism serves one exchange and one goroutine.
package sasl

import "errors"

// Client is the client side of one exchange.
type Client interface {
	// Start begins the exchange. It returns the mechanism's name and the
	// initial response: nil where the mechanism has none (the server speaks
	// first), empty but not nil where it is empty.
	Start() (mechanism string, initial []byte, err error)
	// Next answers a challenge. An error ends the exchange: the protocol
	// cancels it. A client that has verified the server says so by Done.
	Next(challenge []byte) (response []byte, err error)
	// Done reports whether the exchange is complete from this side. A success
	// that the server reports before is not to be believed (RFC 5802 section 5
	// demands the server's signature).
	Done() bool
}

// Server is the server side of one exchange.
type Server interface {
	// Next takes a response, nil before there was any (the client sent no
	// initial response), and returns the next challenge or done. Data that
	// comes with done must reach the client before success is told. An error
	// ends the exchange.
	Next(response []byte) (challenge []byte, done bool, err error)
}

// Errors of an exchange, for both sides.
var (
	// ErrMalformed: the peer's message does not have the mechanism's form.
	ErrMalformed = errors.New("sasl: malformed message")
	// ErrCredentials: the credentials are wrong.
	ErrCredentials = errors.New("sasl: wrong credentials")
	// ErrChannelBinding: the two sides do not see the same TLS connection;
	// somebody may stand between them.
	ErrChannelBinding = errors.New("sasl: channel binding does not match: the connection may be intercepted")
	// ErrServer: the server could not prove that it knows the password.
	ErrServer = errors.New("sasl: the server did not prove that it knows the password")
	// ErrUnexpected: a message came after the exchange was over.
	ErrUnexpected = errors.New("sasl: unexpected message")
)

// ChannelBinding ties an exchange to a TLS connection. RFC 5056.
type ChannelBinding struct {
	// Type is "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929).
	Type string
	// Data is what both sides can compute and nobody between them.
	Data []byte
}
