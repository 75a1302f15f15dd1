// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

func TestStats(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	expect := func(what string, want Stats) {
		t.Helper()
		if got := s.Stats(); got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	expect("nothing has happened", Stats{})

	dropFile(t, f, "new/1.foreign", "one\n")
	c.add(time.Hour)
	texts(t, s)
	expect("listed at first sight", Stats{Scans: 1, Learnt: 1})
	texts(t, s)
	expect("unchanged", Stats{Scans: 1, Unchanged: 1, Learnt: 1})

	sn := openView(t, s, "")
	if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	got := s.Stats()
	if got.Records == 0 || got.JournalFailures != 0 || got.JournalFailing {
		t.Errorf("after a removal: %+v", got)
	}

	// A disk that takes no more into the journal, and then does again.
	deliver(t, s, "three\r\n")
	deliver(t, s, "four\r\n")
	sn = openView(t, s, "")
	f.Inject(func(op memfs.Op) *memfs.Fault {
		if (op.Kind == memfs.Write || op.Kind == memfs.Create) && strings.Contains(op.Name, "restante.journal") {
			return &memfs.Fault{Err: errors.New("broken")}
		}
		return nil
	})
	if _, err := sn.Remove(context.Background(), []int{1}); err == nil {
		t.Error("removed without a journal")
	}
	sn.Close()
	if got := s.Stats(); got.JournalFailures == 0 || !got.JournalFailing {
		t.Errorf("after the journal could not be written: %+v", got)
	}
	f.Inject(nil)
	sn = openView(t, s, "")
	if _, err := sn.Remove(context.Background(), []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	if got := s.Stats(); got.JournalFailing {
		t.Errorf("after it could be written again: %+v", got)
	}

	// A message of our own that is damaged.
	deliver(t, s, "two\r\n")
	sn = openView(t, s, "")
	if err := damageFile(f, "u", sn.Info(1).UID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(sn, 1); !errors.Is(err, maildrop.ErrDamaged) {
		t.Fatal(err)
	}
	sn.Close()
	if got := s.Stats(); got.Damaged != 1 {
		t.Errorf("after damage: %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// An index and a journal that cannot be used.
	for _, name := range []string{"restante.index", "restante.journal"} {
		data, err := fsx.ReadFile(f, "mail/u/"+name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 0xff
		if name == "restante.journal" {
			data = append(data, data...) // more comes behind: it is no torn end
		}
		if _, err := fsx.WriteFileSynced(f, "mail/u/"+name, data); err != nil {
			t.Fatal(err)
		}
	}
	s = storeOn(t, f, c.Now)
	openView(t, s, "").Close()
	if got := s.Stats(); got.LostIndexes != 1 || got.DamagedJournals != 1 {
		t.Errorf("after index and journal were spoilt: %+v", got)
	}
}
