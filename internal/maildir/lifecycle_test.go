// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

func TestStaleTemporaryFiles(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	dropFile(t, f, "tmp/old", "x")
	dropFile(t, f, "tmp/.hidden", "x")
	c.add(35 * time.Hour)
	s := storeOn(t, f, c.Now)
	texts(t, s)
	left := func() int {
		t.Helper()
		entries, err := f.ReadDir(root + "tmp")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if left() != 2 {
		t.Error("a file of 35 hours was removed")
	}
	dropFile(t, f, "tmp/young", "x")
	c.add(2 * time.Hour)
	if err := s.Sweep(context.Background(), slices.Values([]maildrop.ID{"u", "v"})); err != nil {
		t.Fatal(err)
	}
	if left() != 1 {
		t.Errorf("%d files left after 37 hours, want the young one", left())
	}
	c.add(36 * time.Hour)
	// A store that does not have the maildrop in memory cleans it as well.
	s = storeOn(t, f, c.Now)
	if err := s.Sweep(context.Background(), slices.Values([]maildrop.ID{"u"})); err != nil {
		t.Fatal(err)
	}
	if left() != 0 {
		t.Errorf("%d files left", left())
	}
}

// A clock that jumps ahead makes no file old that is still being written.
func TestTempInUseStays(t *testing.T) {
	c := newClock()
	s := storeOn(t, memfs.New(memfs.Options{Clock: c.Now}), c.Now)
	d, err := s.Deliver(t.Context(), maildrop.Envelope{}, []maildrop.Target{{Maildrop: "u"}})
	if err != nil {
		t.Fatal(err)
	}
	// So much that a part of it is in the file by now.
	if _, err := io.WriteString(d, strings.Repeat("before the jump\r\n", 1<<15)); err != nil {
		t.Fatal(err)
	}
	c.add(400 * 24 * time.Hour)
	if err := s.Sweep(t.Context(), slices.Values([]maildrop.ID{"u"})); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(d, "after the jump\r\n"); err != nil {
		t.Fatal(err)
	}
	if errs := d.Commit(t.Context()); errs[0] != nil {
		t.Error(errs[0])
	}
}

// A transaction is remembered for ten minutes at least, and not for ever.
func TestTransactionsEnd(t *testing.T) {
	c := newClock()
	s := storeOn(t, memfs.New(memfs.Options{Clock: c.Now}), c.Now)
	send := func() {
		t.Helper()
		d, err := s.Deliver(context.Background(), maildrop.Envelope{Transaction: "t"}, []maildrop.Target{{Maildrop: "u"}, {Maildrop: "u"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(d, "x"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Commit(context.Background())...); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 2}, {10 * time.Minute, 2}, {time.Hour, 4}} {
		c.add(step.after)
		send()
		if got := len(texts(t, s)); got != step.want {
			t.Errorf("after %v: %d messages, want %d", step.after, got, step.want)
		}
	}
	if len(s.txns.known) != 2 || len(s.txns.queue) != 2 {
		t.Errorf("%d transactions are remembered, %d queued", len(s.txns.known), len(s.txns.queue))
	}
}

// Sixteen deliveries at once share the flush of the directory: one for the
// first, one for all the others that came while it ran.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		f := memfs.New(memfs.Options{Clock: c.Now})
		s := storeOn(t, f, c.Now)
		deliver(t, s, "first")
		var flushes atomic.Int64
		f.Before(func(op memfs.Op) {
			if op.Kind == memfs.SyncDir && op.Name == root+"new" && flushes.Add(1) == 1 {
				// The first flush lasts until all the others wait for theirs.
				synctest.Wait()
			}
		})
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if err := tryDeliver(s, "u", fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if flushes.Load() != 2 {
			t.Errorf("%d flushes for 16 deliveries, want 2", flushes.Load())
		}
		f.Before(nil)
		if got := len(texts(t, s)); got != 17 {
			t.Errorf("%d messages", got)
		}
	})
}

// Maildrops that nobody uses leave the memory, and come back with all that
// was learnt.
func TestEviction(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	s.opt.CacheMessages = 10
	dropFile(t, f, "new/1.foreign", strings.Repeat("x\n", 1000))
	c.add(time.Hour)
	texts(t, s)
	sn := openView(t, s, "")
	for i := range 8 {
		id := maildrop.ID(fmt.Sprintf("other%d", i))
		for range 3 {
			if err := tryDeliver(s, id, "x"); err != nil {
				t.Fatal(err)
			}
		}
		other, err := s.Open(context.Background(), id, "")
		if err != nil {
			t.Fatal(err)
		}
		if outcomes, err := other.Remove(context.Background(), []int{1}); err != nil {
			t.Fatal(outcomes, err)
		}
		other.Close()
	}
	if s.drops["u"] == nil || s.drops["other0"] != nil || len(s.drops) > 6 || s.cached > 10 {
		t.Errorf("%d maildrops with %d messages in memory; u is there: %t", len(s.drops), s.cached, s.drops["u"] != nil)
	}
	sn.Close()
	for i := range 8 {
		other, err := s.Open(context.Background(), maildrop.ID(fmt.Sprintf("other%d", i)), "")
		if err != nil || other.Len() != 2 {
			t.Fatalf("%v, %v", other, err)
		}
		other.Close()
	}
	if s.drops["u"] != nil {
		t.Fatal("u is in memory still")
	}
	reads := 0
	f.Before(func(op memfs.Op) {
		if op.Kind == memfs.Read && strings.HasPrefix(op.Name, "1.foreign") {
			reads++
		}
	})
	sn = openView(t, s, "")
	if sn.Info(1).Size != 3000 || reads != 0 {
		t.Errorf("%+v after %d reads: the index is there to know", sn.Info(1), reads)
	}
	sn.Close()
}

// The index can be deleted, and a bad one does no harm.
func TestBadIndex(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	for i := range 300 {
		dropFile(t, f, fmt.Sprintf("new/%d.foreign", i), strings.Repeat("line\n", i))
	}
	c.add(time.Hour)
	s := storeOn(t, f, c.Now)
	want := texts(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(data []byte) []byte{
		func([]byte) []byte { return nil },
		func(data []byte) []byte { return data[:len(data)/2] },
		func(data []byte) []byte { return append(bytes.Clone(data), 1) },
		func(data []byte) []byte { data = bytes.Clone(data); data[len(data)/2] ^= 1; return data },
	} {
		data, err := fsx.ReadFile(f, "mail/u/restante.index", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fsx.WriteFileSynced(f, "mail/u/restante.index", spoil(data)); err != nil {
			t.Fatal(err)
		}
		s = storeOn(t, f, c.Now)
		equal(t, texts(t, s), want)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The journal of a busy maildrop does not grow without end.
func TestCompaction(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	for range 40 {
		for i := range 40 {
			deliver(t, s, fmt.Sprint(i))
		}
		sn := openView(t, s, "")
		all := make([]int, sn.Len())
		for i := range all {
			all[i] = i + 1
		}
		if _, err := sn.Remove(context.Background(), all); err != nil {
			t.Fatal(err)
		}
		sn.Close()
		s.ops.Wait() // A compaction in the background.
	}
	info, err := f.Stat("mail/u/restante.journal")
	if err != nil || info.Size > compactAt+8<<10 {
		t.Errorf("%d octets after 1,600 removals, %v", info.Size, err)
	}
	if err := s.Sweep(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if info, err = f.Stat("mail/u/restante.journal"); err != nil || info.Size > 1000 {
		t.Errorf("%d octets after a sweep, %v", info.Size, err)
	}
	if got := texts(t, s); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// Mail with a time before every view began is shown to all: nobody would see
// it otherwise.
func TestLateMailIsSeen(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	ctx := context.Background()
	if err := s.AddView(ctx, "u", "phone", c.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.DropView(ctx, "u", maildrop.Classic); err != nil {
		t.Fatal(err)
	}
	if err := s.DropView(ctx, "u", "phone"); err == nil {
		t.Error("the last view was dropped")
	}
	dropFile(t, f, "new/100.from-1970", "late")
	c.add(time.Minute)
	sn := openView(t, s, "phone")
	defer sn.Close()
	if sn.Len() != 1 {
		t.Errorf("%d messages", sn.Len())
	}
}

// On a file system without links a message gets its name by a rename.
func TestWithoutLinks(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	f.Inject(func(op memfs.Op) *memfs.Fault {
		if op.Kind == memfs.Link {
			return &memfs.Fault{Err: syscall.EPERM}
		}
		return nil
	})
	deliver(t, s, "one")
	equal(t, texts(t, storeOn(t, f.Crash(memfs.LoseAll()), c.Now)), []string{"one\r\n"})
}

// The store without flushes says so in its name, and flushes nothing.
func TestInsecureNoFlush(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	s.opt.InsecureNoFlush = true
	f.Before(func(op memfs.Op) {
		if op.Kind == memfs.Sync || op.Kind == memfs.SyncDir {
			t.Errorf("%v %s", op.Kind, op.Name)
		}
	})
	deliver(t, s, "one")
	deliver(t, s, "two")
	sn := openView(t, s, "")
	if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	equal(t, texts(t, s), []string{"two\r\n"})
}

// The reserve refuses mail early and late, and removals go on.
func TestReserve(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now, Total: 1 << 20})
	s := storeOn(t, f, c.Now)
	s.opt.Reserve = 0
	deliver(t, s, "one")
	big := strings.Repeat("x", 1<<20-9000)
	if err := tryDeliver(s, "u", big); !errors.Is(err, maildrop.ErrNoSpace) {
		t.Errorf("a message into the reserve: %v", err)
	}
	env := maildrop.Envelope{Size: int64(len(big))}
	if _, err := s.Deliver(context.Background(), env, []maildrop.Target{{Maildrop: "u"}}); !errors.Is(err, maildrop.ErrNoSpace) {
		t.Errorf("an announced message into the reserve: %v", err)
	}
	if names, err := f.ReadDir(root + "tmp"); err != nil || len(names) != 0 {
		t.Errorf("left in tmp: %v, %v", names, err)
	}
	deliver(t, s, "two")
}

func TestClose(t *testing.T) {
	c := newClock()
	s := storeOn(t, memfs.New(memfs.Options{Clock: c.Now}), c.Now)
	deliver(t, s, "one")
	sn := openView(t, s, "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-sn.Revoked():
	default:
		t.Error("an open session was not told")
	}
	if _, err := s.Open(context.Background(), "u", ""); !errors.Is(err, maildrop.ErrClosed) {
		t.Errorf("Open: %v", err)
	}
	if err := tryDeliver(s, "u", "x"); !errors.Is(err, maildrop.ErrClosed) {
		t.Errorf("Deliver: %v", err)
	}
	if outcomes, err := sn.Remove(context.Background(), []int{1}); err == nil || outcomes[0] != maildrop.Kept {
		t.Errorf("Remove: %v, %v", outcomes, err)
	}
	if err := sn.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A poll of a large maildrop allocates nothing per message.
func TestListingDoesNotAllocate(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	for i := range 2000 {
		dropFile(t, f, fmt.Sprintf("new/%d.a", i), "x\r\n")
	}
	c.add(time.Hour)
	s := storeOn(t, f, c.Now)
	poll := func() {
		sn := openView(t, s, "")
		var octets int64
		for n := 1; n <= sn.Len(); n++ {
			octets += sn.Info(n).Size
		}
		sn.Close()
		if octets != 6000 {
			t.Errorf("%d octets", octets)
		}
	}
	poll()
	if allocs := testing.AllocsPerRun(10, poll); allocs > 60 {
		t.Errorf("%v allocations for a poll of 2,000 messages", allocs)
	}
}
