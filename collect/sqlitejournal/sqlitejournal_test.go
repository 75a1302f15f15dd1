// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sqlitejournal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"restante.example/collect"
	"restante.example/collect/sqlitejournal"
)

func open(t *testing.T, name string) *sqlitejournal.Journal {
	t.Helper()
	j, err := sqlitejournal.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func entry(id int64) collect.Entry {
	return collect.Entry{
		ID: id, Key: fmt.Sprint("key", id), UID: fmt.Sprintf("\x00 uid \xff %d", id), Announced: -1, Size: 1 << 40,
		Content: collect.Hash{1, byte(id)}, Header: collect.Hash{2}, Collected: time.Unix(12, 34),
		Gone: id%2 == 0, Fickle: id%3 == 0, Partial: id%5 == 0,
		Filings: []collect.Filing{{Destination: "maildir:/x", Name: "n", Filed: true}, {Destination: "mbox:/y", Name: ""}},
	}
}

// The journal in memory is the model of the one in a file.
func TestAgreesWithMemory(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state", "%41 #é.journal")
	j := open(t, name)
	var m collect.Memory
	check := func() {
		t.Helper()
		for _, compare := range []func(collect.Journal) (any, error){
			func(j collect.Journal) (any, error) { return j.Entries(t.Context()) },
			func(j collect.Journal) (any, error) { return j.Marks(t.Context()) },
		} {
			got, err := compare(j)
			want, _ := compare(&m)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("not the same as in memory (-want +got):\n%s", diff)
			}
		}
	}
	apply := func(c collect.Changes) {
		t.Helper()
		if err := errors.Join(j.Apply(t.Context(), c), m.Apply(t.Context(), c)); err != nil {
			t.Fatal(err)
		}
		check()
	}
	check()
	var c collect.Changes
	for id := range int64(40) {
		c.Put = append(c.Put, entry(id+1))
	}
	apply(c)
	changed := entry(7)
	changed.Absent, changed.Filings = time.Unix(99, 0), nil
	apply(collect.Changes{Put: []collect.Entry{changed}, Drop: []int64{3, 4, 400}})
	apply(collect.Changes{Marks: &collect.Marks{Settled: collect.Hash{9}, Due: time.Unix(5, 0), Last: []string{"a b", "\xff"}}})
	apply(collect.Changes{Marks: &collect.Marks{}})
	if _, err := os.Stat(name); err != nil {
		t.Errorf("it is somewhere else: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, name)
	check()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOneAtATime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "j")
	j := open(t, name)
	if _, err := sqlitejournal.Open(t.Context(), name); !errors.Is(err, sqlitejournal.ErrLocked) {
		t.Errorf("second: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, name).Close(); err != nil {
		t.Error(err)
	}
}

func TestOnlyForTheOwner(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes; run on Unix")
	}
	dir := filepath.Join(t.TempDir(), "deep", "er")
	j := open(t, filepath.Join(dir, "j"))
	defer j.Close()
	if err := j.Apply(t.Context(), collect.Changes{Put: []collect.Entry{entry(1)}}); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) < 2 {
		t.Fatal(list, err)
	}
	for _, e := range list {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

// After a power cut, a directory whose name was not flushed is gone with all in it.
func TestNewDirectoriesAreFlushed(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "deep", "er", "state")
	name := filepath.Join(dir, "j")
	var flushed []string
	failed := errors.New("disk")
	defer sqlitejournal.WatchFlushes(func(dir string) error {
		flushed = append(flushed, dir)
		if len(flushed) == 2 {
			return failed
		}
		return nil
	})()
	if _, err := sqlitejournal.Open(t.Context(), name); !errors.Is(err, failed) {
		t.Errorf("a flush that fails: %v", err)
	}
	flushed = []string{"", ""} // they are there now, and still not flushed
	j := open(t, name)
	for d := filepath.Dir(dir); d != filepath.Dir(root); d = filepath.Dir(d) {
		if !slices.Contains(flushed, d) {
			t.Errorf("%s: its names were not flushed", d)
		}
	}
	if err := j.Apply(t.Context(), collect.Changes{Put: []collect.Entry{entry(1)}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(flushed, dir) {
		t.Error("the name of the file was not flushed")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	flushed = []string{"", ""}
	if err := open(t, name).Close(); err != nil || len(flushed) > 2 {
		t.Errorf("%v; flushed again: %q", err, flushed)
	}
}

// What is above may belong to others.
func TestDirectoriesThatCannotBeFlushed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state", "j")
	defer sqlitejournal.WatchFlushes(func(string) error { return os.ErrPermission })()
	if err := open(t, name).Close(); err != nil {
		t.Error(err)
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "j")
	if err := os.WriteFile(name, []byte("this is no database, and long enough to be seen as none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if j, err := sqlitejournal.Open(t.Context(), name); err == nil {
		j.Close()
		t.Error("opened")
	}
}
