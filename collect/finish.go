// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"restante.example/pop3client"
)

// finish deletes what may go, ends the session and brings the journal up to
// date. With again true another session makes sense.
func (s *session) finish(ctx context.Context) (again bool, err error) {
	victims, due := s.victims()
	if s.unsafe() {
		var changes Changes
		// Before the victims are compared, their ids may name others of those
		// that vanished.
		if len(victims) == 0 {
			changes, _ = s.age()
		}
		if err := s.remember(ctx, changes); err != nil {
			return false, &fatalError{err}
		}
		return len(victims) > 0 || s.changed, nil
	}
	marked, refusal, err := s.delete(ctx, victims)
	if err != nil {
		return ctx.Err() == nil, err
	}
	if s.unsafe() { // the comparison has shown a message that is new
		return true, nil
	}
	if refusal != nil {
		s.report.Warnings = append(s.report.Warnings, fmt.Errorf("%w: %w", ErrDelete, refusal))
	}
	left := len(marked) < len(victims)
	err = s.c.Quit(ctx)
	if err != nil && len(marked) > 0 {
		// mail-safety.md, Collecting 3.
		s.report.Warnings = append(s.report.Warnings, fmt.Errorf("%w: %w", ErrQuit, err))
	}
	confirmed := err == nil && len(marked) > 0
	if confirmed {
		s.report.Deleted += len(marked)
		s.tell(Event{Kind: EventDeleted, Messages: len(marked)})
	}
	return s.changed, s.settle(ctx, marked, confirmed, left, due)
}

// unsafe reports whether QUIT must not be said: after RETR and a clean QUIT
// some servers hide or delete a message without any DELE.
// behaviours.md, Client 10; RFC 2449 section 6.7, EXPIRE 0.
func (s *session) unsafe() bool {
	unsafe := slices.ContainsFunc(s.rows, func(w *row) bool { return w.retrieved && !s.complete(w) })
	if unsafe {
		s.log.Info("leaving without QUIT, because not everything that was retrieved is filed", "account", s.a.ID)
	}
	return unsafe
}

// victims returns the rows to be deleted now, and when there may be more.
func (s *session) victims() (list []*row, due time.Time) {
	k := s.a.Keep
	if !k.deletes() {
		return nil, due
	}
	now := s.now()
	messages, octets := 0, int64(0)
	for _, w := range slices.Backward(s.rows) { // the newest come last in a maildrop
		messages++
		octets += w.octets()
		if !s.complete(w) || w.entry.Partial {
			continue
		}
		end := w.entry.Collected.Add(k.For)
		switch {
		case k.Delete, k.For > 0 && !now.Before(end), k.Messages > 0 && messages > k.Messages, k.Octets > 0 && octets > k.Octets:
			list = append(list, w)
		case k.For > 0:
			due = earlier(due, end)
		}
	}
	slices.Reverse(list)
	return list, due
}

// delete marks messages deleted and returns those that the server marked, and
// its last refusal.
//
// A message that was collected in an earlier session is looked at again first:
// an id that names another message by now must not cost that one its life.
func (s *session) delete(ctx context.Context, victims []*row) (marked []*row, refusal, err error) {
	if err := s.verify(ctx, victims); err != nil {
		return nil, nil, err
	}
	victims = slices.DeleteFunc(slices.Clone(victims), func(w *row) bool { return !w.verified })
	if len(victims) == 0 || s.unsafe() {
		return nil, nil, nil
	}
	byNumber := index(victims)
	var numbers iter.Seq[int] = func(yield func(int) bool) {
		for _, w := range victims {
			if !yield(w.number) {
				return
			}
		}
	}
	for n, err := range s.c.DeleAll(ctx, numbers) {
		switch {
		case refused(err):
			s.log.Warn("DELE refused", "account", s.a.ID, "number", n, "error", err)
			refusal = err
		case err != nil:
			return nil, nil, err
		default:
			marked = append(marked, byNumber[n])
		}
	}
	return marked, refusal, nil
}

// verify compares what was filed in earlier sessions with what is there: the
// header by TOP if it has a Message-ID or this run has seen the rest, else all
// of it by RETR.
func (s *session) verify(ctx context.Context, victims []*row) error {
	var doubt []*row
	for _, w := range victims {
		if !w.verified {
			doubt = append(doubt, w)
		}
	}
	if len(doubt) == 0 {
		return nil
	}
	err := s.tops(ctx, doubt, func(w *row, seen header) {
		w.verified = (seen.named || s.seen[w.entry.ID]) && seen.hash == w.entry.Header
	})
	if err != nil {
		return err
	}
	doubt = slices.DeleteFunc(doubt, func(w *row) bool { return w.verified })
	byNumber := index(doubt)
	var wants iter.Seq[pop3client.Want] = func(yield func(pop3client.Want) bool) {
		for _, w := range doubt {
			if !yield(pop3client.Want{Number: w.number, Size: w.announced}) {
				return
			}
		}
	}
	buf := make([]byte, 64<<10)
	for m, err := range s.c.RetrAll(ctx, wants) {
		if refused(err) {
			s.log.Warn("message not deleted, it cannot be compared", "account", s.a.ID, "number", m.Number, "error", err)
			continue
		}
		if err != nil {
			return err
		}
		id := newIdentity()
		if err := copyAll(id, m, buf); err != nil {
			return err
		}
		w := byNumber[m.Number]
		content, _, octets := id.result()
		switch {
		case content == w.entry.Content:
			w.verified, s.seen[w.entry.ID] = true, true
		case octets == 0:
			s.log.Warn("message not deleted, nothing came of it", "account", s.a.ID, "number", m.Number)
		default:
			s.log.Warn("an id names another message now, which will be collected", "account", s.a.ID, "number", m.Number)
			s.ledger.replaced(w.entry, s.now())
			if err := s.ledger.put(context.WithoutCancel(ctx), w.entry); err != nil {
				return &fatalError{err}
			}
			w.entry, w.retrieved = nil, true
			s.changed = true
		}
	}
	return nil
}

// settle writes down what is gone, what is absent, and whether this listing
// leaves anything to do. With left, not all that may go was deleted.
func (s *session) settle(ctx context.Context, marked []*row, confirmed, left bool, due time.Time) error {
	s.count()
	changes, forget := s.age()
	if confirmed {
		for _, w := range marked {
			if isHeaderUID(w.entry.UID) {
				// The same mail put back would have the same made-up id.
				changes.Drop = append(changes.Drop, w.entry.ID)
				s.ledger.drop(w.entry)
				continue
			}
			w.entry.Gone = true
			changes.Put = append(changes.Put, *w.entry)
		}
	}
	marks := Marks{Last: s.stillLast()}
	if s.report.Left == 0 && !s.changed && len(marked) == 0 && !left {
		marks.Settled, marks.Due = s.digest, earlier(due, forget)
	}
	if !sameMarks(marks, s.ledger.marks) {
		changes.Marks = &marks
	}
	if len(changes.Put) == 0 && len(changes.Drop) == 0 && changes.Marks == nil {
		return nil
	}
	s.ledger.marks = marks
	if err := s.journal.Apply(context.WithoutCancel(ctx), changes); err != nil {
		return &fatalError{err}
	}
	return nil
}

// age notes what is absent and forgets what has been so for long. It returns
// when there is more to forget. After an id has turned out to name another
// message, the next session tells.
func (s *session) age() (c Changes, due time.Time) {
	if s.changed {
		return c, due
	}
	return s.ledger.absent(s.now(), s.rows)
}

// mostLast is how many messages are remembered to come last.
const mostLast = 1000

// stillLast returns the ids of messages that have broken connections, or that
// failed, and are not filed yet: a destination that refuses the first few is
// left alone, and at the next run those behind them must have their turn.
func (s *session) stillLast() []string {
	var list []string
	for _, w := range s.rows {
		if w.uid == "" || s.complete(w) || len(list) == mostLast {
			continue
		}
		if s.suspects[w.key] > 0 || s.failedItself(w) || slices.Contains(s.ledger.marks.Last, w.uid) {
			list = append(list, w.uid)
		}
	}
	return list
}

// remember writes changes down, and which messages failed or broke the
// connection, so that the next run leaves them for the end.
// mail-safety.md, Collecting 5.
func (s *session) remember(ctx context.Context, c Changes) error {
	if last := s.stillLast(); !slices.Equal(last, s.ledger.marks.Last) {
		s.ledger.marks = Marks{Last: last}
		c.Marks = &s.ledger.marks
	}
	if len(c.Put) == 0 && len(c.Drop) == 0 && c.Marks == nil {
		return nil
	}
	return s.ledger.apply(context.WithoutCancel(ctx), c)
}

func sameMarks(a, b Marks) bool {
	return a.Settled == b.Settled && a.Due.Equal(b.Due) && slices.Equal(a.Last, b.Last)
}

// isCut reports whether err is the end of the connection and nothing of ours.
func isCut(err error) bool {
	fatal := (*fatalError)(nil)
	return err != nil && !errors.As(err, &fatal)
}
