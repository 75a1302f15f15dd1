// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"testing"

	"restante.example/maildrop"
)

// An empty directory is what a server makes that was started while the disk
// with its data was not mounted. It must not tell senders that nobody exists:
// they would send every message back.
func TestNobodyCannotTell(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	for _, address := range []string{"u1", "u1@example.org", "not an address"} {
		if list, err := d.Recipient(ctx, address); err == nil || errors.Is(err, maildrop.ErrNoUser) {
			t.Errorf("%q without users: %v, %v; want an error that is temporary", address, list, err)
		}
	}
	_, err := d.SignIn(ctx, maildrop.Attempt{Name: "u1"}, "secret")
	if err == nil || errors.Is(err, maildrop.ErrCredentials) || errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("sign-in without users: %v; want an error that is temporary", err)
	}

	quick(t, d, "u1")
	if _, err := d.Recipient(ctx, "u2"); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("an unknown recipient beside a user: %v", err)
	}
	if list, err := d.Recipient(ctx, "u1"); err != nil || len(list) != 1 {
		t.Errorf("the user: %v, %v", list, err)
	}
}
