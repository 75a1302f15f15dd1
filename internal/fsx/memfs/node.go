// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package memfs

import (
	"io"
	"syscall"

	"restante.example/internal/fsx"
)

// node is a file or a directory: as programs see it, and as the disk has it.
type node struct {
	inode        uint64
	typ          fsx.Type
	mtime, ctime int64

	// data is what programs see, durable what was flushed; writes lie between.
	data, durable []byte
	writes        []write

	entries, durableEntries map[string]*node
	changes                 []change
}

// write is a part of a file that was not flushed yet: data at off, or a
// truncation to off when data is nil.
type write struct {
	off  int
	data []byte
}

// change is a name that was not flushed yet; those of one unit come together.
type change struct {
	unit int
	name string
	node *node
}

func (d *disk) now() int64 {
	t := d.opt.Clock()
	if d.opt.Tick > 0 {
		t = t.Truncate(d.opt.Tick)
	}
	return t.UnixNano()
}

func (d *disk) newNode(typ fsx.Type) *node {
	d.inodes++
	now := d.now()
	n := &node{inode: d.inodes, typ: typ, mtime: now, ctime: now}
	if typ == fsx.TypeDir {
		n.entries, n.durableEntries = map[string]*node{}, map[string]*node{}
	}
	return n
}

func (n *node) info() fsx.Info {
	return fsx.Info{Type: n.typ, Size: int64(len(n.data)), ModTime: n.mtime,
		ChangeTime: n.ctime, Inode: n.inode, Private: true}
}

func (d *disk) set(dir *node, name string, n *node) {
	d.units++
	d.setUnit(dir, name, n, d.units)
}

func (d *disk) setUnit(dir *node, name string, n *node, unit int) {
	if n == nil {
		delete(dir.entries, name)
	} else {
		dir.entries[name] = n
	}
	dir.changes = append(dir.changes, change{unit, name, n})
	dir.mtime = d.now()
	dir.ctime = dir.mtime
}

func apply(entries map[string]*node, c change) {
	if c.node == nil {
		delete(entries, c.name)
	} else {
		entries[c.name] = c.node
	}
}

func (n *node) syncEntries() {
	for _, c := range n.changes {
		apply(n.durableEntries, c)
	}
	n.changes = nil
}

// put writes into a slice that stands for a file.
func put(to []byte, w write) []byte {
	if w.data == nil {
		if w.off <= len(to) {
			return to[:w.off:w.off]
		}
		return append(to, make([]byte, w.off-len(to))...)
	}
	if gap := w.off - len(to); gap > 0 {
		to = append(to, make([]byte, gap)...)
	}
	n := copy(to[w.off:], w.data)
	return append(to, w.data[n:]...)
}

func (d *disk) truncate(n *node, size int) {
	w := write{off: size}
	d.used += int64(size - len(n.data))
	n.data = put(n.data, w)
	n.writes = append(n.writes, w)
	n.mtime = d.now()
	n.ctime = n.mtime
}

// file is an open file.
type file struct {
	fs     *FS
	name   string
	node   *node
	off    int
	append bool
	closed bool
}

// Read implements fsx.File.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.read(p, f.off)
	f.off += n
	return n, err
}

// ReadAt implements fsx.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.read(p, int(off))
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (f *file) read(p []byte, off int) (int, error) {
	fault := f.fs.begin(Read, f.name, "", len(p))
	defer f.fs.disk.mu.Unlock()
	if f.closed {
		return 0, errClosed
	}
	if fault != nil {
		p = p[:min(len(p), fault.Octets)]
	}
	var n int
	if off < len(f.node.data) {
		n = copy(p, f.node.data[off:])
	}
	if fault != nil && fault.Err != nil {
		return n, pathError("read", f.name, fault.Err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements fsx.File.
func (f *file) Write(p []byte) (int, error) {
	fault := f.fs.begin(Write, f.name, "", len(p))
	d := f.fs.disk
	defer d.mu.Unlock()
	if f.closed {
		return 0, errClosed
	}
	var err error
	if fault.stops() {
		p, err = p[:min(len(p), fault.Octets)], fault.Err
	}
	if f.append {
		f.off = len(f.node.data)
	}
	if room := d.opt.Total - d.used; int64(len(p)) > room {
		p, err = p[:max(room, 0)], syscall.ENOSPC
	}
	if len(p) > 0 {
		w := write{off: f.off, data: append([]byte(nil), p...)}
		d.used += int64(max(f.off+len(p)-len(f.node.data), 0))
		f.node.data = put(f.node.data, w)
		f.node.writes = append(f.node.writes, w)
		f.node.mtime = d.now()
		f.node.ctime = f.node.mtime
		f.off += len(p)
	}
	if err == nil && fault != nil {
		err = fault.Err
	}
	if err != nil {
		return len(p), pathError("write", f.name, err)
	}
	return len(p), nil
}

// Sync implements fsx.File. When it fails, what was not flushed never will be:
// programs see it until the power goes, and the next Sync says that all is well.
func (f *file) Sync() error {
	fault := f.fs.begin(Sync, f.name, "", 0)
	defer f.fs.disk.mu.Unlock()
	if f.closed {
		return errClosed
	}
	if !fault.stops() {
		for _, w := range f.node.writes {
			f.node.durable = put(f.node.durable, w)
		}
	}
	f.node.writes = nil
	if fault != nil {
		return pathError("sync", f.name, fault.Err)
	}
	return nil
}

// Stat implements fsx.File.
func (f *file) Stat() (fsx.Info, error) {
	fault := f.fs.begin(Stat, f.name, "", 0)
	defer f.fs.disk.mu.Unlock()
	if fault != nil {
		return fsx.Info{}, pathError("stat", f.name, fault.Err)
	}
	return f.node.info(), nil
}

// Truncate implements fsx.File.
func (f *file) Truncate(size int64) error {
	fault := f.fs.begin(Truncate, f.name, "", int(size))
	defer f.fs.disk.mu.Unlock()
	if fault != nil {
		return pathError("truncate", f.name, fault.Err)
	}
	f.fs.disk.truncate(f.node, int(size))
	return nil
}

// Close implements fsx.File.
func (f *file) Close() error {
	f.fs.disk.mu.Lock()
	defer f.fs.disk.mu.Unlock()
	if f.closed {
		return errClosed
	}
	f.closed = true
	return nil
}
