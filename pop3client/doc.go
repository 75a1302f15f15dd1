// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package pop3client collects mail from a POP3 server: one Client is one
// connection. It dials (TLS from the start, STLS, a Unix socket, through a
// proxy, or over a connection of yours), signs in by the strongest mechanism
// that both sides know, lists, and streams messages exactly as the server
// stores them.
//
// It is written for servers that are broken, slow or hostile: every read and
// write has a deadline, everything a server may send is bounded, only
// CRLF dot CRLF ends a message, and the end of the connection inside a message
// is an error (io.ErrUnexpectedEOF), never a short message. Certificates are
// always checked; a pin may stand in the place of certification authorities. A
// password does not travel in clear text unless Options say so in a word that
// begins with Insecure.
//
// # Errors
//
// A refusal (-ERR) is a *pop3.Error, and the conversation goes on. Everything
// else that is no mistake of the caller leaves the Client unusable: Err tells
// why, and each further call returns an error that is ErrBroken.
//
// Some failures are habits of a server, and the next connection does better
// with other options:
//
//	ErrNoCapabilities   Options.SkipCapabilities
//	ErrPipelining       Options.NoPipelining
//	ErrTokenTooLong     ask the provider for a shorter token
//	ErrQuitLost         delete again: what was deleted is not listed any more
//
// # Use by more than one goroutine
//
// A Client is for one goroutine at a time, Close excepted, which any may call.
// While a listing or a message is being read, another command is ErrBusy.
//
// A deletion takes effect at Quit and only there. RFC 1939 section 6.
package pop3client
