// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import "restante.example/maildrop"

// note tells a store that remembers what happens to messages where the session
// comes from, and returns whom to tell more, or nil.
func (c *conn) note() maildrop.Noter {
	n, ok := c.session.snap.(maildrop.Noter)
	if !ok {
		return nil
	}
	if !c.session.told {
		n.NoteRemote(c.remoteText())
		c.session.told = true
	}
	return n
}

// noteRetrieved tells it that message i was sent whole. Whether the client has
// got it cannot be known: only its DELE says so. RFC 1939 section 5.
func (c *conn) noteRetrieved(i int) {
	if n := c.note(); n != nil {
		n.NoteRetrieved(i)
	}
}
