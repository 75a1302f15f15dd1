// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"restante.example/maildrop"
)

// The passwords of a user are in the directory, the views that they open in the
// store. Whoever changes both marks the user as unsettled first; settle then
// makes the views follow the passwords, after a crash as well. A view comes
// before its password and goes after it: no password is without a view, and no
// view without a password holds mail back for ever.

// lockViews waits until nobody else changes devices and views.
func (o *Office) lockViews(ctx context.Context) (unlock func(), err error) {
	select {
	case o.views <- struct{}{}:
		return func() { <-o.views }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// settle makes the views of a user those of its passwords, under the lock. What
// is missing is added before what is too much is dropped, so that no message is
// without a view in between.
func (o *Office) settle(ctx context.Context, user string) error {
	u, err := o.directory.Get(ctx, user)
	if err != nil {
		return err
	}
	want, err := o.directory.Views(ctx, user)
	if err != nil {
		return err
	}
	have, err := o.store.Views(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, view := range want {
		if slices.Contains(have, view) {
			continue
		}
		if err := o.store.AddView(ctx, u.ID, view, time.Time{}); err != nil {
			return err
		}
	}
	for _, view := range have {
		if slices.Contains(want, view) {
			continue
		}
		if err := o.store.DropView(ctx, u.ID, view); err != nil {
			return err
		}
	}
	return o.directory.Settled(ctx, user)
}

// settleLater is settle for somebody who has done what was asked for already:
// what fails is tried again when the office cleans up.
func (o *Office) settleLater(ctx context.Context, user string) {
	if err := o.settle(context.WithoutCancel(ctx), user); err != nil {
		o.log.Warn("the views of a user are not as they are to be yet; tried again later", "user", user, "error", err)
	}
}

// settleAll settles every user who is not.
func (o *Office) settleAll(ctx context.Context) {
	users, err := o.directory.Unsettled(ctx)
	if err != nil || len(users) == 0 {
		return // what is wrong with the directory shows elsewhere
	}
	unlock, err := o.lockViews(ctx)
	if err != nil {
		return // it ends
	}
	defer unlock()
	for _, u := range users {
		// An operation may have settled or removed the user meanwhile.
		if err := o.settle(ctx, u.Name); err != nil && !errors.Is(err, maildrop.ErrNoUser) && ctx.Err() == nil {
			o.log.Warn("the views of a user are not as they are to be yet; tried again later", "user", u.Name, "error", err)
		}
	}
}

// heal makes a view that is missing and that a password opens. It answers
// maildrop.ErrNoView where none does.
func (o *Office) heal(ctx context.Context, id maildrop.ID, view maildrop.View) error {
	unlock, err := o.lockViews(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	name, err := o.homes.name(ctx, id)
	if err != nil {
		return err
	}
	u, err := o.directory.Get(ctx, name)
	if errors.Is(err, maildrop.ErrNoUser) || err == nil && u.ID != id {
		return maildrop.ErrNoView
	}
	if err != nil {
		return err
	}
	want, err := o.directory.Views(ctx, name)
	if err != nil {
		return err
	}
	if !slices.Contains(want, view) {
		return maildrop.ErrNoView
	}
	o.log.Warn("a view is made anew: its journal was lost or moved away", "user", name, "view", view)
	return o.settle(ctx, name)
}
