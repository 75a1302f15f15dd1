// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
)

// onDisk are the ways to a directory of the system.
var onDisk = map[string]func(string) (fsx.FS, error){"disk": fsx.Dir, "disk, by package os": fsx.OpenDir}

// each runs a test on the real file system and on the one in memory.
func each(t *testing.T, test func(t *testing.T, f fsx.FS)) {
	for name, open := range onDisk {
		t.Run(name, func(t *testing.T) {
			f, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			test(t, f)
		})
	}
	t.Run("memory", func(t *testing.T) { test(t, memfs.New(memfs.Options{})) })
}

func TestFiles(t *testing.T) {
	each(t, func(t *testing.T, f fsx.FS) {
		if err := fsx.MkdirAllSynced(f, "a/b/c"); err != nil {
			t.Fatal(err)
		}
		if err := fsx.MkdirAllSynced(f, "a/b/c"); err != nil {
			t.Fatalf("again: %v", err)
		}
		sub, err := f.Sub("a/b")
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		for _, text := range []string{"first", "second"} {
			if _, err := fsx.WriteFileSynced(sub, "c/x", []byte(text)); err != nil {
				t.Fatal(err)
			}
			got, err := fsx.ReadFile(f, "a/b/c/x", 100)
			if err != nil || string(got) != text {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if _, err := fsx.ReadFile(f, "a/b/c/x", 5); !errors.Is(err, fsx.ErrTooLarge) {
			t.Errorf("over the limit: %v", err)
		}
		if _, err := fsx.Create(f, "a/b/c/x"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Create over a file: %v", err)
		}
		if err := sub.Link("c/x", "c/y"); err != nil {
			t.Fatal(err)
		}
		if err := sub.Link("c/x", "c/y"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Link over a file: %v", err)
		}
		x, err := f.Stat("a/b/c/x")
		if err != nil || x.Size != 6 || x.Type != fsx.TypeFile || !x.Private || x.ModTime == 0 {
			t.Errorf("%+v, %v", x, err)
		}
		y, err := f.Stat("a/b/c/y")
		if err != nil || y.Inode != x.Inode {
			t.Errorf("%+v, %v", y, err)
		}
		list, err := f.ReadDir("a/b/c")
		if err != nil || len(list) != 2 || list[0].Type != fsx.TypeFile {
			t.Errorf("%v, %v", list, err)
		}
		if err := f.Remove("a/b/c/x"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Stat("a/b/c/x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after Remove: %v", err)
		}
		// The same by the handle of the directory that holds the file.
		c, err := f.Sub("a/b/c")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if y, err = f.Stat("a/b/c/y"); err != nil { // The removal changed its time.
			t.Fatal(err)
		}
		direct, err := c.Stat("y")
		if err != nil || direct != y {
			t.Errorf("%+v, %v; by its path it is %+v", direct, err, y)
		}
		if _, err := c.Stat("x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is gone: %v", err)
		}
		if _, err := fsx.Open(c, "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is gone: %v", err)
		}
		file, err := fsx.Open(c, "y")
		if err != nil {
			t.Fatal(err)
		}
		var buf [4]byte
		if n, err := file.Read(buf[:]); n != 4 || err != nil || string(buf[:]) != "seco" {
			t.Errorf("%d, %q, %v", n, buf, err)
		}
		if n, err := file.ReadAt(buf[:], 4); n != 2 || err != io.EOF || string(buf[:2]) != "nd" {
			t.Errorf("%d, %q, %v", n, buf, err)
		}
		if n, err := file.Read(buf[:]); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := file.Read(buf[:]); n != 0 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
		if info, err := file.Stat(); err != nil || info != y {
			t.Errorf("%+v, %v", info, err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if err := file.Close(); err == nil {
			t.Error("closed twice")
		}
		space, err := f.Space()
		if err != nil || space.Free <= 0 || space.Total < space.Free {
			t.Errorf("%+v, %v", space, err)
		}
	})
}

func TestNothingLeavesTheDirectory(t *testing.T) {
	for name, open := range onDisk {
		t.Run(name, func(t *testing.T) { nothingLeaves(t, open) })
	}
}

func nothingLeaves(t *testing.T, open func(string) (fsx.FS, error)) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a right on Windows; any Unix runs this")
	}
	outside, inside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(inside, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{
		"dir": outside, "file": filepath.Join(outside, "secret"), "sub/link": filepath.Join(outside, "secret"),
		"up": filepath.Join("..", filepath.Base(outside)), "inner": "sub",
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := open(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"file", "dir/secret", "../secret", "/etc/passwd"} {
		if _, err := fsx.Open(f, name); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	if _, err := fsx.Create(f, "dir/new"); err == nil {
		t.Error("a file was made outside")
	}
	if _, err := f.Sub("dir"); err == nil {
		t.Error("a directory outside was opened")
	}
	sub, err := f.Sub("sub")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, name := range []string{"link", "..", "../file", "../../x"} {
		if _, err := fsx.Open(sub, name); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	if info, err := sub.Stat("link"); err != nil || info.Type != fsx.TypeOther {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := f.Stat("file"); err != nil || info.Type != fsx.TypeOther {
		t.Errorf("%+v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(inside, "mine"), []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadDir(outside)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"..", "../x", "dir/secret", "up/secret", "/etc", "up/..", "sub/../../x"} {
		_, stat := f.Stat(name)
		_, list := f.ReadDir(name + "/.")
		for what, err := range map[string]error{
			"stat": stat, "list": list, "flush": f.SyncDir(name + "/."), "remove": f.Remove(name), "make": f.Mkdir(name),
			"link to": f.Link("mine", name), "link from": f.Link(name, "got"), "rename to": f.Rename("mine", name), "rename from": f.Rename(name, "got"),
		} {
			if err == nil {
				t.Errorf("%s: %s was done", name, what)
			}
		}
	}
	if after, err := os.ReadDir(outside); err != nil || len(after) != len(there) {
		t.Errorf("outside are %v, were %v: %v", after, there, err)
	}
	// A link that stays inside is followed.
	if err := errors.Join(f.Rename("mine", "inner/mine"), f.Link("sub/mine", "inner/twin"), f.Remove("inner/mine"), f.Mkdir("inner/d"), f.Remove("sub/d")); err != nil {
		t.Error(err)
	}
	if text, err := fsx.ReadFile(sub, "twin", 10); string(text) != "y" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// A directory that is closed is not used any more, whatever its descriptor's
// number stands for by then.
func TestClosed(t *testing.T) {
	for name, open := range onDisk {
		t.Run(name, func(t *testing.T) {
			f, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var users sync.WaitGroup
			for range 4 {
				users.Go(func() {
					for {
						if _, err := f.Stat("x"); !errors.Is(err, fs.ErrNotExist) {
							if !errors.Is(err, os.ErrClosed) {
								t.Error(err)
							}
							return
						}
					}
				})
			}
			time.Sleep(time.Millisecond)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			users.Wait()
			if _, err := fsx.Create(f, "x"); !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		})
	}
}

// A parent that may not be read was there before us; one of ours must be flushed.
func TestMkdirAllSyncedInForeignTree(t *testing.T) {
	m := memfs.New(memfs.Options{})
	if err := fsx.MkdirAllSynced(m, "home/u"); err != nil {
		t.Fatal(err)
	}
	deny := func(name string) {
		m.Inject(func(op memfs.Op) *memfs.Fault {
			if op.Kind == memfs.SyncDir && op.Name == name {
				return &memfs.Fault{Err: syscall.EACCES}
			}
			return nil
		})
	}
	deny("home")
	if err := fsx.MkdirAllSynced(m, "home/u/Maildir"); err != nil {
		t.Error(err)
	}
	deny("home/u")
	if err := fsx.MkdirAllSynced(m, "home/u/other"); err == nil {
		t.Error("a new directory was not flushed, and nothing was said")
	}
}

// The failed replacement leaves the old file whole, at whatever step it failed.
func TestWriteFileSyncedFails(t *testing.T) {
	for _, kind := range []memfs.Kind{memfs.Create, memfs.Write, memfs.Sync, memfs.Rename} {
		m := memfs.New(memfs.Options{})
		if _, err := fsx.WriteFileSynced(m, "x", []byte("old")); err != nil {
			t.Fatal(err)
		}
		m.Inject(func(op memfs.Op) *memfs.Fault {
			if op.Kind == kind {
				return &memfs.Fault{Err: syscall.EIO, Octets: 1}
			}
			return nil
		})
		if renamed, err := fsx.WriteFileSynced(m, "x", []byte("new")); renamed || !errors.Is(err, syscall.EIO) {
			t.Errorf("%v: %v, %v", kind, renamed, err)
		}
		m.Inject(nil)
		got, err := fsx.ReadFile(m, "x", 100)
		if err != nil || !bytes.Equal(got, []byte("old")) {
			t.Errorf("%v: %q, %v", kind, got, err)
		}
		if _, err := m.Stat("x.new"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: the temporary file is still there: %v", kind, err)
		}
	}
}

func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g fsx.Group
		var mu sync.Mutex
		flushes, started := 0, 0
		flush := func() error {
			mu.Lock()
			flushes++
			mu.Unlock()
			time.Sleep(time.Second)
			return nil
		}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				mu.Lock()
				before := flushes
				started++
				mu.Unlock()
				if err := g.Do(flush); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if flushes == before {
					t.Error("Do returned without a flush that began after it")
				}
			})
		}
		wg.Wait()
		if flushes != 2 || started != 16 {
			t.Errorf("%d flushes for %d callers, want 2: the first one's and one for all the others", flushes, started)
		}
	})
}

// A listing longer than one answer of the system is whole, and says what each name is.
func TestReadDirLong(t *testing.T) {
	each(t, func(t *testing.T, f fsx.FS) {
		want := map[string]fsx.Type{}
		for i := range 3000 {
			name := strings.Repeat("n", i%200) + strconv.Itoa(i)
			want[name] = fsx.TypeFile
			if i%100 == 0 {
				want[name] = fsx.TypeDir
				if err := f.Mkdir(name); err != nil {
					t.Fatal(err)
				}
				continue
			}
			file, err := fsx.Create(f, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
		list, err := f.ReadDir(".")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]fsx.Type{}
		for _, e := range list {
			got[e.Name] = e.Type
		}
		if !maps.Equal(got, want) || len(list) != len(want) {
			t.Errorf("%d names, want %d", len(list), len(want))
		}
	})
}
