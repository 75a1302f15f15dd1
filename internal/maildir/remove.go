// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"restante.example/internal/fsx"
	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

// Remove implements maildrop.Snapshot. The commit is one flushed record;
// files go after it, and what could not go is taken back by another record.
func (sn *snapshot) Remove(ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
	outcomes := make([]maildrop.Outcome, len(numbers))
	d := sn.drop
	if err := d.store.begin(); err != nil {
		return outcomes, err
	}
	defer d.store.end()
	if err := d.take(ctx); err != nil {
		return outcomes, err
	}
	defer d.give()
	end, err := sn.startRemove()
	if err != nil {
		return outcomes, err
	}
	defer end()
	if len(numbers) == 0 {
		return outcomes, nil
	}
	v := d.dec.views[sn.view]
	if v == nil {
		return outcomes, maildrop.ErrRevoked
	}

	// What can be removed: not the damaged ones.
	items := make([]item, 0, len(numbers))
	chosen := make([]*entry, 0, len(numbers))
	index := make([]int, len(numbers)) // of each number in items, -1 when it is kept
	first, now := d.firstSince(), d.now()
	for i, n := range numbers {
		e := sn.at(n)
		index[i] = -1
		if d.isDoubtful(e.uid) {
			continue
		}
		index[i] = len(items)
		items = append(items, item{uid: e.uid, id: e.id(), gone: !d.heldBack(sn.view, e, first), at: now})
		chosen = append(chosen, e)
	}
	d.toHold(ctx, items, chosen)
	kept := make([]maildrop.Outcome, len(items))
	if len(items) > 0 {
		if err := d.commit(ctx, sn, items, chosen, kept); err != nil {
			for i := range outcomes {
				if index[i] >= 0 {
					outcomes[i] = kept[index[i]]
				}
			}
			return outcomes, err
		}
	}
	err = nil
	for i := range outcomes {
		if index[i] >= 0 {
			outcomes[i] = kept[index[i]]
		}
		if outcomes[i] != maildrop.Removed {
			err = maildrop.ErrPartial
		}
	}
	return outcomes, err
}

// commit writes a removal down and carries it out, under the lock. It sets the
// outcomes; an error means that nothing was removed.
func (d *drop) commit(ctx context.Context, sn *snapshot, items []item, chosen []*entry, outcomes []maildrop.Outcome) error {
	r := removeRecord(sn.token, sn.view, items)
	if d.store.faults.removeFirst {
		d.removeFiles(ctx, items, chosen)
	}
	write := d.record
	if d.store.faults.confirmUnsaved {
		write = d.recordUnflushed
	}
	if err := write(r); err != nil {
		if errors.Is(err, errUnknown) {
			for i := range outcomes {
				outcomes[i] = maildrop.Unknown
			}
		}
		return fmt.Errorf("maildir: nothing was removed: %w", err)
	}
	if err := d.dec.apply(r); err != nil {
		return err // Not for a record that we made.
	}
	for i := range outcomes {
		outcomes[i] = maildrop.Removed
	}
	stayed := d.removeFiles(ctx, items, chosen)
	d.noteRemoved(sn, items, stayed)
	if len(stayed) == 0 {
		d.compactSoon()
		return nil
	}
	back := make([]item, 0, len(stayed))
	for _, i := range stayed {
		back = append(back, items[i])
	}
	w := withdrawRecord(sn.view, back)
	// The decision is taken back in memory first, so that a journal that has to
	// be written anew says the same.
	if err := d.dec.apply(w); err != nil {
		return err
	}
	err := d.record(w)
	outcome := maildrop.Kept
	if err != nil && d.jr.Fenced() != nil {
		// The removal stands in the journal, perhaps with its withdrawal.
		d.store.log.Error("a removal could not be taken back", "maildrop", d.id, "err", err)
		outcome = maildrop.Unknown
	}
	for _, i := range stayed {
		outcomes[i] = outcome
	}
	d.stale = true // They are listed again.
	return nil
}

// removeFiles removes the files of those items that no view holds and takes
// them off the list, under the lock. It returns the places of the items whose
// files are there still.
func (d *drop) removeFiles(ctx context.Context, items []item, chosen []*entry) (stayed []int) {
	gone := make(map[string]struct{}, len(items))
	looked := false
	dirs, err := d.openDirs()
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		d.store.log.Warn("removed messages are still on the disk", "maildrop", d.id, "err", err)
		for i, it := range items {
			if it.gone {
				stayed = append(stayed, i)
			}
		}
		return stayed
	}
	defer dirs.close()
	failed := d.holdFiles(items, chosen, func(i int) *entry {
		if !looked {
			looked = true
			if err := d.lookAgain(ctx); err != nil {
				d.store.log.Warn("a maildrop cannot be listed", "maildrop", d.id, "err", err)
			}
		}
		if at := d.list.find(chosen[i]); at >= 0 {
			return &d.list.entries[at]
		}
		return nil
	})
	d.change(func() {
		for i, it := range items {
			if !it.gone {
				continue
			}
			e := chosen[i]
			if err := failed[i]; err != nil {
				d.store.log.Warn("a removed message is still on the disk", "maildrop", d.id, "file", e.path(), "err", err)
				stayed = append(stayed, i)
				if errors.Is(err, errOther) {
					gone[it.uid] = struct{}{} // as below
				}
				continue
			}
			if at := d.list.find(e); at >= 0 {
				e = &d.list.entries[at]
			}
			err := d.removeFile(dirs, e, it.id)
			if errors.Is(err, fs.ErrNotExist) && !looked {
				// Another program has renamed it: look once for all.
				looked = true
				if err = d.lookAgain(ctx); err != nil {
					d.store.log.Warn("a maildrop cannot be listed", "maildrop", d.id, "err", err)
				}
			}
			if errors.Is(err, fs.ErrNotExist) || err == nil && looked {
				if at := d.list.find(chosen[i]); at >= 0 {
					err = d.removeFile(dirs, &d.list.entries[at], it.id)
				}
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				d.store.log.Warn("a removed message is still on the disk", "maildrop", d.id, "file", e.path(), "err", err)
				stayed = append(stayed, i)
				if errors.Is(err, errOther) {
					gone[it.uid] = struct{}{} // put back from a backup: the next scan learns it anew
				}
				continue
			}
			gone[it.uid] = struct{}{}
			if d.unlinked == nil {
				d.unlinked = make(map[string]struct{}, len(items))
			}
			d.unlinked[it.uid] = struct{}{}
		}
	})
	if looked {
		d.stale = true
	}
	d.setList(d.list.without(gone))
	return stayed
}

var errOther = errors.New("another file has its name")

// removeFile removes the file of a message if it is the one that was decided on.
func (d *drop) removeFile(dirs *dirs, e *entry, id identity) error {
	dir := dirs.of(e)
	info, err := dir.Stat(e.name)
	if err != nil {
		return err
	}
	if info.Type != fsx.TypeFile || id != (identity{info.Inode, info.Size}) {
		return errOther
	}
	return dir.Remove(e.name)
}

// lookAgain lists the directories while messages are being removed: those that
// are going are kept in the list, with the names that they have now.
func (d *drop) lookAgain(ctx context.Context) error {
	going := d.dec.going
	d.dec.going = nil
	err := d.scan(ctx)
	d.dec.going = going
	return err
}

// recordUnflushed is record for a store that is wrong on purpose.
func (d *drop) recordUnflushed(records ...journal.Record) error {
	if err := d.record(); err != nil {
		return err
	}
	return d.jr.Note(records...)
}

// compactAt is the size in octets from which a journal is worth compacting.
const compactAt = 64 << 10

// compactSoon compacts the journal in the background when most of it is over.
func (d *drop) compactSoon() {
	// What is going is over once the directories are flushed.
	lasting := d.dec.live() - 120*int64(len(d.dec.going))
	if d.jr.Size() < compactAt || d.jr.Size() < 4*lasting || d.store.begin() != nil {
		return
	}
	go func() {
		defer d.store.end()
		d, err := d.store.acquire(context.Background(), d.id)
		if err != nil {
			return
		}
		defer d.store.release(d)
		defer d.give()
		if d.loaded {
			d.finish(context.Background())
			d.compact()
		}
	}()
}

// compact writes the journal anew without what is over, under the lock.
func (d *drop) compact() {
	if d.broken != nil || !d.jr.Exists() || d.jr.Fenced() == nil && d.jr.Size() < 2*d.dec.live() {
		return
	}
	d.prune()
	err := d.jr.Rewrite(d.dec.records())
	d.store.counts.wrote(err)
	if err != nil {
		d.store.log.Warn("a journal cannot be compacted; tried again later", "maildrop", d.id, "err", err)
		return
	}
	d.store.counts.compactions.Add(1)
}

// prune forgets what views removed of messages that are no longer there at all,
// because another program took them away. An empty maildrop forgets nothing: its
// disk may just not be mounted.
func (d *drop) prune() {
	if len(d.list.entries) == 0 || d.stale {
		return
	}
	there := make(map[string]struct{}, len(d.list.entries))
	for i := range d.list.entries {
		there[d.list.entries[i].uid] = struct{}{}
	}
	// What is being brought back may not be listed yet.
	for uid := range d.dec.bringing {
		there[uid] = struct{}{}
	}
	for _, v := range d.dec.views {
		for uid := range v.removed {
			_, is := there[uid]
			_, going := d.dec.going[uid]
			if !is && !going {
				delete(v.removed, uid)
			}
		}
		for uid := range v.again {
			_, is := there[uid]
			_, going := d.dec.going[uid]
			if !is && !going {
				delete(v.again, uid)
			}
		}
	}
}
