// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
)

// written returns how many sign-ins stand in the file.
func written(t *testing.T, d *Directory) (n int) {
	t.Helper()
	must(t, d.db.QueryRow("SELECT count(*) FROM sign_ins").Scan(&n))
	return n
}

func TestSignInsAreWrittenOnceAMinute(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.sqlite")
	ctx := context.Background()
	from := netip.MustParseAddr("192.0.2.7")
	var phone maildrop.View
	var at time.Time
	synctest.Test(t, func(t *testing.T) {
		d := reopen(t, path, nil)
		u := add(t, d, "ana", "x")
		phone, _ = addDevice(t, d, "ana", "phone")
		devices, main, err := d.ListDevices(ctx, "ana")
		must(t, err)
		if !main.At.IsZero() || !devices[0].Last.At.IsZero() {
			t.Errorf("before the first: %v, %v", main, devices)
		}
		for range 100 {
			d.NoteSignIn(u.ID, phone, from)
			time.Sleep(500 * time.Millisecond)
		}
		at = time.Now().Add(-500 * time.Millisecond)
		if n := written(t, d); n != 0 {
			t.Errorf("%d were written before the minute was over", n)
		}
		devices, _, err = d.ListDevices(ctx, "ana")
		must(t, err)
		if last := devices[0].Last; last.Address != from || !last.At.Equal(at) {
			t.Errorf("not shown at once: %v", last)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := written(t, d); n != 1 {
			t.Errorf("%d are in the file after a minute", n)
		}
		// What is noted of nobody, or of a device that is gone, is let go.
		d.NoteSignIn("nobody", maildrop.Classic, from)
		d.NoteSignIn(u.ID, "gone", from)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := written(t, d); n != 1 || len(d.signIns.latest) != 1 {
			t.Errorf("%d are in the file, %d in memory", n, len(d.signIns.latest))
		}
		// The end writes the rest.
		d.NoteSignIn(u.ID, maildrop.Classic, netip.Addr{})
		must(t, d.Close())
		d.NoteSignIn(u.ID, maildrop.Classic, from)
	})
	d := reopen(t, path, nil)
	devices, main, err := d.ListDevices(ctx, "ana")
	must(t, err)
	if last := devices[0].Last; last.Address != from || last.At.Unix() != at.Unix() {
		t.Errorf("after a restart: %v", last)
	}
	if main.At.IsZero() || main.Address.IsValid() {
		t.Errorf("the user's own, without an address: %v", main)
	}
	must(t, d.RemoveDevice(ctx, "ana", "phone"))
	if n := written(t, d); n != 1 {
		t.Errorf("%d are in the file", n)
	}
}

// What cannot be written now is written later.
func TestSignInsThatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.sqlite")
	synctest.Test(t, func(t *testing.T) {
		d := reopen(t, path, nil)
		u := add(t, d, "ana", "x")
		must(t, d.exec("CREATE TRIGGER full BEFORE INSERT ON sign_ins BEGIN SELECT RAISE(ABORT, 'disk full'); END"))
		d.NoteSignIn(u.ID, maildrop.Classic, netip.MustParseAddr("192.0.2.7"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		must(t, d.exec("DROP TRIGGER full"))
		if n := written(t, d); n != 0 {
			t.Fatalf("%d were written", n)
		}
		must(t, d.Close())
	})
	if n := written(t, reopen(t, path, nil)); n != 1 {
		t.Errorf("%d were written in the end", n)
	}
}
