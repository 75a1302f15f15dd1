// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"sync"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

// What happened to messages is remembered in a file of its own beside the
// journal. Nothing is decided by it, so it is never flushed and may be deleted
// at any time. Events wait in memory until a QUIT that removed something, 64
// deliveries, or the next Sweep.

var (
	_ maildrop.Tracer = (*Store)(nil)
	_ maildrop.Noter  = (*snapshot)(nil)
)

const (
	// maxTrace bounds the file in octets; it is cut to half of that.
	maxTrace = 4 << 20
	// keepTrace is how long events are kept where no rule says.
	keepTrace = 90 * 24 * time.Hour
	// pruneEvery is how often old events are looked for.
	pruneEvery = 24 * time.Hour
	// recEvent is the one type of record.
	recEvent byte = 1
)

// trace is what is remembered of a maildrop.
type trace struct {
	mu      sync.Mutex
	pending []journal.Record
	// The others belong to the lock of the maildrop.
	file   *journal.Journal
	pruned time.Time
}

var eventKinds = []maildrop.EventKind{"", maildrop.EventArrived, maildrop.EventRetrieved,
	maildrop.EventRemoved, maildrop.EventRetention, maildrop.EventUndeleted, maildrop.EventErased}

func eventRecord(e maildrop.Event) journal.Record {
	data := make([]byte, 0, 24+len(e.UID)+len(e.View)+len(e.Remote)+len(e.Origin)+len(e.NewUID))
	data = binary.AppendVarint(data, e.At.Unix())
	data = append(data, byte(slices.Index(eventKinds, e.Kind)))
	data = appendText(data, e.UID)
	data = appendText(data, string(e.View))
	data = appendText(data, e.Remote)
	data = appendText(data, e.Origin)
	data = appendText(data, e.NewUID)
	data = binary.AppendUvarint(data, uint64(e.Size))
	return journal.Record{Type: recEvent, Data: appendBool(data, e.Final)}
}

func decodeEvent(r journal.Record) (maildrop.Event, error) {
	in := decoder{data: r.Data}
	e := maildrop.Event{At: time.Unix(in.signed(), 0)}
	kind := in.octet()
	e.UID, e.View = in.text(), maildrop.View(in.text())
	e.Remote, e.Origin, e.NewUID = in.text(), in.text(), in.text()
	e.Size = int64(in.number())
	e.Final = in.number() != 0
	if r.Type != recEvent || kind == 0 || int(kind) >= len(eventKinds) || e.Size < 0 {
		in.err = errRecord
	}
	if in.err != nil {
		return maildrop.Event{}, in.err
	}
	e.Kind = eventKinds[kind]
	return e, nil
}

// note remembers an event. It does no I/O.
func (d *drop) note(e maildrop.Event) (waiting int) {
	if d.store.opt.Rules == nil {
		return 0
	}
	e.At = d.store.opt.Clock()
	t := &d.trace
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, eventRecord(e))
	return len(t.pending)
}

// NoteRemote implements maildrop.Noter.
func (sn *snapshot) NoteRemote(remote string) {
	sn.drop.mu.Lock()
	defer sn.drop.mu.Unlock()
	sn.remote = short(remote)
}

// NoteRetrieved implements maildrop.Noter.
func (sn *snapshot) NoteRetrieved(n int) {
	e := sn.at(n)
	sn.drop.note(maildrop.Event{Kind: maildrop.EventRetrieved, UID: e.uid, View: sn.view, Remote: sn.from(), Size: e.size})
}

func (sn *snapshot) from() string {
	sn.drop.mu.Lock()
	defer sn.drop.mu.Unlock()
	return sn.remote
}

// noteArrived remembers a delivery, under the lock.
func (d *drop) noteArrived(e *entry, origin string) {
	if d.note(maildrop.Event{Kind: maildrop.EventArrived, UID: e.uid, Origin: short(origin), Size: e.size}) >= 64 {
		d.saveTrace()
	}
}

// noteRemoved remembers a removal that was confirmed, under the lock.
func (d *drop) noteRemoved(sn *snapshot, items []item, stayed []int) {
	if d.store.opt.Rules == nil {
		return
	}
	kept := make(map[int]bool, len(stayed))
	for _, i := range stayed {
		kept[i] = true
	}
	remote := sn.from()
	for i, it := range items {
		if !kept[i] {
			d.note(maildrop.Event{Kind: maildrop.EventRemoved, UID: it.uid, View: sn.view, Remote: remote, Final: it.gone})
		}
	}
	d.saveTrace()
}

// noteGone remembers what went with a view.
func (d *drop) noteGone(view maildrop.View, items []item) {
	for _, it := range items {
		d.note(maildrop.Event{Kind: maildrop.EventRemoved, UID: it.uid, View: view, Final: true})
	}
}

func (d *drop) noteRetention(items []item, chosen []*entry) {
	for i, it := range items {
		d.note(maildrop.Event{Kind: maildrop.EventRetention, UID: it.uid, Size: chosen[i].size, Final: true})
	}
}

func (d *drop) noteUndeleted(found []removal) {
	for _, r := range found {
		e := maildrop.Event{Kind: maildrop.EventUndeleted, UID: r.uid, NewUID: r.NewUID}
		if !r.Held {
			e.View = r.View
		}
		d.note(e)
	}
}

func (d *drop) traceName() string { return path.Join(d.place.StateDir, "restante.trace") }

// saveTrace writes what waits to the file, under the lock.
func (d *drop) saveTrace() {
	t := &d.trace
	t.mu.Lock()
	records := t.pending
	t.pending = nil
	t.mu.Unlock()
	if len(records) == 0 || d.place.State == nil || d.rules(context.Background()).Trace < 0 {
		return
	}
	err := d.openTrace()
	if err == nil {
		err = t.file.Note(records...)
	}
	if err != nil {
		// It is opened anew, and mended, the next time.
		t.file = nil
		d.store.log.Warn("what happened to messages cannot be remembered", "maildrop", d.id, "file", d.traceName(), "err", err)
	}
}

// openTrace opens the file; one that is torn or damaged is cut.
func (d *drop) openTrace() error {
	if d.trace.file != nil {
		return nil
	}
	var records []journal.Record
	file, err := journal.Open(d.place.State, d.traceName(), func(r journal.Record) error {
		records = append(records, journal.Record{Type: r.Type, Data: slices.Clone(r.Data)})
		return nil
	})
	if file == nil {
		return err
	}
	file.NoFlush = true
	if file.Fenced() != nil {
		err = file.Rewrite(records)
	} else if !file.Exists() {
		err = mkdirAll(d.place.State, d.place.StateDir)
	}
	if err == nil {
		d.trace.file = file
	}
	return err
}

// pruneTrace forgets what is too old, or too much, now and then, under the lock.
func (d *drop) pruneTrace(rules maildrop.Rules) {
	t := &d.trace
	now := d.store.opt.Clock()
	if d.store.opt.Rules == nil || now.Sub(t.pruned) < pruneEvery && (t.file == nil || t.file.Size() <= maxTrace) {
		return
	}
	t.pruned = now
	events, err := d.readTrace()
	if err != nil || len(events) == 0 {
		return // There is none, or it is mended when something is written.
	}
	keep := rules.Trace
	if keep == 0 {
		keep = keepTrace
	}
	var kept []journal.Record
	size, all := int64(0), int64(0)
	full := false
	for _, e := range slices.Backward(events) {
		r := eventRecord(e)
		length := int64(len(r.Data)) + 21
		all += length
		full = full || size+length > maxTrace/2
		if now.Sub(e.At) < keep && !(full && t.file != nil && t.file.Size() > maxTrace) {
			kept = append(kept, r)
			size += length
		}
	}
	if size > all-all/8 {
		return
	}
	slices.Reverse(kept)
	if err = d.openTrace(); err == nil {
		t.file.NoFlush = false
		err = t.file.Rewrite(kept)
		t.file.NoFlush = true
	}
	if err != nil {
		t.file = nil
		d.store.log.Warn("old events cannot be forgotten; tried again later", "maildrop", d.id, "file", d.traceName(), "err", err)
	}
}

// dropTrace removes the file of a maildrop that is not in memory when all in it
// is too old.
func (d *drop) dropTrace(rules maildrop.Rules) error {
	if d.store.opt.Rules == nil {
		return nil
	}
	info, err := d.place.State.Stat(d.traceName())
	if err == nil {
		keep := rules.Trace
		if keep == 0 {
			keep = keepTrace
		}
		if d.store.opt.Clock().UnixNano()-info.ModTime < int64(keep) {
			return nil
		}
		d.trace.file = nil
		err = d.place.State.Remove(d.traceName())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readTrace reads the events that are in the file, under the lock.
func (d *drop) readTrace() (events []maildrop.Event, err error) {
	data, err := fsx.ReadFile(d.place.State, d.traceName(), 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = journal.Scan(data, func(r journal.Record) error {
		e, err := decodeEvent(r)
		if err == nil {
			events = append(events, e)
		}
		return nil // One that a later version wrote says nothing to us.
	})
	if damage := (*journal.DamageError)(nil); errors.As(err, &damage) {
		return events, nil
	}
	return events, err
}

// Trace implements maildrop.Tracer.
func (s *Store) Trace(ctx context.Context, id maildrop.ID, f maildrop.EventFilter) iter.Seq2[maildrop.Event, error] {
	return func(yield func(maildrop.Event, error) bool) {
		events, err := s.events(ctx, id)
		if err != nil {
			yield(maildrop.Event{}, err)
			return
		}
		names := namesOf(f.UID, events)
		for _, e := range events {
			if f.UID != "" && !names[e.UID] || !f.Since.IsZero() && e.At.Unix() < f.Since.Unix() {
				continue
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (s *Store) events(ctx context.Context, id maildrop.ID) (events []maildrop.Event, err error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	e := s.locked(ctx, id, func(d *drop) {
		if err = d.locate(ctx); err != nil {
			return
		}
		d.saveTrace()
		events, err = d.readTrace()
	})
	return events, errors.Join(e, err)
}

// namesOf returns all UIDs that a message has had.
func namesOf(uid string, events []maildrop.Event) map[string]bool {
	names := map[string]bool{uid: true}
	for range 2 {
		for _, e := range events {
			if e.NewUID != "" && (names[e.UID] || names[e.NewUID]) {
				names[e.UID], names[e.NewUID] = true, true
			}
		}
		slices.Reverse(events)
	}
	return names
}
