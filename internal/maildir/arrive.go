// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// temporary is a file in tmp.
type temporary struct {
	drop *drop
	file fsx.File
	// name is its path; empty when it has gone.
	name string
	// origin is where the message comes from, for the trace.
	origin string
}

// newTemp makes a file in tmp.
func (d *drop) newTemp() (*temporary, error) {
	if err := d.makeDirs(); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		random, err := d.store.random()
		if err != nil {
			return nil, err
		}
		name := d.place.Maildir + "/tmp/" + d.store.names.next(d.store.opt.Clock(), random)
		f, err := fsx.Create(d.place.Mail, name)
		if err == nil {
			d.mu.Lock()
			d.temps[path.Base(name)] = struct{}{}
			d.mu.Unlock()
			return &temporary{drop: d, file: f, name: name}, nil
		}
		if try >= 3 {
			return nil, err
		}
		switch {
		case errors.Is(err, fs.ErrExist):
		case errors.Is(err, fs.ErrNotExist):
			// Somebody took the directories away.
			d.mu.Lock()
			d.made = false
			d.mu.Unlock()
			if err := d.makeDirs(); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// discard takes the file away.
func (t *temporary) discard() {
	if t.file != nil {
		// What it held is thrown away.
		_ = t.file.Close()
		t.file = nil
	}
	if t.name == "" {
		return
	}
	defer func(name string) {
		t.drop.mu.Lock()
		delete(t.drop.temps, path.Base(name))
		t.drop.mu.Unlock()
	}(t.name)
	if err := t.drop.place.Mail.Remove(t.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.drop.store.log.Info("a temporary file is left and will be removed when it is old", "file", t.name, "err", err)
	}
	t.name = ""
}

// makeDirs makes the Maildir, once, with each name above it durable up to the root.
func (d *drop) makeDirs() error {
	d.mu.Lock()
	made := d.made
	d.mu.Unlock()
	if made {
		return nil
	}
	if d.store.opt.InsecureNoFlush {
		if err := mkdirAll(d.place.Mail, d.place.Maildir); err != nil {
			return err
		}
	} else if err := fsx.MkdirAllSynced(d.place.Mail, d.place.Maildir); err != nil {
		return err
	}
	for _, dir := range []string{"tmp", "new", "cur"} {
		if err := d.place.Mail.Mkdir(d.place.Maildir + "/" + dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if !d.store.opt.InsecureNoFlush {
		if err := d.place.Mail.SyncDir(d.place.Maildir); err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.made = true
	d.mu.Unlock()
	return nil
}

// mkdirAll makes directories and flushes nothing.
func mkdirAll(f fsx.FS, name string) error {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if err := f.Mkdir(name[:i]); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// reservation is room in the quota for a message that is being stored.
type reservation struct {
	drop   *drop
	octets int64
	over   bool
}

// reserve keeps room in the quota.
func (d *drop) reserve(ctx context.Context, q maildrop.Quota, octets int64) (*reservation, error) {
	if err := d.take(ctx); err != nil {
		return nil, err
	}
	defer d.give()
	if err := d.refresh(ctx); err != nil {
		return nil, err
	}
	r := &d.reserved
	if q.Messages > 0 && len(d.list.entries)+r.messages+1 > q.Messages ||
		q.Octets > 0 && d.list.octets+r.octets+octets > q.Octets {
		return nil, maildrop.ErrQuota
	}
	r.messages++
	r.octets += octets
	return &reservation{drop: d, octets: octets}, nil
}

// settle gives the room back, under the lock: the message is on the list now.
func (r *reservation) settle() {
	if r == nil || r.over {
		return
	}
	r.over = true
	r.drop.reserved.messages--
	r.drop.reserved.octets -= r.octets
}

// end gives the room back unless settle did.
func (r *reservation) end() {
	if r.over {
		return
	}
	r.drop.lock <- struct{}{}
	r.settle()
	r.drop.give()
}

// name makes a whole message durable under a name in new: file flush, link,
// directory flush. When it fails the message is not there.
func (d *drop) name(ctx context.Context, t *temporary, size int64, crc uint32, utf8 bool, held *reservation) error {
	defer t.discard()
	s := d.store
	if !s.opt.InsecureNoFlush && !s.faults.skipFileFlush {
		// A flush that failed has lost octets: the file is thrown away and the
		// sender tries again.
		if err := t.file.Sync(); err != nil {
			return noSpace(fmt.Errorf("maildir: the file cannot be flushed: %w", err))
		}
	}
	info, err := t.file.Stat()
	if e := t.file.Close(); err == nil {
		err = e
	}
	t.file = nil
	if err != nil {
		return noSpace(err)
	}
	if info.Size != size {
		return fmt.Errorf("maildir: the file has %d octets after writing %d", info.Size, size)
	}

	if err := d.take(ctx); err != nil {
		return err
	}
	e, err := d.link(t, info, size, crc, utf8)
	if err == nil {
		d.hide(e.name)
	}
	d.give()
	if err != nil {
		return noSpace(err)
	}
	t.discard()

	err = d.flushNew()
	// From here on the answer does not depend on the caller's patience.
	d.lock <- struct{}{}
	defer d.give()
	held.settle()
	delete(d.pending, e.name)
	if err != nil {
		d.unlink(e)
		return noSpace(fmt.Errorf("maildir: the directory cannot be flushed: %w", err))
	}
	if d.loaded && d.list.find(&e) < 0 {
		d.setList(d.list.with(e))
	}
	d.noteArrived(&e, t.origin)
	return nil
}

// link gives a temporary file its name in new, under the lock.
func (d *drop) link(t *temporary, info fsx.Info, size int64, crc uint32, utf8 bool) (e entry, err error) {
	s := d.store
	for range 3 {
		var random uint32
		if random, err = s.random(); err != nil {
			return entry{}, err
		}
		b := s.names.next(s.opt.Clock(), random)
		name := fullName(b, size, crc, utf8)
		e = entry{uid: uidOf(b), name: name, time: parseName(name).time, mtime: info.ModTime,
			size: size, fsize: size, inode: info.Inode, crc: crc, bits: isOwn | isWire | hasCRC}
		if utf8 {
			e.bits |= isUTF8
		}
		to := d.place.Maildir + "/" + e.path()
		d.change(func() {
			err = d.place.Mail.Link(t.name, to)
			if err == nil || !fsx.IsNoLink(err) {
				return
			}
			// A file system without links: the name is ours alone, so nothing
			// is replaced.
			if _, there := d.place.Mail.Stat(to); !errors.Is(there, fs.ErrNotExist) {
				return
			}
			if err = d.place.Mail.Rename(t.name, to); err == nil {
				t.name = ""
			}
		})
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		d.made = false // Somebody took the directory away: the next delivery makes it.
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// It may have been done all the same.
		d.unlink(e)
	}
	return e, err
}

// hide keeps a file in new out of every list, under the lock.
func (d *drop) hide(name string) {
	if d.pending == nil {
		d.pending = make(map[string]struct{})
	}
	d.pending[name] = struct{}{}
}

// unlink takes back the name of a message that was not accepted. When that
// fails, as it may without a free descriptor, the name is hidden and refresh
// tries again: the sender will, and the message must not be there twice.
func (d *drop) unlink(e entry) {
	d.change(func() {
		err := d.place.Mail.Remove(d.place.Maildir + "/" + e.path())
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			delete(d.pending, e.name)
			return
		}
		d.store.log.Error("a message that was not accepted cannot be removed yet", "maildrop", d.id, "file", e.path(), "err", err)
		d.hide(e.name)
		d.refused = append(d.refused, e)
	})
}

// unlinkRefused tries again what unlink could not do.
func (d *drop) unlinkRefused() {
	again := d.refused
	d.refused = nil
	for _, e := range again {
		d.unlink(e)
	}
}

// flushNew makes the names in new durable, together with others who want that.
func (d *drop) flushNew() error {
	if d.store.opt.InsecureNoFlush || d.store.faults.skipDirFlush {
		return nil
	}
	return d.flush.Do(func() error { return d.place.Mail.SyncDir(d.place.Maildir + "/new") })
}
