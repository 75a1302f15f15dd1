// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"

	"restante.example/maildrop"
)

var _ maildrop.ViewCounter = (*Store)(nil)

// UsageOf implements maildrop.ViewCounter. It goes through the list once.
func (s *Store) UsageOf(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.ViewUsage, error) {
	var u maildrop.ViewUsage
	err := s.with(ctx, id, func(d *drop) error {
		v, err := d.view(view)
		if err != nil {
			return err
		}
		first := d.firstSince()
		for i := range d.list.entries {
			e := &d.list.entries[i]
			if !v.holds(e, first) {
				continue
			}
			u.Messages++
			u.Octets += e.size
			if !d.heldBeside(view, e, first) {
				u.Alone++
			}
		}
		return nil
	})
	return u, err
}
