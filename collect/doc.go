// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package collect polls a POP3 mailbox and files each message exactly once,
// however the server, the network or the process fails in between. It is for
// programs that live on mail: ticket systems, archives, command lines.
//
//	report, err := collect.Run(ctx, collect.Account{
//		ID:           "support",
//		Dial:         collect.DialTLS("pop.example.org"),
//		Credentials:  collect.Password("support", secret),
//		Destinations: []collect.Destination{collect.HandlerFunc("tickets", open)},
//	}, journal)
//
// # What is promised
//
// A message is streamed to a temporary place of each destination, flushed,
// written down in the journal as "about to file as NAME", filed, flushed and
// written down as filed. Only then may it be deleted on the server, and the
// journal forgets the deletion only after +OK to QUIT. The default deletes
// nothing at all.
//
// So after a death of the process or of the machine at any instant, the next
// Run finds each message on the server, or filed. A destination that can look
// (Recover) whether NAME is there files it exactly once. A Handler cannot be
// asked: when it returned nil, and the process died before the journal had that
// down, it is called again, with the same Message.Key. A Handler that remembers
// keys, best in the transaction that does its work, sees each message once.
//
// When a Handler or destination fails, the message stays on the server and the
// next Run tries again, with the same key; the messages behind it and the other
// destinations go on.
//
// # Seen or new
//
// A message is known by its UID, its size and a hash of its content. Ids that
// changed (after a migration), that two messages share or that now name
// another message lose nothing and double nothing. Servers without UIDL are
// told apart by their messages' headers. What is absent from the server for
// thirty days is forgotten.
package collect
