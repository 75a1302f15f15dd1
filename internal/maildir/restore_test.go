// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

// TestRestoredWhileServing: files that a backup puts over those that were
// listed are other files. The QUIT that does not know them yet keeps them, and
// the next session removes them.
func TestRestoredWhileServing(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		s := storeOn(t, f, now)
		deliver(t, s, "one")
		sn := openView(t, s, "")
		name, err := find(f, "u", sn.Info(1).UID)
		if err != nil {
			t.Fatal(err)
		}
		dropFile(t, f, "tmp/restored", "one\r\n")
		if err := f.Rename(root+"tmp/restored", name); err != nil {
			t.Fatal(err)
		}
		outcomes, err := sn.Remove(context.Background(), []int{1})
		if !errors.Is(err, maildrop.ErrPartial) || outcomes[0] != maildrop.Kept {
			t.Fatalf("%v, %v: another file was removed", outcomes, err)
		}
		sn.Close()
		later(now)
		equal(t, texts(t, s), []string{"one\r\n"})
		sn = openView(t, s, "")
		if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
			t.Fatalf("the restored message cannot be removed: %v", err)
		}
		sn.Close()
		equal(t, texts(t, s), nil)
	})
}

// TestDirectoryTakenAway: one that somebody removes is missed by one delivery,
// which is deferred, and made again by the next.
func TestDirectoryTakenAway(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		s := storeOn(t, f, now)
		deliver(t, s, "one")
		sn := openView(t, s, "")
		name, err := find(f, "u", sn.Info(1).UID)
		if err != nil {
			t.Fatal(err)
		}
		sn.Close()
		for _, n := range []string{name, strings.TrimSuffix(root, "/") + "/new"} {
			if err := f.Remove(n); err != nil {
				t.Fatal(err)
			}
		}
		d, err := s.Deliver(context.Background(), maildrop.Envelope{}, []maildrop.Target{{Maildrop: "u"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write([]byte("two")); err != nil {
			t.Fatal(err)
		}
		first := d.Commit(context.Background())[0]
		deliver(t, s, "three")
		later(now)
		want := []string{"three\r\n"}
		if first == nil {
			want = []string{"two\r\n", "three\r\n"}
		}
		equal(t, texts(t, s), want)
	})
}

// TestRefusedDeliveryStaysAway: a delivery whose directory could not be
// flushed is refused, and does not come up later because its name could not be
// taken back at once either.
func TestRefusedDeliveryStaysAway(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	deliver(t, s, "one")
	f.Inject(func(op memfs.Op) *memfs.Fault {
		if op.Kind == memfs.Remove || op.Kind == memfs.SyncDir {
			return &memfs.Fault{Err: syscall.EMFILE}
		}
		return nil
	})
	d, err := s.Deliver(context.Background(), maildrop.Envelope{}, []maildrop.Target{{Maildrop: "u"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte("refused")); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(context.Background())[0]; err == nil {
		t.Fatal("it was accepted without a flush")
	}
	later(c.Now)
	equal(t, texts(t, s), []string{"one\r\n"})
	f.Inject(nil)
	later(c.Now)
	equal(t, texts(t, s), []string{"one\r\n"})
	deliver(t, s, "two")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, texts(t, storeOn(t, f, c.Now)), []string{"one\r\n", "two\r\n"})
}
