// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"errors"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

func TestUsageOfViews(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		s := storeOn(t, f, now)
		defer s.Close()
		ctx := t.Context()
		usage := func(view maildrop.View, messages int, octets int64, alone int) {
			t.Helper()
			want := maildrop.ViewUsage{Messages: messages, Octets: octets, Alone: alone}
			if got, err := s.UsageOf(ctx, "u", view); err != nil || got != want {
				t.Errorf("%q: %+v, %v; want %+v", view, got, err, want)
			}
		}
		usage(maildrop.Classic, 0, 0, 0)
		deliver(t, s, "1\n")
		deliver(t, s, "22\n")
		usage(maildrop.Classic, 2, 7, 2)
		if err := s.AddView(ctx, "u", "all", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := s.AddView(ctx, "u", "later", now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		usage(maildrop.Classic, 2, 7, 0)
		usage("all", 2, 7, 0)
		usage("later", 0, 0, 0)
		sn := openView(t, s, maildrop.Classic)
		usage(maildrop.Classic, 2, 7, 0) // while it is open
		if _, err := sn.Remove(ctx, []int{1}); err != nil {
			t.Fatal(err)
		}
		usage(maildrop.Classic, 1, 4, 0)
		usage("all", 2, 7, 1)
		if err := sn.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.UsageOf(ctx, "u", "none"); !errors.Is(err, maildrop.ErrNoView) {
			t.Errorf("no such view: %v", err)
		}
	})
}
