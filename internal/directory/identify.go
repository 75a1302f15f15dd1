// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"

	"restante.example/maildrop"
)

// Identify implements maildrop.Identifier. Who has proven a name otherwise opens
// what the user's own password opens, under the rules of that: not where it is
// refused, nor from a network from which the user may not sign in.
func (d *Directory) Identify(ctx context.Context, a maildrop.Attempt) (maildrop.Principal, error) {
	if err := ctx.Err(); err != nil {
		return maildrop.Principal{}, err
	}
	d.opts.Refresh(ctx)
	s, err := d.snapshot()
	if err != nil {
		return maildrop.Principal{}, err
	}
	u, _ := d.lookup(s, a.Name)
	if err := d.vouched(s, u); err != nil {
		return maildrop.Principal{}, err
	}
	switch {
	case u == nil && d.sources.Load().Helper != nil:
		return maildrop.Principal{}, errUnvouched
	case u == nil:
		return maildrop.Principal{}, maildrop.ErrNoUser
	case !u.allows(a.Remote):
		return maildrop.Principal{}, maildrop.ErrCredentials
	}
	return u.signedIn()
}
