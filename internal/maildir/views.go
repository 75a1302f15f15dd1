// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"restante.example/maildrop"
)

// errViewName: a view's name has not the form of one.
var errViewName = errors.New("maildir: a view's name is 1 to 64 characters of a-z, 0-9 and '-'")

// with runs do on a maildrop that is loaded and locked.
func (s *Store) with(ctx context.Context, id maildrop.ID, do func(d *drop) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	d, err := s.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer s.release(d)
	defer d.give()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	return do(d)
}

// AddView implements maildrop.Store.
func (s *Store) AddView(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error {
	if !view.Valid() {
		return errViewName
	}
	return s.with(ctx, id, func(d *drop) error {
		if d.dec.views[view] != nil {
			return maildrop.ErrViewExists
		}
		r := viewRecord(view, sinceOf(since))
		if err := d.decide(append(d.keepLate(view, sinceOf(since)), r)...); err != nil {
			return fmt.Errorf("maildir: view %q was not added: %w", view, err)
		}
		return nil
	})
}

// DropView implements maildrop.Store.
func (s *Store) DropView(ctx context.Context, id maildrop.ID, view maildrop.View) error {
	return s.with(ctx, id, func(d *drop) error {
		if _, err := d.view(view); err != nil {
			return err
		}
		if len(d.dec.views) == 1 {
			return maildrop.ErrLastView
		}
		// What only this view held goes with it.
		items, chosen := d.aloneIn(view)
		d.toHold(ctx, items, chosen)
		if err := d.decide(dropRecord(view, items)); err != nil {
			return fmt.Errorf("maildir: view %q was not dropped: %w", view, err)
		}
		d.revoke(view)
		d.noteGone(view, items)
		// What cannot go now stays hidden and goes later.
		d.stale = len(d.removeFiles(ctx, items, chosen)) > 0 || d.stale
		return nil
	})
}

// aloneIn returns the messages that no other view holds and whose files can go.
func (d *drop) aloneIn(view maildrop.View) (items []item, chosen []*entry) {
	first, now := d.firstSince(), d.now()
	for i := range d.list.entries {
		e := &d.list.entries[i]
		if !d.heldBeside(view, e, first) && !d.isDoubtful(e.uid) {
			items = append(items, item{uid: e.uid, id: e.id(), gone: true, at: now})
			chosen = append(chosen, e)
		}
	}
	return items, chosen
}

// heldBack reports whether another view than the given one, which stays, holds
// a message back. Silent ones do not.
func (d *drop) heldBack(view maildrop.View, e *entry, first int64) bool {
	for name, v := range d.dec.views {
		if name != view && !v.silent && v.holds(e, first) {
			return true
		}
	}
	return false
}

// heldBeside is heldBack for a view that is to go: when only silent ones are
// left, they hold their mail again.
func (d *drop) heldBeside(view maildrop.View, e *entry, first int64) bool {
	for name, v := range d.dec.views {
		if name != view && !v.silent {
			return d.heldBack(view, e, first)
		}
	}
	for name, v := range d.dec.views {
		if name != view && v.holds(e, first) {
			return true
		}
	}
	return false
}

// Views implements maildrop.Store.
func (s *Store) Views(ctx context.Context, id maildrop.ID) ([]maildrop.View, error) {
	var names []maildrop.View
	err := s.with(ctx, id, func(d *drop) error {
		if d.broken != nil {
			return d.broken
		}
		names = slices.Sorted(maps.Keys(d.dec.views))
		return nil
	})
	return names, err
}

// Usage implements maildrop.Store.
func (s *Store) Usage(ctx context.Context, id maildrop.ID) (messages int, octets int64, err error) {
	err = s.with(ctx, id, func(d *drop) error {
		messages, octets = len(d.list.entries), d.list.octets
		return nil
	})
	return messages, octets, err
}
