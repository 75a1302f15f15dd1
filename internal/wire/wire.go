// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire has what both ends of a line protocol need: lines with a limit,
// dot-stuffing in both directions and the line ends of mail. It works on
// octets, costs memory that does not depend on what a peer sends, and keeps no
// time: deadlines belong to the connection below it.
//
// A line ends in CRLF here, and only CRLF dot CRLF ends a multi-line text
// (RFC 1939 section 3, RFC 5321 section 4.1.1.4): LF dot LF inside a message
// is message.
package wire
