// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"restante.example/maildrop"
)

// Result says what became of one recipient.
type Result struct {
	// Recipient is the address as it was given.
	Recipient string
	// Maildrops are those that the address led to.
	Maildrops []maildrop.ID
	// Octets is how many octets of the message were read.
	Octets int64
	// Err is nil when the message is durable in each of the maildrops, else an
	// *Error. After one of a recipient with several maildrops, some of them may
	// have the message: a sender that tries again makes a second copy there,
	// which is better than none elsewhere.
	Err error
}

// ErrNoRecipients is returned by Data when no recipient was accepted.
var ErrNoRecipients = errors.New("intake: no recipients")

// ErrDone is returned by Data when it is called a second time.
var ErrDone = errors.New("intake: the transaction is over")

// copyBuffer is how many octets go to the store at once.
const copyBuffer = 64 << 10

// Data takes the message from r, to its io.EOF, and delivers it. It returns one
// result per accepted recipient, in their order, after the store has committed.
// The store brings line ends into wire form; dot-stuffing is undone already.
//
// An error other than io.EOF from r, or the end of ctx, means that the message
// did not come whole: nothing is stored, that error is returned, and no results.
// Where the store fails early, or the message is over the limit, r is not read to
// its end; it is not read at all when the store refuses to begin.
func (t *Transaction) Data(ctx context.Context, r io.Reader) ([]Result, error) {
	switch {
	case t.done:
		return nil, ErrDone
	case len(t.recipients) == 0:
		return nil, ErrNoRecipients
	}
	t.done = true
	delivery, err := t.intake.store.Deliver(ctx, maildrop.Envelope{
		Size: t.env.Size, SMTPUTF8: t.env.SMTPUTF8, Origin: t.env.Origin,
	}, t.targets)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return t.refuse(0, t.intake.classOf(err), err), nil
	}
	defer delivery.Abort() // which does nothing after Commit
	octets, class, err := t.copy(ctx, delivery, r)
	if err != nil {
		switch {
		case class == Delivered:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		return t.refuse(octets, class, err), nil
	}
	began := time.Now()
	answers := delivery.Commit(ctx)
	t.intake.opts.Observer.commit(began)
	if len(answers) != len(t.targets) {
		// Without an answer there is no promise.
		err := fmt.Errorf("the store gave %d answers for %d targets", len(answers), len(t.targets))
		return t.refuse(octets, Temporary, err), nil
	}
	if told := t.intake.opts.Delivered; told != nil {
		for i, err := range answers {
			if err == nil {
				told(t.targets[i].Maildrop)
			}
		}
	}
	return t.results(octets, answers), nil
}

// copy gives what r has to the delivery. An error with the class Delivered is
// that of r; otherwise the message was refused with the class.
//
// After a failed Write the whole message is refused, since only a message that
// was written whole may be committed.
func (t *Transaction) copy(ctx context.Context, w io.Writer, r io.Reader) (int64, Class, error) {
	var octets int64
	limit := t.intake.opts.MaxSize
	held := t.intake.buffers.Get().(*[copyBuffer]byte)
	defer t.intake.buffers.Put(held)
	buf := held[:]
	for {
		if err := ctx.Err(); err != nil {
			return octets, Delivered, err
		}
		n, readErr := r.Read(buf)
		octets += int64(n)
		if limit > 0 && octets > limit {
			return octets, TooLarge, fmt.Errorf("more than %d octets", limit)
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return octets, t.intake.classOf(err), err
			}
		}
		if readErr == io.EOF {
			return octets, Delivered, nil
		}
		if readErr != nil {
			return octets, Delivered, readErr
		}
	}
}

// refuse returns the same answer for every recipient.
func (t *Transaction) refuse(octets int64, class Class, err error) []Result {
	answers := make([]error, len(t.targets))
	for i := range answers {
		answers[i] = &Error{Class: class, Err: err}
	}
	return t.results(octets, answers)
}

// results turns answers per target into results per recipient. A recipient with
// several maildrops is delivered when each of them is.
func (t *Transaction) results(octets int64, answers []error) []Result {
	list := make([]Result, len(t.recipients))
	for i, r := range t.recipients {
		list[i] = Result{Recipient: r.address, Octets: octets}
		for _, at := range r.targets {
			list[i].Maildrops = append(list[i].Maildrops, t.targets[at].Maildrop)
			if answers[at] != nil {
				list[i].Err = t.intake.worse(list[i].Err, r.address, answers[at])
			}
		}
		t.intake.opts.Observer.recipient(ClassOf(list[i].Err), octets)
	}
	return list
}

// worse returns the error that decides between what was there and what comes:
// one after which the sender tries again wins over one for ever, so that no copy
// is given up.
func (in *Intake) worse(there error, address string, comes error) error {
	var e *Error
	if !errors.As(comes, &e) {
		e = &Error{Class: in.classOf(comes), Err: comes}
	}
	if there != nil && (e.Class.Permanent() || !ClassOf(there).Permanent()) {
		return there
	}
	return &Error{Class: e.Class, Recipient: address, Err: e.Err}
}
