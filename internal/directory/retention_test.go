// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"restante.example/maildrop"
)

func TestRetentionOfAUser(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "users.sqlite")
	d := reopen(t, path, nil)
	u := add(t, d, "ana", "x")
	other := add(t, d, "bea", "x")
	want := func(id maildrop.ID, want *Retention) {
		t.Helper()
		got, err := d.RetentionOf(id)
		must(t, err)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	want(u.ID, nil)
	rules := Retention{Age: 30 * 24 * time.Hour, Messages: 5, Octets: 1 << 40}
	must(t, d.SetRetention(ctx, "Ana", &rules))
	want(u.ID, &rules)
	want(other.ID, nil)
	must(t, d.Close())
	d = reopen(t, path, nil)
	want(u.ID, &rules)
	if got, err := d.Get(ctx, "ana"); err != nil || got.Retention == nil || *got.Retention != rules {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, d.SetRetention(ctx, "ana", &Retention{})) // for ever, whatever holds for others
	want(u.ID, &Retention{})
	for _, bad := range []Retention{{Age: -1}, {Messages: -1}, {Octets: -1}, {Age: time.Millisecond}} {
		if err := d.SetRetention(ctx, "ana", &bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	want(u.ID, &Retention{})
	must(t, d.SetRetention(ctx, "ana", nil))
	want(u.ID, nil)
	if err := d.SetRetention(ctx, "nobody", &rules); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("the rules of nobody: %v", err)
	}

	// They go with their user.
	must(t, d.SetRetention(ctx, "ana", &rules))
	_, err := d.Remove(ctx, "ana")
	must(t, err)
	if _, err := d.RetentionOf(u.ID); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("after removal: %v", err)
	}
	var left int
	must(t, d.db.QueryRow("SELECT count(*) FROM retention").Scan(&left))
	if left != 0 {
		t.Errorf("%d rules are left in the file", left)
	}
}
