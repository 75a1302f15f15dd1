// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package pop3 holds the words of the Post Office Protocol, version 3: its
// states, commands, capabilities, response codes and the rules for numbers
// and unique ids. It does no input or output; package pop3client speaks to a
// server with it and package pop3server to a mail program.
//
// All sizes are in octets as they travel, that is with CRLF line ends and
// before dot-stuffing (RFC 1939 section 11). Everything here is a value or a
// pure function and may be used by any number of goroutines.
package pop3

// State is where a conversation stands. RFC 1939 section 3.
type State uint8

// The states of a conversation, in the order in which they come.
const (
	// Authorization is the state before sign-in. RFC 1939 section 4.
	Authorization State = iota
	// Transaction is the state after sign-in. RFC 1939 section 5.
	Transaction
	// Update is entered by QUIT after sign-in; messages are removed there.
	// RFC 1939 section 6.
	Update
)

// String returns the name of the state as RFC 1939 writes it.
func (s State) String() string {
	switch s {
	case Authorization:
		return "AUTHORIZATION"
	case Transaction:
		return "TRANSACTION"
	case Update:
		return "UPDATE"
	}
	return "unknown state"
}

// Limits that the RFCs set, in octets.
const (
	// MaxCommand is the longest command line, its CRLF included.
	// RFC 2449 section 4.
	MaxCommand = 255
	// MaxStatus is the longest first line of a reply, its CRLF included.
	// RFC 2449 section 4.
	MaxStatus = 512
	// MaxUID is the longest unique id. RFC 1939 section 7, UIDL.
	MaxUID = 70
)

// Ports registered for the protocol.
const (
	// Port is the port on which a conversation starts in clear text.
	Port = 110
	// PortTLS is the port on which TLS starts at once. RFC 8314 section 3.
	PortTLS = 995
)

// ALPN is the application protocol name that both sides use under TLS.
const ALPN = "pop3"
