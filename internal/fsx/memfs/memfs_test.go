// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package memfs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
)

func write(t *testing.T, f fsx.FS, name, text string, sync bool) {
	t.Helper()
	file, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(file, text); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := file.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// read returns what a file holds, or "-" when it is not there.
func read(t *testing.T, f fsx.FS, name string) string {
	t.Helper()
	data, err := fsx.ReadFile(f, name, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPowerCut(t *testing.T) {
	m := memfs.New(memfs.Options{})
	if err := m.Mkdir("d"); err != nil {
		t.Fatal(err)
	}
	write(t, m, "d/a", "one", true)
	check := func(name, strict string) {
		t.Helper()
		if got := read(t, m.Crash(memfs.LoseAll()), name); got != strict {
			t.Errorf("after losing what was not flushed, %s holds %q, want %q", name, got, strict)
		}
		if got, want := read(t, m.Crash(memfs.KeepAll()), name), read(t, m, name); got != want {
			t.Errorf("after a kill, %s holds %q, want %q", name, got, want)
		}
	}
	sync := func(name string) {
		t.Helper()
		if err := m.SyncDir(name); err != nil {
			t.Fatal(err)
		}
	}
	check("d/a", "-")
	sync("d")
	check("d/a", "-") // The directory itself has no durable name yet.
	sync(".")
	check("d/a", "one")

	write(t, m, "d/a", "two", false)
	check("d/a", "one")

	if err := m.Rename("d/a", "d/b"); err != nil {
		t.Fatal(err)
	}
	check("d/b", "-")
	check("d/a", "one")
	sync("d")
	check("d/b", "one")
	check("d/a", "-")

	if err := m.Link("d/b", "d/c"); err != nil {
		t.Fatal(err)
	}
	if err := m.Link("d/b", "d/c"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a link over a name: %v", err)
	}
	if err := m.Remove("d/b"); err != nil {
		t.Fatal(err)
	}
	check("d/b", "one")
	check("d/c", "-")
}

// A flush that failed loses the octets for good, though programs go on seeing
// them and the next flush says that all is well.
func TestFailedSyncLoses(t *testing.T) {
	m := memfs.New(memfs.Options{})
	m.Inject(func(op memfs.Op) *memfs.Fault {
		if op.Kind == memfs.Sync && op.N < 4 {
			return &memfs.Fault{Err: syscall.EIO}
		}
		return nil
	})
	file, err := fsx.Create(m, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	if err := file.Sync(); err != nil {
		t.Fatalf("second sync: %v", err)
	}
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if got := read(t, m, "a"); got != "text" {
		t.Errorf("programs see %q", got)
	}
	if got := read(t, m.Crash(memfs.LoseAll()), "a"); got != "" {
		t.Errorf("the disk has %q", got)
	}
}

func TestTornIsSomewhereBetween(t *testing.T) {
	m := memfs.New(memfs.Options{})
	write(t, m, "a", "first", true)
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	write(t, m, "a", "+second", false)
	write(t, m, "b", "other", false)
	seen := map[string]int{}
	for seed := range uint64(200) {
		c := m.Crash(memfs.Torn(seed))
		a := read(t, c, "a")
		if len(a) < 5 || a[:5] != "first" || len(a) > 12 {
			t.Fatalf("seed %d: flushed octets were lost: %q", seed, a)
		}
		seen[a]++
		seen["b:"+read(t, c, "b")]++
		if again := read(t, m.Crash(memfs.Torn(seed)), "a"); again != a {
			t.Fatalf("seed %d gave %q and %q", seed, a, again)
		}
	}
	for _, want := range []string{"first", "first+second", "first+se", "first\x00\x00\x00\x00\x00\x00\x00", "b:-", "b:other"} {
		if seen[want] == 0 {
			t.Errorf("%q never came in 200 crashes", want)
		}
	}
}

func TestFaults(t *testing.T) {
	m := memfs.New(memfs.Options{Total: 10})
	write(t, m, "a", "12345678", true)
	file, err := fsx.Create(m, "b")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := file.Write([]byte("abcd")); n != 2 || !fsx.IsNoSpace(err) {
		t.Errorf("write on a full disk: %d, %v", n, err)
	}
	space, err := m.Space()
	if err != nil || space.Free != 0 {
		t.Errorf("space: %+v, %v", space, err)
	}
	m.Inject(func(op memfs.Op) *memfs.Fault {
		switch op.Kind {
		case memfs.Read:
			return &memfs.Fault{Octets: 3}
		case memfs.Link:
			return &memfs.Fault{Err: syscall.EIO, Done: true}
		}
		return nil
	})
	r, err := fsx.Open(m, "a")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if n, err := r.Read(buf); n != 3 || err != nil {
		t.Errorf("short read: %d, %v", n, err)
	}
	if err := m.Link("a", "c"); !errors.Is(err, syscall.EIO) {
		t.Errorf("link: %v", err)
	}
	m.Inject(nil)
	if got := read(t, m, "c"); got != "12345678" {
		t.Errorf("the link that was done says %q", got)
	}
	var ops []memfs.Op
	m.Before(func(op memfs.Op) { ops = append(ops, op) })
	sub, err := m.Sub(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.Remove("c"); err != nil {
		t.Fatal(err)
	}
	if len(ops) != 1 || ops[0].Kind != memfs.Remove || ops[0].Name != "c" || ops[0].N != m.Ops() {
		t.Errorf("operations seen: %+v of %d", ops, m.Ops())
	}
}
