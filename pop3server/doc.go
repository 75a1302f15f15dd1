// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package pop3server is the server side of POP3: it speaks with mail programs
// over any net.Conn, asks a maildrop.Directory who they are and hands out what
// a maildrop.Store keeps for them.
//
//	server := pop3server.New(&pop3server.Options{
//		Store:     store,
//		Directory: directory,
//		TLSConfig: config,
//	})
//	err := server.ServeTLS(listener) // POP3S, port 995
//
// It implements RFC 1939 (without APOP), 2449, 2595 and 8314, 3206, 6856 and 5034
// with PLAIN, LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS. Its defaults are
// the safe ones: passwords in clear text only from the machine itself, limits
// and deadlines on everything that a client can make it do or wait for.
//
// A message leaves its maildrop only by a QUIT that was received whole. A
// dropped connection, a time-out, Shutdown, Close, End and a take-over delete
// nothing.
//
// A connection costs one goroutine, a read buffer of 512 octets and, while a
// reply is being written, a borrowed buffer of 16 KiB, or one of 128 if it is long
// and fewer than 128 of those are lent.
package pop3server
