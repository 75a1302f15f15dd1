// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/directory"
	"restante.example/maildrop"
)

// What a crash leaves between the directory and the store is put right at the
// next start, and by cleaning up.
func TestViewsAreSettledAfterACrash(t *testing.T) {
	d := newDeviceTest(t)
	d.add("phone")
	d.deliver(1)
	d.signals <- syscall.SIGTERM
	d.wait(t)
	reopened := func(spoil func(o *Office, u directory.User)) *Office {
		t.Helper()
		o, err := OpenOffice(t.Context(), d.conf, NewLog(d.log, d.conf).Logger)
		if err != nil {
			t.Fatal(err)
		}
		if spoil != nil {
			u, err := o.directory.Get(t.Context(), "ana")
			if err != nil {
				t.Fatal(err)
			}
			spoil(o, u)
		}
		return o
	}
	closed := func(o *Office) {
		t.Helper()
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	// A view was added, and its device not.
	closed(reopened(func(o *Office, u directory.User) {
		check(o.directory.PrepareDevice(ctx, "ana", "tablet"))
		check(o.store.AddView(ctx, u.ID, "orphan", time.Time{}))
	}))
	o := reopened(nil)
	if got := d.views(o); len(got) != 2 || slices.Contains(got, "orphan") {
		t.Errorf("views %q", got)
	}
	closed(o)
	// A device was removed, and its view not; and the password of the user
	// refused before.
	closed(reopened(func(o *Office, u directory.User) {
		check(o.directory.SetMainRefused(ctx, "ana", true))
	}))
	o = reopened(func(o *Office, u directory.User) {
		if got := d.views(o); len(got) != 1 || got[0] == maildrop.Classic {
			t.Errorf("views %q", got)
		}
		check(o.directory.SetMainRefused(ctx, "ana", false))
		o.settleAll(ctx)
		check(o.directory.RemoveDevice(ctx, "ana", "phone"))
		o.settleAll(ctx)
	})
	if got := d.views(o); !slices.Equal(got, []maildrop.View{maildrop.Classic}) {
		t.Errorf("views %q", got)
	}
	closed(o)
	d.onDisk(1)
}

// The views of a journal that was lost come back with all that is there.
func TestViewsOfALostJournal(t *testing.T) {
	d := newDeviceTest(t)
	phone := d.add("phone")
	d.deliver(2)
	d.collect(phone, 2)
	d.signals <- syscall.SIGTERM
	d.wait(t)
	journals, err := filepath.Glob(filepath.Join(d.conf.Data, "mail", "ana", ".restante", "*", "restante.journal"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("%q, %v", journals, err)
	}
	if err := os.Remove(journals[0]); err != nil {
		t.Fatal(err)
	}
	d.ready, d.life = begin(t, d.conf)
	d.collect(phone, 2)
	d.onDisk(2)
	d.collect("secret", 2)
	d.onDisk(0)
	u, err := d.server.office.directory.Get(t.Context(), "ana")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.server.office.store.Open(t.Context(), u.ID, "nobodys"); !errors.Is(err, maildrop.ErrNoView) {
		t.Errorf("a view that no password opens: %v", err)
	}
}
