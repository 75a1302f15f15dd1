// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildrop

import (
	"context"
	"iter"
	"time"
)

// ViewSilencer is a store in which a view may be kept without holding mail back.
type ViewSilencer interface {
	// SilenceView lets a view whose device has not been heard of for long hold
	// nothing back any more: what it alone held leaves the disk now, and later
	// each message that the other views have removed. The view itself is kept;
	// the next Open of it makes it one like the others again, with what is still
	// there. Nothing is changed when the view is silent already, when it is
	// open (ErrInUse), or when no other view would hold mail (ErrLastView). It
	// is durable on return, and fails with ErrNoView or ErrNoMaildrop.
	SilenceView(ctx context.Context, id ID, view View) error
}

// Removal is a message that a view, or a rule of retention, has removed and
// that can be brought back.
type Removal struct {
	// UID is the one under which it was removed.
	UID string
	// View removed it, and was the last to do so where none holds it any more;
	// Retained is true when a rule did, for all views.
	View     View
	Retained bool
	// At is when that was, to the second, and Arrived when the message came.
	At, Arrived time.Time
	// Size is what the message has in octets, 0 where that is not known now.
	Size int64
	// Held is true when no view holds the message any more: it is in the holding
	// area. Otherwise others still have it.
	Held bool
	// NewUID is the UID under which Undelete brought it back.
	NewUID string
}

// Selection says which removed messages are meant; the zero one means all.
type Selection struct {
	// Since leaves out what was removed earlier, unless it is zero.
	Since time.Time
	// View leaves out what other views removed, unless it is nil, and brings
	// back for that view only.
	View *View
	// UID leaves out all others, unless it is empty.
	UID string
}

// Undeleter is a store that can bring back what was removed.
type Undeleter interface {
	// Removed lists what can be brought back, in order of removal. It fails with
	// ErrNoView or ErrNoMaildrop.
	Removed(ctx context.Context, id ID, sel Selection) ([]Removal, error)
	// Undelete brings back what Removed would list, whole, and returns that. What
	// is in the holding area becomes a new message, which arrives now, in the
	// selected view or in all; what others still hold appears again in the views
	// that removed it, where it was. Each has a new UID there, because programs
	// remember the old one. Open snapshots do not change. It is durable on
	// return; when there is an error too, those that are returned are back.
	Undelete(ctx context.Context, id ID, sel Selection) ([]Removal, error)
}

// EventKind is what happened to a message.
type EventKind string

// The kinds of events.
const (
	EventArrived   EventKind = "arrived"   // from Origin
	EventRetrieved EventKind = "retrieved" // by View, at Remote
	EventRemoved   EventKind = "removed"   // by View, at Remote; Final when no view holds it
	EventRetention EventKind = "retention" // a rule removed it
	EventUndeleted EventKind = "undeleted" // it is NewUID now
	EventErased    EventKind = "erased"    // it left the holding area for good
)

// Event is one thing that happened to a message.
type Event struct {
	At   time.Time
	Kind EventKind
	// UID is that of the message in all views that have no other for it.
	UID string
	// View is whose doing it was.
	View View
	// Remote is the address of the client, Origin what Envelope.Origin was.
	Remote, Origin string
	// NewUID is the UID after it was undeleted, of that view or of all.
	NewUID string
	// Size is that of the message in octets, where it is known.
	Size int64
	// Final: no view holds the message any more.
	Final bool
}

// EventFilter says which events are meant; the zero one means all.
type EventFilter struct {
	// UID leaves out events of other messages, unless it is empty.
	UID string
	// Since leaves out earlier ones, unless it is zero.
	Since time.Time
}

// Tracer is a store that remembers what happened to messages. It says nothing
// of their content.
type Tracer interface {
	// Trace gives the events that are still remembered, oldest first. What
	// happened in the last minute before a power cut may be missing.
	Trace(ctx context.Context, id ID, f EventFilter) iter.Seq2[Event, error]
}

// Noter is a snapshot that is told what its session does, for Tracer.
type Noter interface {
	// NoteRemote says where the session comes from, before anything else.
	NoteRemote(remote string)
	// NoteRetrieved says that message n was sent whole. It costs no I/O.
	NoteRetrieved(n int)
}

// Keeper is a store with rules of how long mail is kept.
type Keeper interface {
	// Held returns how many messages the holding area of a maildrop has, and the
	// sum of the sizes of their files.
	Held(ctx context.Context, id ID) (messages int, octets int64, err error)
}

// Rules say how long the mail of one maildrop is kept; zeros mean no rule.
type Rules struct {
	// KeepRemoved is how long what no view holds any more stays in the holding
	// area; 0 removes it at once.
	KeepRemoved time.Duration
	// Age, Messages and Octets bound what the maildrop keeps, whatever the views
	// hold: what arrived longer ago than Age, and the oldest beyond the others, go.
	Age      time.Duration
	Messages int
	Octets   int64
	// Trace is how long events are remembered; 0 is 90 days, less than 0 means
	// that none are.
	Trace time.Duration
}
