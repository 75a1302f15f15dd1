// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package pop3fault is a POP3 server that misbehaves on request, for testing
// mail programs: it cuts connections in mid-message, lies in its
// capabilities, loses QUIT, sends without end, and more; see the functions
// that return a Fault.
//
//	server, err := pop3fault.Start(ctx, &pop3fault.Options{
//		Faults: []pop3fault.Fault{pop3fault.CutInMessage(3)},
//	})
//
// The maildrop outlives its sessions, so that a test can let a program come
// again and then compare: Records tells what was retrieved and deleted, and
// Message.Sum what the content should have been. Without faults it is a small,
// correct server.
//
// It believes every client and is no server for real mail.
package pop3fault
