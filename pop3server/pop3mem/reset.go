// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"restante.example/maildrop"
)

// ResetView implements maildrop.ViewResetter.
func (s *Store) ResetView(ctx context.Context, id maildrop.ID, name maildrop.View, since time.Time) error {
	if err := s.begin(ctx, OpReset, id); err != nil {
		return err
	}
	for {
		open, err := s.resetView(id, name, since)
		if open == nil {
			return err
		}
		// Outside the lock, because a Remove that is being committed is waited for.
		open.Revoke()
	}
}

// resetView resets a view that is not open, or returns the snapshot that has it.
func (s *Store) resetView(id maildrop.ID, name maildrop.View, since time.Time) (*snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findView(id, name)
	if err != nil {
		return nil, err
	}
	if v.open != nil {
		return v.open, nil
	}
	d := s.drops[id]
	for _, m := range d.held() {
		if m.arrived.Before(since) || slices.Contains(v.messages, m) {
			continue
		}
		if v.removed[m] {
			d.resets++
			v.uids[m] = fmt.Sprintf("%s-again%d", m.uid(), d.resets)
			delete(v.removed, m)
		}
		v.messages = append(v.messages, m)
	}
	slices.SortFunc(v.messages, func(a, b *message) int { return cmp.Compare(a.number, b.number) })
	return nil, nil
}

// UsageOf implements maildrop.ViewCounter.
func (s *Store) UsageOf(ctx context.Context, id maildrop.ID, name maildrop.View) (u maildrop.ViewUsage, err error) {
	if err := s.begin(ctx, OpUsage, id); err != nil {
		return u, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findView(id, name)
	if err != nil {
		return u, err
	}
	for _, m := range v.messages {
		u.Messages++
		u.Octets += m.size
		alone := true
		for _, other := range s.drops[id].views {
			alone = alone && (other == v || !slices.Contains(other.messages, m))
		}
		if alone {
			u.Alone++
		}
	}
	return u, nil
}
