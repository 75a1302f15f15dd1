// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

// A first look that is broken off, because its client has gone, is not lost.
func TestBrokenOffLook(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	for i := range 500 {
		dropFile(t, f, fmt.Sprintf("new/%d.foreign", i), "text\n")
	}
	c.add(time.Hour)
	s := storeOn(t, f, c.Now)
	ctx, cancel := context.WithCancel(context.Background())
	var opens atomic.Int64
	f.Before(func(op memfs.Op) {
		if op.Kind == memfs.Open && strings.HasSuffix(op.Name, ".foreign") && opens.Add(1) == 300 {
			cancel()
		}
	})
	if _, err := s.Open(ctx, "u", ""); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	f.Before(nil)
	before := f.Ops()
	sn := openView(t, s, "")
	defer sn.Close()
	// Each of 500 files is looked at; those that are not known yet cost five more.
	if ops := f.Ops() - before; sn.Len() != 500 || ops > 500+6*220 {
		t.Errorf("%d messages after %d operations", sn.Len(), ops)
	}
}

// Foreign files that change after they were learnt.
func TestForeignFilesChange(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	long := strings.Repeat("0123456789\n", 20_000)
	for name, text := range map[string]string{"new/1.cut": "short text\n", "new/2.cutlong": long, "new/3.grown": "grows\n",
		"new/4.edited": "edited\n", "new/5.replaced": "replaced\n", "new/6.rot": "rot\n"} {
		dropFile(t, f, name, text)
	}
	c.add(time.Hour)
	s := storeOn(t, f, c.Now)
	texts(t, s)
	write := func(name string, truncate int64, text string) {
		t.Helper()
		file, err := f.OpenFile(root+name, os.O_WRONLY)
		if err != nil {
			t.Fatal(err)
		}
		if truncate >= 0 {
			err = file.Truncate(truncate)
		}
		if err == nil {
			_, err = file.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("new/1.cut", 5, "")
	write("new/2.cutlong", 100_000, "")
	write("new/3.grown", -1, "it has grown\n")
	write("new/4.edited", -1, "EDITED\n")
	dropFile(t, f, "new/5.replaced", "another file\n")
	c.add(time.Minute)
	sn := openView(t, s, "")
	for n, want := range []error{maildrop.ErrDamaged, maildrop.ErrDamaged, errChanged, errChanged, errChanged, nil} {
		if _, err := readAll(sn, n+1); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", sn.Info(n+1).UID, err, want)
		}
		if _, err := readAll(sn, n+1); !errors.Is(err, want) {
			t.Errorf("%s again: %v, want %v", sn.Info(n+1).UID, err, want)
		}
	}
	outcomes, err := sn.Remove(context.Background(), []int{1, 2, 3, 4, 5, 6})
	if !errors.Is(err, maildrop.ErrPartial) || !slices.Equal(outcomes, []maildrop.Outcome{0, 0, 0, 0, 0, maildrop.Removed}) {
		t.Errorf("%v, %v", outcomes, err)
	}
	sn.Close()
	check := func(s *Store) {
		t.Helper()
		sn := openView(t, s, "")
		defer sn.Close()
		for n, want := range []string{"", "", "it has grown\r\n", "EDITED\r\n", "another file\r\n"} {
			got, err := readAll(sn, n+1)
			if n < 2 && !errors.Is(err, maildrop.ErrDamaged) || n >= 2 && (err != nil || got != want) {
				t.Errorf("%s in the next session: %q, %v", sn.Info(n+1).UID, got, err)
			}
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = storeOn(t, f, c.Now)
	check(s)
	// What is repaired heals.
	dropFile(t, f, "new/1.cut", "short text\n")
	write("new/2.cutlong", 0, long)
	sn = openView(t, s, "")
	defer sn.Close()
	for n := 1; n <= 2; n++ {
		if _, err := readAll(sn, n); err != nil {
			t.Errorf("%s after its repair: %v", sn.Info(n).UID, err)
		}
	}
}

// Our own files: damage is remembered over restarts, and ends with a repair.
func TestOwnDamage(t *testing.T) {
	for _, size := range []int{10, chunk - 1, chunk, chunk + 1, 5 * chunk} {
		for _, cut := range []bool{true, false} {
			c := newClock()
			f := memfs.New(memfs.Options{Clock: c.Now})
			s := storeOn(t, f, c.Now)
			text := strings.Repeat("x", size-2) + "\r\n"
			deliver(t, s, text)
			sn := openView(t, s, "")
			uid := sn.Info(1).UID
			name, err := find(f, "u", uid)
			if err != nil {
				t.Fatal(err)
			}
			if err := damageFile(f, "u", uid, cut); err != nil {
				t.Fatal(err)
			}
			got, err := readAll(sn, 1)
			if !errors.Is(err, maildrop.ErrDamaged) || len(got) >= size {
				t.Errorf("size %d, cut %t: %d octets, %v", size, cut, len(got), err)
			}
			sn.Close()
			for range 2 {
				sn := openView(t, s, "")
				if _, err := sn.Message(context.Background(), 1); !errors.Is(err, maildrop.ErrDamaged) {
					t.Errorf("size %d, cut %t, later: %v", size, cut, err)
				}
				if sn.Info(1).Size != int64(size) {
					t.Errorf("size %d, cut %t: announced as %d", size, cut, sn.Info(1).Size)
				}
				if outcomes, err := sn.Remove(context.Background(), []int{1}); err == nil {
					t.Errorf("size %d, cut %t: removed, %v", size, cut, outcomes)
				}
				sn.Close()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = storeOn(t, f, c.Now)
			}
			dropFile(t, f, strings.TrimPrefix(name, root), text)
			c.add(time.Second)
			equal(t, texts(t, s), []string{text})
		}
	}
}

// A program that restores files with other line ends does no damage.
func TestOwnInOtherForm(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	deliver(t, s, "a\nb\n")
	sn := openView(t, s, "")
	name, err := find(f, "u", sn.Info(1).UID)
	if err != nil {
		t.Fatal(err)
	}
	sn.Close()
	dropFile(t, f, strings.TrimPrefix(name, root), "a\nb\n")
	s = storeOn(t, f, c.Now)
	equal(t, texts(t, s), []string{"a\r\nb\r\n"})
}
