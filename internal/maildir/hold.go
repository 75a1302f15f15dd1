// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// The holding area of a maildrop is a directory beside its journal. A message
// that no view holds any more waits there until its time is over. Its file is
// linked there, durably, before it loses its name in the Maildir; where mail
// and state are in different places or cannot be linked, it is copied.

func (d *drop) heldDir() string { return path.Join(d.place.StateDir, "restante.held") }

// forEver is longer than any rule.
const forEver = time.Duration(math.MaxInt64)

// rules returns how long mail is kept. When it cannot be told, nothing is removed.
func (d *drop) rules(ctx context.Context) maildrop.Rules {
	if d.store.opt.Rules == nil {
		return maildrop.Rules{}
	}
	r, err := d.store.opt.Rules(ctx, d.id)
	if err != nil {
		d.store.log.Warn("the rules of a maildrop cannot be told; removed messages are held", "maildrop", d.id, "err", err)
		return maildrop.Rules{KeepRemoved: forEver}
	}
	return r
}

// toHold says for each message that goes under which name it will be held,
// where it will be, under the lock.
func (d *drop) toHold(ctx context.Context, items []item, chosen []*entry) {
	if d.rules(ctx).KeepRemoved <= 0 {
		return
	}
	for i := range items {
		if it := &items[i]; it.gone {
			it.hold = stem(chosen[i].name)
			if it.uid != uidOf(base(it.hold)) {
				// A twin, whose name is not its own.
				it.hold = hashUID("held " + it.uid)
			}
		}
	}
}

// holdFile gives a file of the Maildir a name in the holding area as well.
func (d *drop) holdFile(file, name string) error {
	if !d.heldMade {
		if err := d.makeHeldDir(); err != nil {
			return err
		}
		d.heldMade = true
	}
	from, to := d.place.Maildir+"/"+file, d.heldDir()+"/"+name
	err := errDifferent
	if d.place.Mail == d.place.State {
		err = d.place.Mail.Link(from, to)
	}
	if errors.Is(err, fs.ErrExist) {
		// It was held before, by this decision or by an earlier one.
		a, e1 := d.place.Mail.Stat(from)
		b, e2 := d.place.State.Stat(to)
		if e := errors.Join(e1, e2); e != nil || a.Inode == b.Inode && a.Inode != 0 {
			return e
		}
		if err = d.place.State.Remove(to); err == nil {
			err = d.place.Mail.Link(from, to)
		}
	}
	if err == errDifferent || fsx.IsNoLink(err) {
		err = d.copy(d.place.Mail, from, d.place.State, to)
	}
	return err
}

var errDifferent = errors.New("mail and state are in different places")

func (d *drop) makeHeldDir() error {
	if d.store.opt.InsecureNoFlush {
		return mkdirAll(d.place.State, d.heldDir())
	}
	return fsx.MkdirAllSynced(d.place.State, d.heldDir())
}

// copy copies a file and flushes it; its name is not flushed.
func (d *drop) copy(from fsx.FS, source string, to fsx.FS, target string) error {
	in, err := fsx.Open(from, source)
	if err != nil {
		return err
	}
	defer in.Close()
	temp := target + ".new"
	if err := to.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := fsx.Create(to, temp)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil && !d.store.opt.InsecureNoFlush {
		err = out.Sync()
	}
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = to.Rename(temp, target)
	}
	if err != nil {
		return errors.Join(err, to.Remove(temp))
	}
	return nil
}

// syncHeld makes the names in the holding area durable.
func (d *drop) syncHeld() error {
	if d.store.opt.InsecureNoFlush || d.store.faults.skipHeldFlush {
		return nil
	}
	return d.place.State.SyncDir(d.heldDir())
}

// holdFiles puts those of the messages into the holding area that go there and
// returns which could not be put, under the lock. What has another name now is
// looked for by find.
func (d *drop) holdFiles(items []item, chosen []*entry, find func(i int) *entry) (failed map[int]error) {
	failed = make(map[int]error)
	some := false
	for i, it := range items {
		if it.hold == "" {
			continue
		}
		e := chosen[i]
		err := d.holdEntry(e, it)
		if errors.Is(err, fs.ErrNotExist) {
			if e = find(i); e == nil {
				continue // There is nothing to hold.
			}
			err = d.holdEntry(e, it)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			failed[i] = fmt.Errorf("it cannot be put into the holding area: %w", err)
		default:
			some = true
		}
	}
	if !some {
		return failed
	}
	if err := d.syncHeld(); err != nil {
		for i, it := range items {
			if it.hold != "" {
				failed[i] = fmt.Errorf("the holding area cannot be flushed: %w", err)
			}
		}
	}
	return failed
}

func (d *drop) holdEntry(e *entry, it item) error {
	info, err := d.place.Mail.Stat(d.place.Maildir + "/" + e.path())
	if err != nil {
		return err
	}
	if info.Type != fsx.TypeFile || it.id != (identity{info.Inode, info.Size}) {
		return errOther
	}
	return d.holdFile(e.path(), it.hold)
}

// expire removes from the holding area what has been there for its time, under
// the lock; the journal must have been read.
func (d *drop) expire(ctx context.Context, keep time.Duration) {
	if d.broken != nil || keep == forEver {
		return
	}
	now := d.now()
	var over []string
	for uid, h := range d.dec.held {
		if now-h.at >= int64(keep/time.Second) {
			over = append(over, uid)
		}
	}
	d.unhold(ctx, over)
	d.cleanHeld(max(keep, time.Hour))
}

// unhold removes messages from the holding area for good, under the lock.
func (d *drop) unhold(ctx context.Context, uids []string) {
	var items []item
	for _, uid := range uids {
		if _, going := d.dec.going[uid]; going || ctx.Err() != nil {
			continue // Its file may still have to come there.
		}
		err := d.place.State.Remove(d.heldDir() + "/" + d.dec.held[uid].name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.store.log.Warn("a message cannot be removed from the holding area; tried again later", "maildrop", d.id, "uid", uid, "err", err)
			continue
		}
		items = append(items, item{uid: uid})
		d.note(maildrop.Event{Kind: maildrop.EventErased, UID: uid})
	}
	if len(items) == 0 {
		return
	}
	// It need not be flushed: what is not there cannot be brought back.
	r := unheldRecord(items)
	err := d.dec.apply(r)
	if err == nil {
		err = d.mend()
	}
	if err == nil {
		err = d.jr.Note(r)
	}
	if err != nil {
		d.store.log.Warn("the journal cannot be written; tried again later", "maildrop", d.id, "err", err)
	}
}

// cleanHeld removes files that nothing speaks of from the holding area when
// they have been there for long, at most once an hour.
func (d *drop) cleanHeld(age time.Duration) {
	now := d.store.opt.Clock()
	if !d.heldCleaned.IsZero() && now.Sub(d.heldCleaned) < time.Hour {
		return
	}
	d.heldCleaned = now
	names, err := d.place.State.ReadDir(d.heldDir())
	if err != nil {
		return // There is none.
	}
	known := make(map[string]bool, len(d.dec.held))
	for _, h := range d.dec.held {
		known[h.name] = true
	}
	for _, b := range d.dec.bringing {
		known[b.from] = true
	}
	for _, n := range names {
		file := d.heldDir() + "/" + n.Name
		info, err := d.place.State.Stat(file)
		if known[n.Name] || err != nil || info.Type != fsx.TypeFile ||
			now.UnixNano()-max(info.ChangeTime, info.ModTime) < int64(age) {
			continue
		}
		if err := d.place.State.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.store.log.Warn("an old file cannot be removed from the holding area", "maildrop", d.id, "file", file, "err", err)
		}
	}
}

// Held implements maildrop.Keeper.
func (s *Store) Held(ctx context.Context, id maildrop.ID) (messages int, octets int64, err error) {
	err = s.with(ctx, id, func(d *drop) error {
		for _, h := range d.dec.held {
			messages++
			octets += h.id.size
		}
		return nil
	})
	return messages, octets, err
}

// relieve empties holding areas, oldest first, while there is less room than
// deliveries have to leave.
func (s *Store) relieve(ctx context.Context, ids []maildrop.ID) error {
	type ref struct {
		id  maildrop.ID
		uid string
		at  int64
	}
	var refs []ref
	for _, id := range ids {
		err := s.locked(ctx, id, func(d *drop) {
			if d.dec == nil || d.broken != nil || len(d.dec.held) == 0 || s.room(d.place.State, 0) == nil {
				return
			}
			for uid, h := range d.dec.held {
				refs = append(refs, ref{id, uid, h.at})
			}
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(refs, func(a, b ref) int { return int(min(max(a.at-b.at, -1), 1)) })
	freed := 0
	for _, r := range refs {
		enough := false
		err := s.locked(ctx, r.id, func(d *drop) {
			if enough = s.room(d.place.State, 0) == nil; !enough {
				d.unhold(ctx, []string{r.uid})
				freed++
			}
		})
		if err != nil || enough {
			break
		}
	}
	if freed > 0 {
		s.log.Warn("the disk is nearly full: removed messages were taken from the holding area before their time", "messages", freed)
	}
	return ctx.Err()
}

// locked runs do on a maildrop that is locked and perhaps not loaded.
func (s *Store) locked(ctx context.Context, id maildrop.ID, do func(d *drop)) error {
	d, err := s.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer s.release(d)
	defer d.give()
	do(d)
	return nil
}
