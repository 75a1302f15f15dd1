// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"restante.example/maildrop"
)

// Passwords are here and views are in the store, and no one transaction covers
// both. So a user is marked as unsettled before either changes, until somebody
// has seen that they agree; the mark outlives a crash.

func unsettle(ctx context.Context, tx *sql.Tx, u *record) error {
	_, err := tx.ExecContext(ctx, "UPDATE users SET unsettled = 1 WHERE id = ?", u.ID)
	return err
}

// Unsettle marks a user whose views are about to change.
func (d *Directory) Unsettle(ctx context.Context, user string) error {
	return d.changeUser(ctx, user, unsettle)
}

// PrepareDevice marks a user who is about to get a device of that name. It
// fails as AddDevice would.
func (d *Directory) PrepareDevice(ctx context.Context, user, name string) error {
	_, folded, err := CleanDeviceName(name)
	if err != nil {
		return err
	}
	return d.changeUser(ctx, user, func(ctx context.Context, tx *sql.Tx, u *record) error {
		if err := u.freeDevice(folded, ""); err != nil {
			return err
		}
		return unsettle(ctx, tx, u)
	})
}

// Settled takes the mark away. The caller makes sure that nobody changes the
// devices of the user meanwhile.
func (d *Directory) Settled(ctx context.Context, user string) error {
	return d.changeUser(ctx, user, func(ctx context.Context, tx *sql.Tx, u *record) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET unsettled = 0 WHERE id = ?", u.ID)
		return err
	})
}

// Unsettled returns the users whose views may be others than those of their
// passwords, in the order of their names. It answers from memory.
func (d *Directory) Unsettled(context.Context) ([]User, error) {
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	var list []User
	for _, u := range s.users {
		if u.unsettled {
			list = append(list, u.User)
		}
	}
	slices.SortFunc(list, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Views returns the views that the maildrop of a user is to have: one for each
// device, and the classic one unless the user's own password is refused. A user
// without devices has it in any case: it is where mail is kept. It fails with
// maildrop.ErrNoUser.
func (d *Directory) Views(_ context.Context, user string) ([]maildrop.View, error) {
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	u, err := s.find(user)
	if err != nil {
		return nil, err
	}
	var list []maildrop.View
	if !u.MainRefused || len(u.devices) == 0 {
		list = append(list, maildrop.Classic)
	}
	for _, of := range u.devices {
		list = append(list, of.View)
	}
	return list, nil
}

// SetMainRefused says whether the user's own password is refused, or opens the
// classic view. The user is unsettled until its views are as they are to be.
func (d *Directory) SetMainRefused(ctx context.Context, user string, refused bool) error {
	return d.changeUser(ctx, user, func(ctx context.Context, tx *sql.Tx, u *record) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET main_refused = ?, unsettled = 1 WHERE id = ?", refused, u.ID)
		return err
	})
}
