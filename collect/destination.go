// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"io"
	"time"
)

// Message is what is known of a message that was retrieved whole.
type Message struct {
	// Account is the account's ID.
	Account string
	// Key names the message in this account, the same on every retry and
	// different for every other message, twins included. 32 hexadecimal digits.
	Key string
	// UID is the server's id; it may hold any octet.
	UID string
	// Size is in octets as it travelled, with CRLF line ends.
	Size int64
	// Content is a SHA-256 over the message without the header fields in which
	// servers keep flags (Status, X-Status, X-UID, ...).
	Content Hash
	// HeaderOnly is true when the message was too large and only its header
	// was retrieved.
	HeaderOnly bool
	// Time is when it was collected.
	Time time.Time
}

// Item is a message on its way into a destination.
type Item struct {
	Message Message
	// Staged is what the destination's Stage returned for it.
	Staged Staged
	// Name is set by Prepare: what the journal remembers, and Recover gets.
	Name string
	// Err is set by Prepare or File for a message that failed. The message
	// stays on the server, and the next Run tries again.
	Err error
}

// Pending is an "about to file" of the journal whose end is not known.
type Pending struct {
	Message Message
	Name    string
	// Filed is the answer of Recover.
	Filed bool
}

// Staged takes a message that is being retrieved, in wire form (CRLF, no
// dot-stuffing), to a temporary place.
type Staged interface {
	io.Writer
	// Discard throws the message away. It is called for each Staged that is
	// not handed to File, after which it does nothing.
	Discard()
}

// Destination is where messages are filed. Its methods are called by one Run
// at a time, Stage and Staged.Write while Prepare or File run.
//
// What it is asked comes in a slice and is answered in the elements, in the order
// in which it was asked. The slice is the caller's, who does not count on that: what
// is handed over is a copy.
type Destination interface {
	// ID names the destination in the journal. It must stay the same as long
	// as the place is the same: under another ID everything is filed again.
	ID() string
	// Window is how many messages may be filed together: many where that
	// shares flushes, one where the end of a filing can't be looked up.
	Window() int
	// Recover is called before anything else. It finds out which pending
	// messages are there (durably, by now), sets Filed, and cleans up what
	// earlier runs of this account left in temporary places.
	Recover(ctx context.Context, account string, pending []*Pending) error
	// Stage begins a message. size is the announced one in octets, or -1.
	Stage(ctx context.Context, account string, size int64) (Staged, error)
	// Prepare makes staged messages durable where they are and names the place
	// that they will have. It may take locks until File: all accounts go through
	// their destinations in the order of the IDs.
	Prepare(ctx context.Context, items []*Item)
	// File puts prepared messages there, durably on return.
	File(ctx context.Context, items []*Item)
}

// ErrUnavailable marks errors of a destination that the next message would
// meet as well, such as a full disk: the destination is left alone for the
// rest of the Run.
var ErrUnavailable = errors.New("the destination is not available")
