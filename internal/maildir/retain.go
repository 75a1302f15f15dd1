// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"fmt"
	"math"

	"restante.example/maildrop"
)

// retain removes what the rules let go, whatever the views hold, under the
// lock. Open snapshots keep their numbers; what they still list is gone.
func (d *drop) retain(ctx context.Context, r maildrop.Rules) error {
	if d.broken != nil || r.Age <= 0 && r.Messages <= 0 && r.Octets <= 0 {
		return nil
	}
	oldest := int64(math.MinInt64)
	if r.Age > 0 {
		oldest = d.store.opt.Clock().Add(-r.Age).UnixNano()
	}
	left, octets := len(d.list.entries), d.list.octets
	now := d.now()
	var items []item
	var chosen []*entry
	// The oldest come first, but for those that were taken over from elsewhere.
	for i := range d.list.entries {
		e := &d.list.entries[i]
		over := r.Messages > 0 && left > r.Messages || r.Octets > 0 && octets > r.Octets
		if e.time >= oldest && !over || d.isDoubtful(e.uid) {
			continue
		}
		items = append(items, item{uid: e.uid, id: e.id(), gone: true, at: now})
		chosen = append(chosen, e)
		left--
		octets -= e.size
	}
	if len(items) == 0 {
		return nil
	}
	d.toHold(ctx, items, chosen)
	if err := d.decide(goingRecord(items)); err != nil {
		return fmt.Errorf("maildir: the rules of retention could not be kept: %w", err)
	}
	d.noteRetention(items, chosen)
	d.store.log.Info("messages were removed by the rules of retention", "maildrop", d.id, "messages", len(items))
	d.stale = len(d.removeFiles(ctx, items, chosen)) > 0 || d.stale
	d.compactSoon()
	return nil
}
