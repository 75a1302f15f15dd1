// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package memfs is a file system in memory for tests. It knows at each moment
// what a power cut would leave behind, it can fail any operation, and it can be
// copied as it would be found after a crash at any operation.
package memfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"restante.example/internal/fsx"
)

// Options of a file system; the zero value is ready.
type Options struct {
	// Clock gives the times of files; nil is the system's.
	Clock func() time.Time
	// Tick is how coarse the times of files are; 0 is not at all.
	Tick time.Duration
	// Total is the size of the disk in octets; 0 is one tebibyte.
	Total int64
}

// disk is what all handles share.
type disk struct {
	mu     sync.Mutex
	opt    Options
	root   *node
	ops    int
	inodes uint64
	units  int
	used   int64
	before func(Op)
	inject func(Op) *Fault
}

// FS is a handle of a directory; it implements fsx.FS.
type FS struct {
	disk *disk
	node *node
	// path is where the handle was opened, for Op.Name.
	path string
}

var _ fsx.FS = (*FS)(nil)

// New returns an empty file system.
func New(opt Options) *FS {
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.Total == 0 {
		opt.Total = 1 << 40
	}
	d := &disk{opt: opt}
	d.root = d.newNode(fsx.TypeDir)
	return &FS{disk: d, node: d.root}
}

// Before sets a function that is called before each operation, without locks
// held: it may call Crash. Nil takes it away.
func (f *FS) Before(hook func(Op)) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.before = hook
}

// Inject sets a function that is asked before each operation whether it shall
// fail, and how; nil means that it goes well.
func (f *FS) Inject(fault func(Op) *Fault) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.inject = fault
}

// SetTotal sets the size of the disk in octets.
func (f *FS) SetTotal(octets int64) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.opt.Total = octets
}

// Ops returns how many operations there were.
func (f *FS) Ops() int {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.ops
}

// Special makes a name that is neither a file nor a directory.
func (f *FS) Special(name string) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	f.disk.set(dir, base, f.disk.newNode(fsx.TypeOther))
	return nil
}

// begin counts an operation and returns its fault. It takes the lock, which
// the caller releases.
func (f *FS) begin(kind Kind, name, to string, size int) *Fault {
	d := f.disk
	d.mu.Lock()
	d.ops++
	op := Op{N: d.ops, Kind: kind, Name: path.Join(f.path, name), Size: size}
	if to != "" {
		op.To = path.Join(f.path, to)
	}
	before, inject := d.before, d.inject
	d.mu.Unlock()
	if before != nil {
		before(op)
	}
	var fault *Fault
	if inject != nil {
		fault = inject(op)
	}
	d.mu.Lock()
	return fault
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// walk finds a node. The caller holds the lock.
func (f *FS) walk(name string) (*node, error) {
	n := f.node
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return nil, syscall.EINVAL
		}
		if n.typ != fsx.TypeDir {
			return nil, syscall.ENOTDIR
		}
		next := n.entries[part]
		if next == nil {
			return nil, syscall.ENOENT
		}
		n = next
	}
	return n, nil
}

// parent finds the directory of a name and its last element.
func (f *FS) parent(name string) (*node, string, error) {
	dir, err := f.walk(path.Dir(name))
	if err != nil {
		return nil, "", err
	}
	if dir.typ != fsx.TypeDir {
		return nil, "", syscall.ENOTDIR
	}
	return dir, path.Base(name), nil
}

// OpenFile implements fsx.FS.
func (f *FS) OpenFile(name string, flag int) (fsx.File, error) {
	kind := Open
	if flag&os.O_CREATE != 0 {
		kind = Create
	}
	fault := f.begin(kind, name, "", 0)
	defer f.disk.mu.Unlock()
	if fault.stops() {
		return nil, pathError("open", name, fault.Err)
	}
	dir, base, err := f.parent(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	n := dir.entries[base]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, syscall.ENOENT)
	case n != nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, pathError("open", name, syscall.EEXIST)
	case n == nil:
		n = f.disk.newNode(fsx.TypeFile)
		f.disk.set(dir, base, n)
	case n.typ == fsx.TypeOther:
		return nil, pathError("open", name, syscall.ELOOP)
	case n.typ == fsx.TypeDir:
		return nil, pathError("open", name, syscall.EISDIR)
	}
	if flag&os.O_TRUNC != 0 {
		f.disk.truncate(n, 0)
	}
	if fault != nil {
		return nil, pathError("open", name, fault.Err)
	}
	return &file{fs: f, name: name, node: n, append: flag&os.O_APPEND != 0}, nil
}

// change runs one operation on names under its fault.
func (f *FS) change(kind Kind, name, to string, do func() error) error {
	fault := f.begin(kind, name, to, 0)
	defer f.disk.mu.Unlock()
	if fault.stops() {
		return pathError(kind.String(), name, fault.Err)
	}
	if err := do(); err != nil {
		return pathError(kind.String(), name, err)
	}
	if fault != nil {
		return pathError(kind.String(), name, fault.Err)
	}
	return nil
}

// Link implements fsx.FS.
func (f *FS) Link(oldname, newname string) error {
	return f.change(Link, oldname, newname, func() error {
		n, err := f.walk(oldname)
		if err != nil {
			return err
		}
		dir, base, err := f.parent(newname)
		if err != nil {
			return err
		}
		if n.typ == fsx.TypeDir {
			return syscall.EPERM
		}
		if dir.entries[base] != nil {
			return syscall.EEXIST
		}
		f.disk.set(dir, base, n)
		n.ctime = f.disk.now()
		return nil
	})
}

// Rename implements fsx.FS.
func (f *FS) Rename(oldname, newname string) error {
	return f.change(Rename, oldname, newname, func() error {
		from, oldbase, err := f.parent(oldname)
		if err != nil {
			return err
		}
		to, newbase, err := f.parent(newname)
		if err != nil {
			return err
		}
		n := from.entries[oldbase]
		if n == nil {
			return syscall.ENOENT
		}
		if there := to.entries[newbase]; there != nil && (there.typ == fsx.TypeDir || n.typ == fsx.TypeDir) {
			return syscall.EEXIST
		}
		f.disk.units++
		f.disk.setUnit(to, newbase, n, f.disk.units)
		f.disk.setUnit(from, oldbase, nil, f.disk.units)
		n.ctime = f.disk.now()
		return nil
	})
}

// Remove implements fsx.FS.
func (f *FS) Remove(name string) error {
	return f.change(Remove, name, "", func() error {
		dir, base, err := f.parent(name)
		if err != nil {
			return err
		}
		n := dir.entries[base]
		if n == nil {
			return syscall.ENOENT
		}
		if len(n.entries) > 0 {
			return syscall.ENOTEMPTY
		}
		f.disk.set(dir, base, nil)
		return nil
	})
}

// Mkdir implements fsx.FS.
func (f *FS) Mkdir(name string) error {
	return f.change(Mkdir, name, "", func() error {
		dir, base, err := f.parent(name)
		if err != nil {
			return err
		}
		if dir.entries[base] != nil {
			return syscall.EEXIST
		}
		f.disk.set(dir, base, f.disk.newNode(fsx.TypeDir))
		return nil
	})
}

// ReadDir implements fsx.FS.
func (f *FS) ReadDir(name string) ([]fsx.Entry, error) {
	var list []fsx.Entry
	err := f.change(ReadDir, name, "", func() error {
		n, err := f.walk(name)
		if err != nil {
			return err
		}
		if n.typ != fsx.TypeDir {
			return syscall.ENOTDIR
		}
		for base, e := range n.entries {
			list = append(list, fsx.Entry{Name: base, Type: e.typ})
		}
		return nil
	})
	return list, err
}

// Stat implements fsx.FS.
func (f *FS) Stat(name string) (info fsx.Info, err error) {
	err = f.change(Stat, name, "", func() error {
		n, err := f.walk(name)
		if err != nil {
			return err
		}
		info = n.info()
		return nil
	})
	return info, err
}

// SyncDir implements fsx.FS.
func (f *FS) SyncDir(name string) error {
	return f.change(SyncDir, name, "", func() error {
		n, err := f.walk(name)
		if err != nil {
			return err
		}
		if n.typ != fsx.TypeDir {
			return syscall.ENOTDIR
		}
		n.syncEntries()
		return nil
	})
}

// Sub implements fsx.FS.
func (f *FS) Sub(name string) (fsx.FS, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n, err := f.walk(name)
	if err == nil && n.typ != fsx.TypeDir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &FS{disk: f.disk, node: n, path: path.Join(f.path, name)}, nil
}

// Space implements fsx.FS.
func (f *FS) Space() (fsx.Space, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return fsx.Space{Free: max(f.disk.opt.Total-f.disk.used, 0), Total: f.disk.opt.Total}, nil
}

// Now implements fsx.FS.
func (f *FS) Now() time.Time { return f.disk.opt.Clock() }

// Close implements fsx.FS.
func (f *FS) Close() error { return nil }

// errClosed is what a closed file answers.
var errClosed = errors.New("memfs: the file is closed")

var _ io.ReaderAt = (*file)(nil)
