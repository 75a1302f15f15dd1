// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"

	"restante.example/internal/fsx"
	"restante.example/internal/wire"
)

// chunk is how much of a file is read at once, in octets. A message up to this
// size is checked whole before its first octet is given out.
const chunk = 64 << 10

// buffers holds what files are read into: a pair, for the octets of the file
// and for their wire form, which may be twice as long and a CRLF more.
type buffers struct {
	raw, wire []byte
}

var bufferPool = sync.Pool{New: func() any {
	return &buffers{raw: make([]byte, chunk), wire: make([]byte, 0, 2*chunk+2)}
}}

// measured is what reading a file says of its wire form.
type measured struct {
	info fsx.Info
	size int64
	crc  uint32
	// same: the file is in wire form already.
	same bool
}

// errChanging: a file changed while it was being read.
var errChanging = errors.New("the file changes while it is read")

// measure reads a whole file.
func measure(f fsx.File) (measured, error) {
	before, err := f.Stat()
	if err != nil {
		return measured{}, err
	}
	if before.Type != fsx.TypeFile {
		return measured{}, errNotFile
	}
	b := bufferPool.Get().(*buffers)
	defer bufferPool.Put(b)
	var norm wire.Normalizer
	m := measured{info: before}
	read := int64(0)
	for {
		n, err := f.Read(b.raw)
		read += int64(n)
		out := norm.Append(b.wire[:0], b.raw[:n])
		m.crc = crc32.Update(m.crc, castagnoli, out)
		if err == io.EOF {
			out = norm.Finish(out[:0])
			m.crc = crc32.Update(m.crc, castagnoli, out)
			break
		}
		if err != nil {
			return measured{}, err
		}
	}
	m.size = norm.Octets()
	m.same = m.size == read
	if read != before.Size {
		return measured{}, errChanging
	}
	after, err := f.Stat()
	if err != nil {
		return measured{}, err
	}
	if after.Size != before.Size || after.ModTime != before.ModTime {
		return measured{}, errChanging
	}
	return m, nil
}

var errNotFile = errors.New("not a regular file")

// learn finds out what the entries at the given places still lack: their
// identity by stat, and their size from the name, from facts, or by reading.
// It works on several at once. What is no longer there loses its uid.
func (d *drop) learn(ctx context.Context, entries []entry, places []int, facts map[string]fact) error {
	if len(places) == 0 {
		return nil
	}
	dirs, err := d.openDirs()
	if err != nil {
		return err
	}
	defer dirs.close()
	workers := min(runtime.GOMAXPROCS(0), 4, (len(places)+63)/64)
	var (
		next   atomic.Int64
		failed atomic.Pointer[error]
		wg     sync.WaitGroup
	)
	work := func() {
		for failed.Load() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(places) {
				return
			}
			err := ctx.Err()
			if err == nil {
				err = d.learnOne(dirs, &entries[places[i]], facts)
			}
			if err != nil {
				failed.Store(&err)
			}
		}
	}
	if workers <= 1 {
		work()
	} else {
		for range workers {
			wg.Go(work)
		}
		wg.Wait()
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	d.store.counts.learnt.Add(int64(len(places)))
	return nil
}

// learnOne learns one entry, whose name and place are known.
func (d *drop) learnOne(dirs *dirs, e *entry, facts map[string]fact) error {
	name := parseName(e.name)
	f, known := facts[e.uid]
	if !name.own && !known && e.has(isFile) && d.readShort(dirs, e, name) {
		return nil
	}
	info, err := dirs.of(e).Stat(e.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Type != fsx.TypeFile {
		e.uid = ""
		return nil
	}
	if err != nil {
		return err
	}
	e.inode, e.fsize, e.mtime = info.Inode, info.Size, info.ModTime
	e.bits &= inCur // e.order stays
	e.time = name.time
	if e.time == 0 {
		e.time = info.ModTime
	}
	if name.own && !(known && f.damaged && f.id == e.id() && f.mtime == e.mtime) {
		d.learnOwn(dirs, e, name)
		return nil
	}
	if known {
		switch {
		case f.damaged && f.id == e.id() && f.mtime == e.mtime,
			!f.damaged && f.id.inode == e.inode && e.inode != 0 && e.fsize < f.id.size:
			// It is still as damaged as it was, or has been cut since it was learnt.
			e.size, e.crc, e.bits = f.size, f.crc, e.bits|f.bits
			if name.own {
				e.bits |= isOwn
				if name.utf8 {
					e.bits |= isUTF8
				}
			}
			d.noteDamage(e, isDamaged, info)
			return nil
		case !f.damaged && f.id == e.id() && f.mtime == e.mtime:
			e.size, e.crc, e.bits = f.size, f.crc, e.bits|f.bits
			return nil
		}
	}
	if d.believe(dirs, e, name) {
		return nil
	}
	d.readSize(dirs, e)
	return nil
}

// learnOwn takes the facts of a file that we wrote from its name. Where the
// file has another size, it is damaged, unless it is the message in another
// form: some programs change line ends when they restore files.
func (d *drop) learnOwn(dirs *dirs, e *entry, name facts) {
	e.size, e.crc = name.w, name.crc
	e.bits |= isOwn | hasCRC
	if name.utf8 {
		e.bits |= isUTF8
	}
	if e.fsize == name.s {
		e.bits |= isWire
		d.heal(e)
		return
	}
	m, err := dirs.measure(e)
	if err == nil && m.size == name.w && m.crc == name.crc {
		e.inode, e.fsize, e.mtime = m.info.Inode, m.info.Size, m.info.ModTime
		d.heal(e)
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		e.uid = ""
		return
	}
	d.noteDamage(e, isDamaged, fsx.Info{Inode: e.inode, Size: e.fsize, ModTime: e.mtime})
}

// readShort learns a short file of another writer in four system calls: what
// one read gave is the whole of it when its size says so afterwards. It reports
// whether that was so; a file that is long, was changed just now or makes any
// trouble is left to the longer way.
func (d *drop) readShort(dirs *dirs, e *entry, name facts) bool {
	if name.s > chunk {
		return false
	}
	f, err := fsx.Open(dirs.of(e), e.name)
	if err != nil {
		return false
	}
	defer f.Close()
	b := bufferPool.Get().(*buffers)
	defer bufferPool.Put(b)
	n, err := f.Read(b.raw)
	if err != nil && err != io.EOF {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Type != fsx.TypeFile || info.Size != int64(n) || d.fresh(info.ModTime) {
		return false
	}
	var norm wire.Normalizer
	out := norm.Finish(norm.Append(b.wire[:0], b.raw[:n]))
	e.inode, e.fsize, e.mtime = info.Inode, info.Size, info.ModTime
	e.size, e.crc = int64(len(out)), crc32.Checksum(out, castagnoli)
	e.bits = e.bits&inCur | hasCRC
	if e.size == e.fsize {
		e.bits |= isWire
	}
	e.time = name.time
	if e.time == 0 {
		e.time = info.ModTime
	}
	d.learned(e)
	return true
}

// learned notes that a message was read and is well.
func (d *drop) learned(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.damaged) > 0 {
		delete(d.damaged, e.uid)
	}
	d.learnt++
}

// believe takes the wire size of a long file from a name of another writer when
// the rest of the name is true and it can be seen whether a final CRLF is to be
// added, which Dovecot's W= does not count. Short files are read whole: a wrong
// W= would be noticed only when its message is half sent.
func (d *drop) believe(dirs *dirs, e *entry, name facts) bool {
	if e.fsize <= chunk || name.s != e.fsize || name.w < name.s || name.w > 2*name.s || d.isDoubtful(e.uid) {
		return false
	}
	f, err := fsx.Open(dirs.of(e), e.name)
	if err != nil {
		return false
	}
	defer f.Close()
	var last [1]byte
	if n, err := f.ReadAt(last[:], e.fsize-1); err != nil && err != io.EOF || n != 1 {
		return false
	}
	e.size = name.w
	if last[0] != '\n' {
		e.size += 2
	}
	if e.size == e.fsize {
		e.bits |= isWire
	}
	return true
}

// readSize learns by reading. A file that cannot be read is listed with the
// size it has and is tried again at the next session.
func (d *drop) readSize(dirs *dirs, e *entry) {
	m, err := dirs.measure(e)
	if errors.Is(err, errChanging) {
		m, err = dirs.measure(e)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.uid = ""
		return
	case err != nil:
		d.store.log.Warn("a message cannot be read", "maildrop", d.id, "file", e.path(), "err", err)
		e.size = e.fsize
		e.bits |= unread
		d.noteDamage(e, isSuspect, fsx.Info{Inode: e.inode, Size: e.fsize, ModTime: e.mtime})
		return
	}
	e.inode, e.fsize, e.mtime = m.info.Inode, m.info.Size, m.info.ModTime
	e.size, e.crc = m.size, m.crc
	e.bits |= hasCRC
	if m.same {
		e.bits |= isWire
	}
	if d.fresh(e.mtime) {
		// A change in the same tick of the clock would not be seen in the time.
		e.bits |= isFresh
	}
	d.learned(e)
}

// dirs holds the two directories of messages open.
type dirs struct {
	new, cur fsx.FS
}

func (d *drop) openDirs() (*dirs, error) {
	n, err := d.place.Mail.Sub(d.place.Maildir + "/new")
	if err != nil {
		return nil, err
	}
	c, err := d.place.Mail.Sub(d.place.Maildir + "/cur")
	if err != nil {
		n.Close()
		return nil, err
	}
	return &dirs{new: n, cur: c}, nil
}

func (x *dirs) of(e *entry) fsx.FS {
	if e.has(inCur) {
		return x.cur
	}
	return x.new
}

func (x *dirs) measure(e *entry) (measured, error) {
	f, err := fsx.Open(x.of(e), e.name)
	if err != nil {
		return measured{}, err
	}
	defer f.Close()
	return measure(f)
}

func (x *dirs) close() {
	x.new.Close()
	x.cur.Close()
}
