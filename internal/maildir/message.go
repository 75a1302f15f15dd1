// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"restante.example/internal/fsx"
	"restante.example/internal/wire"
	"restante.example/maildrop"
)

// maxHandles is how many maildrops keep their directories open for reading.
const maxHandles = 256

// Message implements maildrop.Snapshot. A message of up to 64 KiB is read and
// checked before Message returns; of a longer one the last octets are given out
// only when all of it has been checked.
func (sn *snapshot) Message(ctx context.Context, n int) (io.ReadCloser, error) {
	e := sn.at(n)
	if err := sn.usable(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := sn.drop
	f, err := d.openFile(e)
	for look := 0; look < looks && errors.Is(err, fs.ErrNotExist); look++ {
		// Another program may have renamed it, and may do so again.
		if e, err = d.follow(ctx, e); err == nil {
			f, err = d.openFile(e)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, maildrop.ErrGone
	}
	if err != nil {
		return nil, err
	}
	m := &message{ctx: ctx, drop: d, entry: e, file: f}
	if err := m.begin(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// openFile opens the file of a message by the name that it had.
func (d *drop) openFile(e *entry) (fsx.File, error) {
	d.handleMu.RLock()
	h := d.handles
	if h != nil {
		if f, err := fsx.Open(h.of(e), e.name); err == nil {
			d.handleMu.RUnlock()
			return f, nil
		}
		// The directories themselves may have been replaced.
	}
	d.handleMu.RUnlock()
	if h == nil {
		if err := d.keepHandles(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return fsx.Open(d.place.Mail, d.place.Maildir+"/"+e.path())
}

// keepHandles opens the directories for as long as a session lasts, unless many do.
func (d *drop) keepHandles() error {
	s := d.store
	s.mu.Lock()
	room := s.handles < maxHandles
	if room {
		s.handles++
	}
	s.mu.Unlock()
	if !room {
		return nil
	}
	h, err := d.openDirs()
	d.handleMu.Lock()
	taken := err == nil && d.handles == nil
	if taken {
		d.handles = h
	}
	d.handleMu.Unlock()
	if !taken {
		if h != nil {
			h.close()
		}
		s.mu.Lock()
		s.handles--
		s.mu.Unlock()
	}
	return err
}

// follow finds the name that a message has now.
func (d *drop) follow(ctx context.Context, e *entry) (*entry, error) {
	if err := d.take(ctx); err != nil {
		return nil, err
	}
	defer d.give()
	if err := d.refresh(ctx); err != nil {
		return nil, err
	}
	at := d.list.find(e)
	if at < 0 {
		return nil, maildrop.ErrGone
	}
	now := *e
	now.name, now.bits = d.list.entries[at].name, e.bits&^inCur|d.list.entries[at].bits&inCur
	return &now, nil
}

// message is the stream of one message.
type message struct {
	ctx   context.Context
	drop  *drop
	entry *entry
	file  fsx.File
	info  fsx.Info
	// src gives the wire form: the file, or what converts it.
	src io.Reader
	// conversion is from the pool too, what src converts with.
	conversion *buffers
	// buf is from the pool; rest is what of it is to be given out.
	buf  *buffers
	rest []byte
	// given counts the octets of the message that were read, crc sums them up.
	given int64
	crc   uint32
	// whole: all of it was read and is as announced.
	whole bool
	err   error
}

// errChanged: another program changed the message since it was listed.
var errChanged = errors.New("maildir: the message was changed by another program after it was listed; the next session sees the new one")

// begin looks whether the file is still what was listed.
func (m *message) begin() error {
	info, err := m.file.Stat()
	if err != nil {
		return err
	}
	if info.Type != fsx.TypeFile {
		return maildrop.ErrGone
	}
	m.info = info
	e := m.entry
	if info.Inode != e.inode {
		// Another file has the name now. It may be the same message, put back,
		// but not one that a link leads to.
		there, err := m.drop.place.Mail.Stat(m.drop.place.Maildir + "/" + e.path())
		if err != nil || there.Type != fsx.TypeFile || there.Inode != info.Inode {
			return maildrop.ErrGone
		}
		if !e.has(hasCRC) {
			return m.fail(errSize)
		}
	}
	dm := m.drop.damageOf(e.uid)
	same := dm.id == identity{info.Inode, info.Size} && dm.mtime == info.ModTime
	switch {
	case dm.why == isDamaged && same && !m.drop.store.faults.servePast:
		return maildrop.ErrDamaged
	case info.Size != e.fsize && !m.drop.store.faults.servePast:
		return m.fail(errSize)
	case dm.why != 0:
		if err := m.verify(); err != nil {
			return err
		}
	}
	m.src = m.file
	if !e.has(isWire) && info.Size > chunk {
		m.conversion = bufferPool.Get().(*buffers)
		m.src = wire.NewNormalReader(m.file, m.conversion.raw, m.conversion.wire)
	}
	if info.Size <= chunk {
		return m.short()
	}
	return nil
}

// short reads a short message and checks it before anything of it is given out.
func (m *message) short() error {
	m.buf = bufferPool.Get().(*buffers)
	n, err := io.ReadFull(m.file, m.buf.raw[:m.info.Size])
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil // It has become shorter just now.
	}
	if err != nil {
		return m.fail(err)
	}
	m.rest = m.buf.raw[:n]
	if !m.entry.has(isWire) {
		var norm wire.Normalizer
		m.buf.wire = norm.Finish(norm.Append(m.buf.wire[:0], m.rest))
		m.rest = m.buf.wire
	}
	m.count(m.rest)
	if err := m.check(); err != nil {
		return err
	}
	err = m.file.Close()
	m.file = nil
	return err
}

// count takes octets of the message into the sums.
func (m *message) count(p []byte) {
	m.given += int64(len(p))
	m.crc = crc32.Update(m.crc, castagnoli, p)
}

// check decides at the end whether the message is what was announced.
func (m *message) check() error {
	m.whole = true
	switch {
	case m.drop.store.faults.servePast:
		return nil
	case m.given != m.entry.size:
		return m.fail(errSize)
	case m.entry.has(hasCRC) && m.crc != m.entry.crc:
		return m.fail(errSum)
	}
	return nil
}

var (
	errSize = errors.New("the file has another size")
	errSum  = errors.New("the checksum is wrong")
)

// fail notes why the message cannot be given out and returns what to answer.
func (m *message) fail(why error) error {
	e := m.entry
	switch {
	case !errors.Is(why, errSize) && !errors.Is(why, errSum):
		m.drop.noteDamage(e, isSuspect, m.info)
		return fmt.Errorf("maildir: %s: %w", e.path(), why)
	case !e.has(isOwn) && (!e.has(hasCRC) || m.info.Size > e.fsize ||
		m.info.Inode != e.inode || m.info.Size == e.fsize && m.info.ModTime != e.mtime):
		// Not our file, and its writer may have had reasons.
		m.drop.noteDamage(e, hasChanged, m.info)
		return errChanged
	}
	m.drop.noteDamage(e, isDamaged, m.info)
	return maildrop.ErrDamaged
}

// verify reads the whole file of a message in doubt before any of it is given
// out, and goes back to its beginning.
func (m *message) verify() error {
	got, err := measure(m.file)
	if err != nil {
		return m.fail(err)
	}
	e := m.entry
	if got.size != e.size {
		return m.fail(errSize)
	}
	if e.has(hasCRC) && got.crc != e.crc {
		return m.fail(errSum)
	}
	again, err := m.drop.openFile(e)
	if err != nil {
		return m.fail(err)
	}
	m.file.Close()
	m.file = again
	m.drop.heal(e)
	return nil
}

// next reads more of a long message into p. The last octets of the message
// come only when its end was seen and all that can be checked was.
func (m *message) next(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	for {
		n, err := m.src.Read(p)
		m.count(p[:n])
		switch {
		case err != nil && err != io.EOF:
			return 0, m.fail(err)
		case m.drop.store.faults.servePast:
			m.whole = err == io.EOF
			return n, nil
		case m.given > m.entry.size || err == io.EOF && m.given < m.entry.size:
			return 0, m.fail(errSize)
		case n == 0 && err == nil:
			continue
		case m.given < m.entry.size:
			return n, nil
		}
		if err == nil {
			err = m.end()
		}
		if err == io.EOF {
			err = m.check()
		}
		if err != nil {
			return 0, err
		}
		return n, nil
	}
}

// end makes sure that nothing follows, and returns io.EOF then.
func (m *message) end() error {
	for {
		var one [1]byte
		n, err := m.src.Read(one[:])
		switch {
		case n > 0:
			return m.fail(errSize)
		case err == io.EOF:
			return io.EOF
		case err != nil:
			return m.fail(err)
		}
	}
}

// smallRead is the size in octets from which a caller's memory is read into.
const smallRead = 4096

// Read implements io.Reader.
func (m *message) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if len(m.rest) == 0 && !m.whole && len(p) >= smallRead {
		n, err := m.next(p)
		m.err = err
		return n, err
	}
	if err := m.advance(); err != nil {
		return 0, err
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// advance makes sure that there is something in rest, or answers io.EOF.
func (m *message) advance() error {
	switch {
	case m.err != nil || len(m.rest) > 0:
		return m.err
	case m.whole:
		m.err = io.EOF
		return m.err
	case m.buf == nil:
		m.buf = bufferPool.Get().(*buffers)
	}
	n, err := m.next(m.buf.raw)
	m.rest, m.err = m.buf.raw[:n], err
	if err == nil && n == 0 {
		m.err = io.EOF // Only of a store that is wrong on purpose.
	}
	return m.err
}

// WriteTo implements io.WriterTo: it writes what Read would give.
func (m *message) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if err := m.advance(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(m.rest)
		total += int64(n)
		m.rest = m.rest[n:]
		if err != nil {
			return total, err
		}
	}
}

// Close implements io.Closer.
func (m *message) Close() error {
	var err error
	if m.file != nil {
		err = m.file.Close()
		m.file = nil
	}
	if m.buf != nil {
		bufferPool.Put(m.buf)
		m.buf, m.rest = nil, nil
	}
	if m.conversion != nil {
		bufferPool.Put(m.conversion)
		m.conversion, m.src = nil, nil
	}
	m.err = maildrop.ErrClosed
	return err
}
