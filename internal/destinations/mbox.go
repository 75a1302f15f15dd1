// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"restante.example/collect"
)

// mbox appends messages to a file in the form mboxrd, under a dotlock and a
// lock by fcntl. Where it is about to append, and what, stands in the journal
// before; so after a crash the tail of the file can be judged, and a torn one
// is cut off only if it is ours.
//
// The lock is held from Prepare to the end of File, because the place of a
// message must stay its place while the journal is being written.
type mbox struct {
	id, path string
	crlf     bool
	locks    *Locks
	lock     *mboxLock
	file     *os.File
	waiting  int // prepared messages that were neither filed nor discarded

	lines, quoted []byte // for converting; messages are written one at a time
}

var _ collect.Destination = (*mbox)(nil)

func newMbox(id, path string, opt Options) *mbox {
	return &mbox{id: id, path: path, crlf: opt.CRLF, locks: opt.Locks}
}

func (d *mbox) ID() string  { return d.id }
func (d *mbox) Window() int { return 1 << 10 }

// record is a message in the form in which it is appended.
type record struct {
	*collect.Spool
	d      *mbox
	conv   unixLines
	quote  quoter
	from   string // the From_ line
	sum    []byte
	length int64
	begin  []byte
	place  int64
	held   bool // counted in d.waiting
}

// Stage implements collect.Destination.
func (d *mbox) Stage(context.Context, string, int64) (collect.Staged, error) {
	return &record{Spool: collect.NewSpool(), d: d}, nil
}

func (r *record) Write(p []byte) (int, error) {
	in := p
	if !r.d.crlf {
		r.d.lines = r.conv.append(r.d.lines[:0], p)
		in = r.d.lines
	}
	r.d.quoted = r.quote.append(r.d.quoted[:0], in)
	if _, err := r.Spool.Write(r.d.quoted); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Discard implements collect.Staged.
func (r *record) Discard() {
	r.Spool.Discard()
	if r.held {
		r.held = false
		r.d.release(1)
	}
}

// end returns the line end of the file.
func (d *mbox) end() string {
	if d.crlf {
		return "\r\n"
	}
	return "\n"
}

// seal ends the record: a last line end where there is none, and an empty line.
func (r *record) seal(m collect.Message) error {
	end := r.d.end()
	rest := r.quote.append(nil, r.conv.finish(nil))
	rest = r.quote.finish(rest)
	if !r.quote.lineStart() {
		rest = append(rest, end...)
	}
	rest = append(rest, end...)
	if _, err := r.Spool.Write(rest); err != nil {
		return err
	}
	// The key tells twins apart that are collected in the same second: after a
	// crash one must not be taken for the other.
	r.from = "From restante-" + m.Key[:min(16, len(m.Key))] + " " + m.Time.UTC().Format("Mon Jan _2 15:04:05 2006") + end
	body, err := r.reader()
	if err != nil {
		return err
	}
	sum := sha256.New()
	begin := &head{most: beginLength}
	if r.length, err = io.Copy(io.MultiWriter(sum, begin), body); err != nil {
		return err
	}
	r.sum, r.begin = sum.Sum(nil), begin.octets
	return nil
}

func (r *record) reader() (io.Reader, error) {
	body, err := r.Spool.Reader()
	if err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader([]byte(r.from)), body), nil
}

// beginLength is how much of a record the journal has, to tell ours by.
const beginLength = 256

// head keeps the first octets that are written.
type head struct {
	octets []byte
	most   int
}

func (h *head) Write(p []byte) (int, error) {
	h.octets = append(h.octets, p[:min(len(p), h.most-len(h.octets))]...)
	return len(p), nil
}

// Prepare implements collect.Destination.
func (d *mbox) Prepare(ctx context.Context, items []*collect.Item) {
	if err := d.prepare(ctx, items); err != nil {
		for _, it := range items {
			it.Err = fmt.Errorf("%w: %w", collect.ErrUnavailable, err)
		}
		d.release(0)
	}
}

func (d *mbox) prepare(ctx context.Context, items []*collect.Item) error {
	if err := d.open(ctx, os.O_RDWR|os.O_CREATE); err != nil {
		return err
	}
	end, err := d.padded()
	if err != nil {
		return err
	}
	for _, it := range items {
		r := it.Staged.(*record)
		if it.Err = r.seal(it.Message); it.Err != nil {
			continue
		}
		r.place, r.held = end, true
		end += r.length
		d.waiting++
		it.Name = place{r.place, r.length, hex.EncodeToString(r.sum), r.begin}.String()
	}
	return nil
}

// open takes the locks and opens the file.
func (d *mbox) open(ctx context.Context, flag int) error {
	lock, err := lockMbox(ctx, d.locks, d.path)
	if err != nil {
		return err
	}
	d.lock = lock
	_, err = os.Lstat(lock.path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if d.file, err = os.OpenFile(d.path, flag, 0o600); err != nil {
		d.file = nil
		return err
	}
	if err := lock.file(ctx, d.file); err != nil {
		return err
	}
	// Who waits for the lock of a file may get that of one that was replaced.
	if now, err := os.Stat(d.path); err != nil || !sameFile(now, d.file) {
		return errors.Join(errReplaced, err)
	}
	if isNew {
		return syncDir(filepath.Dir(lock.path))
	}
	return nil
}

func sameFile(info fs.FileInfo, f *os.File) bool {
	own, err := f.Stat()
	return err == nil && os.SameFile(info, own)
}

// padded returns where the next message begins: the end of the file, behind
// an empty line, which it adds where another program left none.
func (d *mbox) padded() (int64, error) {
	info, err := d.file.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	size, two := info.Size(), len(d.end())*2
	last := make([]byte, two)
	if size < int64(two) {
		last = last[:size]
	}
	if _, err := d.file.ReadAt(last, size-int64(len(last))); err != nil {
		return 0, err
	}
	var pad string
	switch {
	case bytes.HasSuffix(last, []byte("\n\n")), bytes.HasSuffix(last, []byte("\n\r\n")):
	case bytes.HasSuffix(last, []byte("\n")):
		pad = d.end()
	default:
		pad = d.end() + d.end()
	}
	n, err := d.file.WriteAt([]byte(pad), size)
	return size + int64(n), err
}

// File implements collect.Destination.
func (d *mbox) File(_ context.Context, items []*collect.Item) {
	var failed error
	for _, it := range items {
		if it.Err = failed; failed == nil {
			it.Err = d.appendRecord(it.Staged.(*record))
			failed = it.Err
		}
	}
	first := -1
	for i, it := range items {
		if it.Err != nil && first < 0 {
			first = i
		}
	}
	if len(items) > 0 {
		if err := d.file.Sync(); err != nil {
			// The kernel may have dropped anything of it, so nothing counts.
			first, failed = 0, err
		}
		if first >= 0 {
			err := d.file.Truncate(items[first].Staged.(*record).place)
			for _, it := range items[first:] {
				it.Err = errors.Join(failed, err)
			}
		}
	}
	for _, it := range items {
		r := it.Staged.(*record)
		it.Name = fmt.Sprintf("%d %d", r.place, r.length) // the rest was for a crash
		r.Discard()
	}
	d.release(0)
}

func (d *mbox) appendRecord(r *record) error {
	body, err := r.reader()
	if err != nil {
		return err
	}
	n, err := io.Copy(io.NewOffsetWriter(d.file, r.place), body)
	if err == nil && n != r.length {
		err = io.ErrShortWrite
	}
	return err
}

// release counts messages that are done with, and unlocks after the last.
func (d *mbox) release(n int) {
	if d.waiting -= n; d.waiting > 0 {
		return
	}
	d.waiting = 0
	if d.file != nil {
		// What was written has been flushed, or counts as failed.
		_ = d.file.Close()
		d.file = nil
	}
	if d.lock != nil {
		d.lock.unlock()
		d.lock = nil
	}
}
