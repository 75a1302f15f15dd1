// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"restante.example/internal/fsx"
)

// refresh brings the list up to date, under the lock. When nothing has
// changed it costs two stats.
func (d *drop) refresh(ctx context.Context) error {
	known := d.loaded
	if err := d.load(ctx); err != nil {
		return err
	}
	d.unlinkRefused()
	full := d.stale || d.stamps[0].racy || d.stamps[1].racy || d.store.since(d.scanned) >= rescanAfter
	if !full {
		for i, dir := range []string{"new", "cur"} {
			now, err := d.look(dir)
			if err != nil {
				return err
			}
			full = full || !now.same(d.stamps[i])
		}
	}
	if full {
		return d.scan(ctx)
	}
	if known {
		d.store.counts.unchanged.Add(1)
	}
	return d.relearn(ctx)
}

// rescanAfter is how long the recorded stamps of the directories are believed.
const rescanAfter = 10 * time.Minute

// looks is how often a maildrop is listed when another program changes it
// meanwhile.
const looks = 5

// scan lists the directories and merges what it finds into the list, under the
// lock. A name that is changed while the system lists a directory may be shown
// twice or not at all: when a message is missed and the directories have
// changed meanwhile, they are listed again.
func (d *drop) scan(ctx context.Context) error {
	d.store.counts.scans.Add(1)
	before := d.list
	for look := 1; ; look++ {
		vanished, err := d.scanOnce(ctx)
		if err != nil {
			return err
		}
		changed := false
		for i, dir := range []string{"new", "cur"} {
			now, err := d.look(dir)
			if err != nil {
				return err
			}
			changed = changed || d.stamps[i].racy || !now.same(d.stamps[i])
		}
		if !changed || vanished == 0 && !d.misses(before) {
			return d.relearn(ctx)
		}
		if look == looks {
			d.keepMissed(before)
			return d.relearn(ctx)
		}
	}
}

// keepMissed keeps what was in the list before and could not be found in a
// directory that does not come to rest: rather a message that turns out to be
// gone than one that is there and not shown.
func (d *drop) keepMissed(before *list) {
	if before == nil {
		return
	}
	entries := slices.Clone(d.list.entries)
	for i := range before.entries {
		e := &before.entries[i]
		if _, going := d.dec.going[e.uid]; !going && d.list.find(e) < 0 {
			entries = append(entries, *e)
		}
	}
	d.setList(newList(entries))
	d.stale = true
}

// misses reports whether a message of the list before is not in the list now.
func (d *drop) misses(before *list) bool {
	if before == nil || before == d.list {
		return false
	}
	if len(before.entries) > len(d.list.entries) {
		return true
	}
	for i := range before.entries {
		if d.list.find(&before.entries[i]) < 0 {
			return true
		}
	}
	return false
}

// scanOnce does the work of scan; vanished counts names that were listed and
// not there a moment later.
func (d *drop) scanOnce(ctx context.Context) (vanished int, err error) {
	var stamps [2]stamp
	var found [2][]fsx.Entry
	// new before cur: a message that another program moves meanwhile is seen
	// in one of them at least.
	for i, dir := range []string{"new", "cur"} {
		var err error
		if stamps[i], err = d.look(dir); err != nil {
			return 0, err
		}
		found[i], err = d.place.Mail.ReadDir(d.place.Maildir + "/" + dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	entries, seen, twins := d.candidates(found)
	places, twinned := d.match(entries, seen, twins)
	if err := d.learn(ctx, entries, places, d.facts); err != nil {
		d.keepFacts(entries, places)
		return 0, err
	}
	if len(twinned) > 0 {
		if err := d.settleTwins(entries, twinned); err != nil {
			return 0, err
		}
	}
	kept := entries[:0]
	var back []item
	for i := range entries {
		e := &entries[i]
		if e.uid == "" {
			vanished++
			continue
		}
		if id, going := d.dec.going[e.uid]; going {
			if _, unlinked := d.unlinked[e.uid]; !unlinked && id == e.id() {
				continue // Its file is still to go.
			}
			back = append(back, item{uid: e.uid, id: id})
		}
		d.applyOrder(e)
		kept = append(kept, *e)
	}
	d.setList(newList(kept))
	d.stamps, d.stale, d.scanned, d.facts = stamps, false, d.store.opt.Clock(), nil
	d.putBack(back)
	return vanished, nil
}

// putBack ends what was decided of removed messages that somebody has put
// back: their files have another identity, or are there again after we removed
// them. It is written down, because a new file may get the inode of the old one.
func (d *drop) putBack(back []item) {
	if len(back) == 0 {
		return
	}
	r := backRecord(back)
	for _, it := range back {
		d.dec.forget(it.uid)
		delete(d.unlinked, it.uid)
	}
	if d.broken != nil {
		return
	}
	if err := d.record(r); err != nil {
		d.store.log.Warn("that removed messages were put back cannot be written down", "maildrop", d.id, "messages", len(back), "err", err)
	}
}

// keepFacts remembers what a look that was broken off has learnt.
func (d *drop) keepFacts(entries []entry, places []int) {
	if d.facts == nil {
		d.facts = make(map[string]fact)
	}
	for _, i := range places {
		if e := &entries[i]; e.uid != "" && e.has(hasCRC) && !e.has(isOwn) && !e.has(isFresh) && !d.isDoubtful(e.uid) {
			d.facts[e.uid] = fact{id: e.id(), mtime: e.mtime, size: e.size, crc: e.crc, bits: e.bits}
		}
	}
}

// candidates makes entries of the names found; seen has the place of each base,
// and a base that was seen more than once is in twins.
func (d *drop) candidates(found [2][]fsx.Entry) (entries []entry, seen map[string]int32, twins map[string][]int) {
	entries = make([]entry, 0, len(found[0])+len(found[1]))
	seen = make(map[string]int32, cap(entries))
	for i, names := range found {
		var bits uint8
		if i == 1 {
			bits = inCur
		}
		for _, f := range names {
			if f.Name[0] == '.' || f.Type == fsx.TypeDir || f.Type == fsx.TypeOther {
				continue
			}
			if _, ours := d.pending[f.Name]; ours && i == 0 {
				// Its delivery has not been flushed and answered yet.
				continue
			}
			b := base(f.Name)
			at := len(entries)
			e := entry{uid: b, name: f.Name, bits: bits}
			if f.Type == fsx.TypeFile {
				e.bits |= isFile
			}
			entries = append(entries, e)
			if first, twice := seen[b]; twice {
				if twins == nil {
					twins = make(map[string][]int)
				}
				if twins[b] == nil {
					twins[b] = []int{int(first)}
				}
				twins[b] = append(twins[b], at)
				continue
			}
			seen[b] = int32(at)
		}
	}
	return entries, seen, twins
}

// match carries over what is known of messages that were in the list before,
// and returns the places of those that are to be learnt; twinned are the
// places of messages that share their base with another or once did.
func (d *drop) match(entries []entry, seen map[string]int32, twins map[string][]int) (places []int, twinned [][]int) {
	special := make(map[string]bool, len(twins))
	for b := range twins {
		special[b] = true
	}
	if d.list != nil {
		if len(d.dec.assigned) > 0 {
			before := make(map[string]bool, len(d.list.entries))
			for i := range d.list.entries {
				b := base(d.list.entries[i].name)
				if before[b] {
					special[b] = true
				}
				before[b] = true
			}
		}
		for i := range d.list.entries {
			old := &d.list.entries[i]
			b := base(old.name)
			at, there := seen[b]
			if !there || special[b] {
				continue
			}
			e := &entries[at]
			name, cur := e.name, e.bits&inCur
			*e = *old
			e.name, e.bits = name, e.bits&^inCur|cur
			delete(seen, b)
		}
	}
	for b, at := range seen {
		if special[b] || len(d.dec.byBase[b]) > 0 {
			group := twins[b]
			if group == nil {
				group = []int{int(at)}
			}
			twinned = append(twinned, group)
			for _, i := range group {
				entries[i].uid = hashUID(b + "/" + entries[i].name)
				places = append(places, i)
			}
			continue
		}
		entries[at].uid = uidOf(b)
		places = append(places, int(at))
	}
	slices.Sort(places)
	return places, twinned
}

// applyOrder sets the place of a message that was taken over.
func (d *drop) applyOrder(e *entry) {
	if len(d.dec.assigned) > 0 {
		e.order = d.dec.assigned[e.uid].order
	}
}

// relearn looks again at messages in doubt whose files may have been repaired
// or replaced, under the lock.
func (d *drop) relearn(ctx context.Context) error {
	doubtful := d.doubtful()
	if len(doubtful) == 0 {
		return nil
	}
	var places []int
	for i := range d.list.entries {
		e := &d.list.entries[i]
		dm, is := doubtful[e.uid]
		if !is {
			continue
		}
		delete(doubtful, e.uid)
		info, err := d.place.Mail.Stat(d.place.Maildir + "/" + e.path())
		if err != nil {
			continue
		}
		same := dm.id == identity{info.Inode, info.Size} && dm.mtime == info.ModTime
		if dm.why == hasChanged || !same || e.has(unread) {
			places = append(places, i)
		}
	}
	for uid := range doubtful {
		d.heal(&entry{uid: uid}) // It is gone.
	}
	if len(places) == 0 {
		return nil
	}
	entries := slices.Clone(d.list.entries)
	if err := d.learn(ctx, entries, places, nil); err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.uid == "" })
	d.setList(newList(entries))
	return nil
}
