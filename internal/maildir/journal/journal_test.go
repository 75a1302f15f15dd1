// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
)

const name = "state/journal"

// open opens the journal and returns what it holds.
func open(t *testing.T, f fsx.FS) (*Journal, []string) {
	t.Helper()
	var got []string
	j, err := Open(f, name, func(r Record) error {
		got = append(got, fmt.Sprintf("%d:%s", r.Type, r.Data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, got
}

func rec(text string) Record { return Record{Type: 7, Data: []byte(text)} }

// A journal that is cut off from power at any operation, in any way, holds all
// that was confirmed, in order, and at most the one record more that was on its way.
func TestCrashAtEveryOperation(t *testing.T) {
	m := memfs.New(memfs.Options{})
	var confirmed []string
	var instead []string
	var trying string
	crashes := 0
	m.Before(func(op memfs.Op) {
		losses := []memfs.Loss{memfs.LoseAll(), memfs.KeepAll()}
		for seed := range uint64(20) {
			losses = append(losses, memfs.Torn(seed))
		}
		for _, loss := range losses {
			crashes++
			c := m.Crash(loss)
			j, got := open(t, c)
			if !slices.Equal(got, confirmed) && (instead == nil || !slices.Equal(got, instead)) && !slices.Equal(got, append(slices.Clone(confirmed), trying)) {
				t.Fatalf("operation %+v, %+v: %q, confirmed %q, trying %q", op, loss, got, confirmed, trying)
			}
			// And it can be used on.
			if j.Fenced() != nil {
				var records []Record
				for _, g := range got {
					records = append(records, rec(g[2:]))
				}
				if err := j.Rewrite(records); err != nil {
					t.Fatal(err)
				}
			}
			if err := j.Append(rec("after")); err != nil {
				t.Fatal(err)
			}
			if _, again := open(t, c.Crash(memfs.LoseAll())); !slices.Equal(again, append(slices.Clone(got), "7:after")) {
				t.Fatalf("after a crash and one more record: %q", again)
			}
		}
	})
	j, _ := open(t, m)
	for i := range 6 {
		text := fmt.Sprintf("record %d %s", i, strings.Repeat("x", 50*i))
		trying = "7:" + text
		if err := j.Append(rec(text)); err != nil {
			t.Fatal(err)
		}
		confirmed = append(confirmed, trying)
	}
	trying, instead = "", []string{"7:one for all"}
	if err := j.Rewrite([]Record{rec("one for all")}); err != nil {
		t.Fatal(err)
	}
	m.Before(nil)
	if _, got := open(t, m.Crash(memfs.LoseAll())); !slices.Equal(got, []string{"7:one for all"}) {
		t.Errorf("after Rewrite: %q", got)
	}
	if crashes < 500 {
		t.Errorf("only %d crashes", crashes)
	}
}

func TestTornAndDamaged(t *testing.T) {
	data := image([]Record{rec("sealed 1"), rec("sealed 2")})
	sealed := len(data)
	data = appendRecord(data, rec("third"), int64(sealed))
	third := len(data)
	data = appendRecord(data, rec("fourth"), int64(third))
	read := func(data []byte) (n int, end int64, err error) {
		end, err = Scan(data, func(Record) error { n++; return nil })
		return
	}
	for cut := range len(data) {
		n, end, err := read(data[:cut])
		switch {
		case cut < sealed:
			if !errors.As(err, new(*DamageError)) {
				t.Fatalf("cut at %d, before what was sealed: %v", cut, err)
			}
		case err != nil:
			t.Fatalf("cut at %d: %v", cut, err)
		case cut < third && (n != 2 || end != int64(sealed)), cut >= third && (n != 3 || end != int64(third)):
			t.Fatalf("cut at %d: %d records up to %d", cut, n, end)
		}
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x40
		n, end, err := read(bad)
		if i < third {
			if !errors.As(err, new(*DamageError)) {
				t.Fatalf("octet %d changed: %v", i, err)
			}
		} else if err != nil || n != 3 || end != int64(third) {
			t.Fatalf("octet %d of the last record changed: %d records up to %d, %v", i, n, end, err)
		}
	}
	// Two records of one unflushed stretch, the first torn: both go.
	torn := appendRecord(bytes.Clone(data[:third]), rec("noted"), int64(third))
	torn[len(torn)-1] ^= 1
	torn = appendRecord(torn, rec("not confirmed"), int64(third))
	if n, end, err := read(torn); n != 3 || end != int64(third) || err != nil {
		t.Errorf("torn in an unflushed stretch: %d records up to %d, %v", n, end, err)
	}
}

// After a flush that failed nothing more can be appended, until the journal
// has been rewritten without what failed.
func TestFence(t *testing.T) {
	for _, kind := range []memfs.Kind{memfs.Open, memfs.Stat, memfs.Write, memfs.Sync} {
		m := memfs.New(memfs.Options{})
		j, _ := open(t, m)
		if err := j.Append(rec("first")); err != nil {
			t.Fatal(err)
		}
		m.Inject(func(op memfs.Op) *memfs.Fault {
			if op.Kind == kind {
				return &memfs.Fault{Err: syscall.EIO, Octets: 11}
			}
			return nil
		})
		if err := j.Append(rec("lost")); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v: %v", kind, err)
		}
		m.Inject(nil)
		if err := j.Append(rec("too soon")); !errors.Is(err, ErrFenced) {
			t.Errorf("%v: an append behind the fence: %v", kind, err)
		}
		if err := j.Rewrite([]Record{rec("first")}); err != nil {
			t.Fatal(err)
		}
		if err := j.Append(rec("second")); err != nil {
			t.Fatal(err)
		}
		if _, got := open(t, m.Crash(memfs.LoseAll())); !slices.Equal(got, []string{"7:first", "7:second"}) {
			t.Errorf("%v: %q", kind, got)
		}
	}
}

// TestKillAtTheFence: what was not accepted is not there for the process that
// comes after one that was killed, before it could write the journal anew.
func TestKillAtTheFence(t *testing.T) {
	for _, kind := range []memfs.Kind{memfs.Write, memfs.Sync} {
		m := memfs.New(memfs.Options{})
		j, _ := open(t, m)
		if err := j.Append(rec("first")); err != nil {
			t.Fatal(err)
		}
		m.Inject(func(op memfs.Op) *memfs.Fault {
			if op.Kind == kind {
				return &memfs.Fault{Err: syscall.EIO, Octets: 1 << 20, Done: kind == memfs.Sync}
			}
			return nil
		})
		if err := j.Append(rec("refused")); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v: %v", kind, err)
		}
		if err := j.Rewrite([]Record{rec("first")}); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v: %v", kind, err)
		}
		m.Inject(nil)
		if _, got := open(t, m); !slices.Equal(got, []string{"7:first"}) {
			t.Errorf("%v: %q", kind, got)
		}
	}
}

func TestNoteIsNotFlushed(t *testing.T) {
	m := memfs.New(memfs.Options{})
	j, _ := open(t, m)
	if err := j.Append(rec("a")); err != nil {
		t.Fatal(err)
	}
	if err := j.Note(rec("b")); err != nil {
		t.Fatal(err)
	}
	if _, got := open(t, m.Crash(memfs.LoseAll())); len(got) != 1 {
		t.Errorf("a note was flushed: %q", got)
	}
	if err := j.Append(rec("c")); err != nil {
		t.Fatal(err)
	}
	if _, got := open(t, m.Crash(memfs.LoseAll())); len(got) != 3 {
		t.Errorf("an append did not flush the note: %q", got)
	}
	if err := j.Append(Record{Data: make([]byte, MaxRecord)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record over the limit: %v", err)
	}
}

func TestSomethingElseWrote(t *testing.T) {
	m := memfs.New(memfs.Options{})
	j, _ := open(t, m)
	if err := j.Append(rec("a")); err != nil {
		t.Fatal(err)
	}
	other, _ := open(t, m)
	if err := other.Append(rec("b")); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(rec("c")); err == nil || j.Fenced() == nil {
		t.Errorf("an append to a journal that something else changed: %v", err)
	}
}

func FuzzScan(f *testing.F) {
	data := image([]Record{rec("sealed")})
	f.Add(data)
	whole := appendRecord(appendRecord(bytes.Clone(data), rec("one"), int64(len(data))), rec(frameMagic), 5)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte(fileMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		var records []Record
		end, err := Scan(data, func(r Record) error { records = append(records, r); return nil })
		if end < 0 || end > int64(len(data)) {
			t.Fatalf("end %d of %d", end, len(data))
		}
		if err != nil {
			return
		}
		// What was readable is readable again without what follows.
		var again []Record
		end2, err := Scan(data[:end], func(r Record) error { again = append(again, r); return nil })
		if err != nil || end2 != end || len(again) != len(records) {
			t.Fatalf("the readable part: %d records up to %d, %v; was %d up to %d", len(again), end2, err, len(records), end)
		}
	})
}

// What a program noted before it ended may still be in memory only: a record
// that is appended after a restart does not say that it was durable.
func TestNoteBeforeRestart(t *testing.T) {
	for seed := range uint64(50) {
		f := memfs.New(memfs.Options{})
		none := func(Record) error { return nil }
		j, err := Open(f, "j", none)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Append(Record{1, []byte("one")}), j.Append(Record{1, []byte("two")}), j.Note(Record{2, []byte("noted")})); err != nil {
			t.Fatal(err)
		}
		if j, err = Open(f, "j", none); err != nil {
			t.Fatal(err)
		}
		var disk *memfs.FS
		f.Before(func(op memfs.Op) {
			if op.Kind == memfs.Sync {
				disk = f.Crash(memfs.Torn(seed)) // the power goes off here
			}
		})
		if err := j.Append(Record{1, []byte("three")}); err != nil || disk == nil {
			t.Fatal(err, disk)
		}
		var got []string
		if _, err := Open(disk, "j", func(r Record) error { got = append(got, string(r.Data)); return nil }); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(got) < 2 || got[0] != "one" || got[1] != "two" {
			t.Errorf("seed %d: %q", seed, got)
		}
	}
}
