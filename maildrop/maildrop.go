// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package maildrop says what a store of mail must do for POP3, and what a
// directory of users must answer. It holds contracts and the few words that
// they share; it stores nothing itself. Package droptest is the suite that
// every store passes.
//
// # Words
//
// A maildrop is the mail of one owner. A view is what one device of that owner
// still sees of it: each device removes for itself, and a message leaves the
// disk when every view has removed it. A maildrop starts with the one classic
// view, whose name is empty.
//
// Sizes are octets as POP3 sends them: with CRLF line ends, a final CRLF, and
// before dot-stuffing (RFC 1939 section 11).
//
// # Errors
//
// "No" and "cannot tell now" are different answers everywhere: an error that
// is one of the sentinels of this package is an answer; every other error
// means that the question could not be answered and may be asked again.
package maildrop

import (
	"context"
	"errors"
	"io"
	"time"
)

// ID names a maildrop for ever: 1 to 64 characters of a-z, 0-9 and '-'. It is
// never an address and never changes when an address does.
type ID string

// Valid reports whether the id has the form of one.
func (id ID) Valid() bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// View names a device's view of a maildrop: empty for the classic view, else
// 1 to 64 characters of a-z, 0-9 and '-'.
type View string

// Classic is the view of a maildrop whose owner has named no devices.
const Classic View = ""

// Valid reports whether the view has the form of one.
func (v View) Valid() bool { return v == Classic || ID(v).Valid() }

// The answers that a store gives.
var (
	// ErrNoMaildrop: the store knows no maildrop of that id and will not make one.
	ErrNoMaildrop = errors.New("maildrop: no such maildrop")
	// ErrNoView: the maildrop has no such view; it was never added or has been dropped.
	ErrNoView = errors.New("maildrop: no such view")
	// ErrViewExists: a view of that name is there already.
	ErrViewExists = errors.New("maildrop: the view exists already")
	// ErrInUse: another session holds the view open.
	ErrInUse = errors.New("maildrop: the view is open in another session")
	// ErrRevoked: this snapshot's token is no longer the view's; nothing was changed.
	ErrRevoked = errors.New("maildrop: the session was taken over")
	// ErrDamaged: the stored message is not what was stored. It is never sent
	// to its end and never removed.
	ErrDamaged = errors.New("maildrop: the stored message is damaged")
	// ErrGone: another program has taken the message away since the snapshot.
	ErrGone = errors.New("maildrop: the message is no longer there")
	// ErrQuota: the message would go over the owner's quota.
	ErrQuota = errors.New("maildrop: over quota")
	// ErrNoSpace: the store is full, or as full as it lets deliveries make it.
	ErrNoSpace = errors.New("maildrop: no space left for deliveries")
	// ErrClosed: the store, snapshot or delivery has been closed.
	ErrClosed = errors.New("maildrop: closed")
	// ErrLastView: no other view of the maildrop would hold its mail.
	ErrLastView = errors.New("maildrop: the last view of a maildrop holds its mail")
	// ErrPartial: some removals were not done; the outcomes say which.
	ErrPartial = errors.New("maildrop: not every message was removed")
)

// Store keeps the mail of any number of maildrops. All methods may be called
// by any number of goroutines.
type Store interface {
	// Deliver begins to take one message in for one or more maildrops. It
	// returns an error when nothing can be taken at all; what concerns a single
	// target is told by Commit. The caller ends the delivery with Commit or
	// Abort, whatever happens in between.
	Deliver(ctx context.Context, env Envelope, targets []Target) (Delivery, error)

	// Open starts a session: it returns the messages of a view as they are at
	// this instant, in order of arrival. It fails with ErrInUse while another
	// snapshot of the same view is open, with ErrNoView, or with ErrNoMaildrop.
	// A maildrop that nothing was delivered to yet is empty, not an error.
	Open(ctx context.Context, id ID, view View) (Snapshot, error)

	// AddView makes a view that holds the messages that arrived at or after
	// since; the zero time means all that are there. It is durable on return.
	AddView(ctx context.Context, id ID, view View, since time.Time) error

	// DropView forgets a view, which then holds no message back any more. An
	// open snapshot of it is revoked before DropView returns. The last view of
	// a maildrop cannot be dropped. It is durable on return.
	DropView(ctx context.Context, id ID, view View) error

	// Views lists the views of a maildrop in the order of their names.
	Views(ctx context.Context, id ID) ([]View, error)

	// Usage returns how many messages a maildrop holds for any view, and the
	// sum of their sizes in octets.
	Usage(ctx context.Context, id ID) (messages int, octets int64, err error)
}

// Envelope is what is said once about a message that is being delivered.
type Envelope struct {
	// Transaction makes a retry harmless: a Commit under a transaction that was
	// committed before for a target answers as that one did and stores nothing.
	// It is remembered for at least ten minutes and within one process. Empty
	// means that the delivery is its own transaction.
	Transaction string
	// Size is about how many octets will come, or 0 where that is not known.
	// The store may refuse early by it and trusts it for nothing else.
	Size int64
	// SMTPUTF8 is true when the message came in under RFC 6531. The store
	// keeps it as a durable mark.
	SMTPUTF8 bool
	// Origin says for people where the message came from, such as a host name
	// and address. At most 255 octets are kept.
	Origin string
}

// Target is one maildrop that a message is delivered to.
type Target struct {
	Maildrop ID
	// Prefix is put in front of the message: whole header lines with CRLF, such
	// as Return-Path and Delivered-To, or nothing.
	Prefix []byte
	// Quota holds the limits that are to be kept, or zeros.
	Quota Quota
}

// Quota limits what a maildrop may hold; 0 means no limit.
type Quota struct {
	Messages int   `json:"messages"`
	Octets   int64 `json:"octets"`
}

// Delivery takes one message in. It is used by one goroutine.
//
// The store brings the message into wire form: a bare LF becomes CRLF, a lone
// CR stays, and a final CRLF is added where there is none (an empty message
// stays empty). Nothing else is changed. Dot-stuffing is the transport's
// affair and is not known here.
type Delivery interface {
	// Write takes the next octets of the message. After an error, Commit
	// answers that error for every target that it concerns.
	io.Writer

	// Commit stores the message and returns one answer per target, in their
	// order: nil once the message is durable there (it survives a power cut
	// from now on), ErrQuota, ErrNoSpace, ErrNoMaildrop, or another error after
	// which the sender should try again. A target that was refused holds no
	// part of the message. The message appears in the snapshots opened from
	// now on.
	Commit(ctx context.Context) []error

	// Abort drops the message. After Commit it does nothing.
	Abort()
}

// Info is what a listing says of a message.
type Info struct {
	// UID is the unique id: pop3.ValidUID holds, no two messages of a maildrop
	// ever have the same, and it is the same in every view, except where a
	// ViewResetter or an Undeleter has given it a new one in some.
	UID string
	// Size is what Snapshot.Message will stream, in octets.
	Size int64
	// Arrived is when the message came, to the second or better.
	Arrived time.Time
	// SMTPUTF8 is Envelope.SMTPUTF8 of its delivery.
	SMTPUTF8 bool
}

// Snapshot is a view as it was when the session began: numbers, sizes and
// UIDs never change while it is open. Messages are numbered from 1 to Len.
//
// Its methods may be called by any number of goroutines. A caller asks for
// numbers in range; others panic as an index out of range does.
type Snapshot interface {
	// Len returns the number of messages.
	Len() int
	// Octets returns the sum of the sizes of all messages.
	Octets() int64
	// Info returns what a listing says of message n, in constant time and
	// without allocating.
	Info(n int) Info
	// Message opens message n. The stream gives exactly Info(n).Size octets and
	// then io.EOF; when it cannot, because the file is short, changed or
	// unreadable, it ends with another error (ErrDamaged, ErrGone, or what the
	// system said), never with io.EOF. The caller closes it.
	Message(ctx context.Context, n int) (io.ReadCloser, error)
	// Remove removes messages from the view, each at most once, and returns an
	// outcome per number, in their order. It is the commit of a QUIT: one
	// durable decision, which is replayed after a crash or not there at all. The
	// error is nil when every outcome is Removed; ErrRevoked, with every
	// outcome Kept, when the token is stale; ErrPartial when some are Kept or
	// Unknown; else what made the whole fail. A damaged message is Kept.
	// It may be called once; the snapshot serves only Close after it.
	Remove(ctx context.Context, numbers []int) ([]Outcome, error)
	// Token returns the fencing token: of two snapshots of the same view the
	// later one has the greater token.
	Token() uint64
	// Revoke takes the view away from this snapshot, as another session or a
	// revoked credential asks: its channel Revoked is closed, and a Remove that
	// has not begun fails with ErrRevoked. A Remove that is being committed is
	// waited for. The view can be opened again when Revoke has returned.
	Revoke()
	// Revoked is closed when the snapshot has been revoked.
	Revoked() <-chan struct{}
	// Close ends the session and removes nothing. It may be called twice.
	Close() error
}

// Outcome says what became of a message that was to be removed.
type Outcome uint8

const (
	// Kept: the message is still in the view, and stays there.
	Kept Outcome = iota
	// Removed: the message is no longer in the view, for ever.
	Removed
	// Unknown: the store cannot tell; a later session will show it.
	Unknown
)

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case Kept:
		return "kept"
	case Removed:
		return "removed"
	}
	return "unknown"
}
