// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package intake takes mail in: it is what the LMTP server and the pipe command
// share. It resolves the recipients of one transaction, adds the header lines
// that a final delivery adds, gives the message to the store, and says for each
// recipient what became of it.
package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"restante.example/maildrop"
)

// Options are the limits of an Intake. The zero value of each field is the
// default that it names.
type Options struct {
	// MaxSize is the largest message taken, in octets as the sender gives them,
	// without dot-stuffing; 0 means no limit.
	MaxSize int64
	// MaxTargets is how many copies one transaction may make, aliases expanded;
	// 0 means 1,000.
	MaxTargets int
	// RefuseOverQuota refuses mail over a quota for ever, so that its sender is
	// told at once, instead of letting the sender try again.
	RefuseOverQuota bool
	// Delivered, where not nil, is called with each maildrop that has got a
	// message, before the sender is told. It is not to block.
	Delivered func(maildrop.ID)
	// Observer, where not nil, is told what happens, for measuring.
	Observer *Observer
}

// Observer is told what happens, for measuring. The functions may be nil; they
// are called by many goroutines while a sender waits, so they are not to block.
type Observer struct {
	// Recipient is called for each recipient that has its answer, with the octets
	// of the message as far as they were read: refused when it was named, or
	// answered after the message.
	Recipient func(class Class, octets int64)
	// Commit is called with how long the store took to make a message durable,
	// after its last octet.
	Commit func(took time.Duration)
}

func (o *Observer) recipient(class Class, octets int64) {
	if o != nil && o.Recipient != nil {
		o.Recipient(class, octets)
	}
}

func (o *Observer) commit(began time.Time) {
	if o != nil && o.Commit != nil {
		o.Commit(time.Since(began))
	}
}

// Intake begins transactions. Its methods may be called by any number of
// goroutines.
type Intake struct {
	store     maildrop.Store
	directory maildrop.Directory
	opts      Options
	buffers   sync.Pool // of *[copyBuffer]byte
}

// New returns an Intake that delivers to the store whom the directory knows.
// The options are copied; nil is the default.
func New(store maildrop.Store, directory maildrop.Directory, opts *Options) *Intake {
	in := &Intake{store: store, directory: directory}
	if opts != nil {
		in.opts = *opts
	}
	in.buffers.New = func() any { return new([copyBuffer]byte) }
	if in.opts.MaxTargets <= 0 {
		in.opts.MaxTargets = 1000
	}
	return in
}

// MaxSize returns the largest message taken, in octets, or 0 for no limit.
func (in *Intake) MaxSize() int64 { return in.opts.MaxSize }

// Envelope is what a sender says before the recipients.
type Envelope struct {
	// Sender is the address that a failure goes to, without angle brackets;
	// empty for the null sender.
	Sender string
	// Size is how many octets the sender announced, or 0.
	Size int64
	// SMTPUTF8 is true when the message comes in under RFC 6531.
	SMTPUTF8 bool
	// Origin says for people where the message comes from.
	Origin string
}

// Transaction is one message on its way in. It is used by one goroutine and
// holds nothing that must be closed.
type Transaction struct {
	intake     *Intake
	env        Envelope
	recipients []recipient
	targets    []maildrop.Target
	index      map[copyKey]int // where a copy stands in targets
	done       bool
}

// recipient is an accepted address and the copies that it leads to.
type recipient struct {
	address string
	targets []int
}

// copyKey tells one copy from another. A maildrop that is reached through two
// addresses gets two copies, each with its own Delivered-To, as if they had come
// apart; one that is reached twice through the same address gets one.
type copyKey struct {
	maildrop maildrop.ID
	address  string // in lower case
}

// Begin starts a transaction. It fails with an *Error of class BadAddress, when
// the sender cannot stand in a header line, or TooLarge, when more octets are
// announced than are taken.
func (in *Intake) Begin(env Envelope) (*Transaction, error) {
	if !headerSafe(env.Sender) {
		return nil, &Error{Class: BadAddress, Err: errUnsafe}
	}
	if in.opts.MaxSize > 0 && env.Size > in.opts.MaxSize {
		return nil, &Error{Class: TooLarge, Err: fmt.Errorf("%d octets announced", env.Size)}
	}
	return &Transaction{intake: in, env: env, index: make(map[copyKey]int)}, nil
}

// Sender returns the address that a failure goes to; empty for the null sender.
func (t *Transaction) Sender() string { return t.env.Sender }

// Recipients returns how many recipients have been accepted.
func (t *Transaction) Recipients() int { return len(t.recipients) }

// AddRecipient resolves an address as it stands in RCPT TO, without its angle
// brackets. The error is an *Error whose class says why the recipient was not
// accepted; the transaction goes on without it. A recipient given twice counts
// twice, and the message is stored once.
func (t *Transaction) AddRecipient(ctx context.Context, address string) error {
	refuse := func(class Class, err error) error {
		t.intake.opts.Observer.recipient(class, 0)
		return &Error{Class: class, Recipient: address, Err: err}
	}
	if address == "" || !headerSafe(address) {
		return refuse(BadAddress, errUnsafe)
	}
	found, err := t.intake.directory.Recipient(ctx, address)
	switch {
	case errors.Is(err, maildrop.ErrNoUser):
		return refuse(NoUser, err)
	case err != nil:
		return refuse(CannotTell, err)
	case len(found) == 0:
		return refuse(CannotTell, errors.New("the directory named no maildrop"))
	}
	// Nothing is kept of a recipient that is refused half-way.
	r := recipient{address: address}
	var added []copyKey
	undo := func() {
		for _, key := range added {
			delete(t.index, key)
		}
		t.targets = t.targets[:len(t.targets)-len(added)]
	}
	for _, f := range found {
		if !headerSafe(f.Address) {
			undo()
			return refuse(BadAddress, errUnsafe)
		}
		key := copyKey{f.Maildrop, strings.ToLower(f.Address)}
		at, there := t.index[key]
		if !there {
			if len(t.targets) >= t.intake.opts.MaxTargets {
				undo()
				return refuse(TooMany, fmt.Errorf("more than %d copies", t.intake.opts.MaxTargets))
			}
			if err := t.intake.checkQuota(ctx, f, t.env.Size); err != nil {
				undo()
				return refuse(t.intake.classOf(err), err)
			}
			at = len(t.targets)
			t.index[key] = at
			added = append(added, key)
			t.targets = append(t.targets, maildrop.Target{
				Maildrop: f.Maildrop, Prefix: prefix(t.env.Sender, f.Address), Quota: f.Quota,
			})
		}
		r.targets = append(r.targets, at)
	}
	t.recipients = append(t.recipients, r)
	return nil
}

// checkQuota refuses a maildrop that is full already, so that its share of a
// message with many recipients, or of an alias, fails before any is delivered.
// What counts in the end is the store's answer.
func (in *Intake) checkQuota(ctx context.Context, r maildrop.Recipient, announced int64) error {
	if r.Quota == (maildrop.Quota{}) {
		return nil
	}
	messages, octets, err := in.store.Usage(ctx, r.Maildrop)
	if err != nil {
		return err
	}
	if r.Quota.Messages > 0 && messages >= r.Quota.Messages ||
		r.Quota.Octets > 0 && (octets >= r.Quota.Octets || announced > r.Quota.Octets-octets) {
		return maildrop.ErrQuota
	}
	return nil
}
