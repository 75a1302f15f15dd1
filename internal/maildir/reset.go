// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"fmt"
	"math"
	"time"

	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

var (
	_ maildrop.ViewResetter = (*Store)(nil)
	_ maildrop.ViewSilencer = (*Store)(nil)
)

// decide writes records down and does in memory what they say, under the lock.
// Only the last of them may be one that the others do not make harmless: a
// crash may leave any number of the first ones.
func (d *drop) decide(records ...journal.Record) error {
	return d.decideBy(d.record, records)
}

func (d *drop) decideBy(write func(...journal.Record) error, records []journal.Record) error {
	if err := write(records...); err != nil {
		return err
	}
	for _, r := range records {
		if err := d.dec.apply(r); err != nil {
			return err // Not for a record that we made.
		}
	}
	return nil
}

// ResetView implements maildrop.ViewResetter.
func (s *Store) ResetView(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error {
	return s.with(ctx, id, func(d *drop) error {
		v, err := d.view(view)
		if err != nil {
			return err
		}
		d.revoke(view)
		from := sinceOf(since)
		var pairs []pair
		for i := range d.list.entries {
			e := &d.list.entries[i]
			if _, removed := v.removed[e.uid]; removed && e.time >= from {
				as, err := d.uidAgain(view, e.uid)
				if err != nil {
					return err
				}
				pairs = append(pairs, pair{e.uid, as})
			}
		}
		if err := d.decide(append(d.keepLate(view, from), againRecord(view, from, pairs))...); err != nil {
			return fmt.Errorf("maildir: view %q was not reset: %w", view, err)
		}
		for _, p := range pairs {
			d.note(maildrop.Event{Kind: maildrop.EventUndeleted, UID: p.uid, View: view, NewUID: p.as})
		}
		d.compactSoon()
		return nil
	})
}

// uidAgain makes the UID under which a view gets a message again. Programs
// remember the old one, so it is one that was never used before.
func (d *drop) uidAgain(view maildrop.View, uid string) (string, error) {
	if d.store.faults.reuseUIDs {
		return uid, nil
	}
	random, err := d.store.random()
	if err != nil {
		return "", err
	}
	return hashUID(fmt.Sprintf("%s\n%s\n%d\n%d", view, uid, d.store.nextToken(), random)), nil
}

// revoke ends the session of a view, under the lock: no Remove of it can be
// running, because that would hold the lock.
func (d *drop) revoke(view maildrop.View) {
	d.mu.Lock()
	sn := d.open[view]
	d.mu.Unlock()
	if sn != nil {
		sn.Revoke()
	}
}

// keepLate returns records that keep in the other views what they hold only
// because all views begin later than it arrived, when a view now begins at since.
func (d *drop) keepLate(view maildrop.View, since int64) (records []journal.Record) {
	first := d.firstSince()
	if since >= first {
		return nil
	}
	for name, v := range d.dec.views {
		if name == view || v.since <= since {
			continue
		}
		var pairs []pair
		for i := range d.list.entries {
			if e := &d.list.entries[i]; e.time >= since && e.time < first && v.holds(e, first) && e.time < v.since {
				pairs = append(pairs, pair{e.uid, v.uid(e)})
			}
		}
		if len(pairs) > 0 {
			records = append(records, againRecord(name, math.MaxInt64, pairs))
		}
	}
	return records
}

// SilenceView implements maildrop.ViewSilencer.
func (s *Store) SilenceView(ctx context.Context, id maildrop.ID, view maildrop.View) error {
	return s.with(ctx, id, func(d *drop) error {
		v, err := d.view(view)
		if err != nil || v.silent {
			return err
		}
		d.mu.Lock()
		inUse := d.open[view] != nil
		d.mu.Unlock()
		if inUse {
			return maildrop.ErrInUse
		}
		others := 0
		for name, o := range d.dec.views {
			if name != view && !o.silent {
				others++
			}
		}
		if others == 0 {
			return maildrop.ErrLastView
		}
		items, chosen := d.aloneIn(view)
		d.toHold(ctx, items, chosen)
		if err := d.decide(silentRecord(view, true, items)); err != nil {
			return fmt.Errorf("maildir: view %q was not silenced: %w", view, err)
		}
		d.noteGone(view, items)
		d.stale = len(d.removeFiles(ctx, items, chosen)) > 0 || d.stale
		return nil
	})
}

// wake makes a silent view one like the others, under the lock.
func (d *drop) wake(view maildrop.View, v *viewState) error {
	if !v.silent {
		return nil
	}
	if err := d.decide(append(d.keepLate(view, v.since), silentRecord(view, false, nil))...); err != nil {
		return fmt.Errorf("maildir: view %q was silent and cannot be woken: %w", view, err)
	}
	return nil
}
