// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

var (
	_ maildrop.Undeleter = (*Store)(nil)
	_ maildrop.Keeper    = (*Store)(nil)
)

// removal is one that can be undone.
type removal struct {
	maildrop.Removal
	uid string // in all views
}

// Removed implements maildrop.Undeleter.
func (s *Store) Removed(ctx context.Context, id maildrop.ID, sel maildrop.Selection) (list []maildrop.Removal, err error) {
	err = s.with(ctx, id, func(d *drop) error {
		found, err := d.removed(sel)
		for _, r := range found {
			list = append(list, r.Removal)
		}
		return err
	})
	return list, err
}

// removed lists what can be brought back, under the lock.
func (d *drop) removed(sel maildrop.Selection) (list []removal, err error) {
	if d.broken != nil {
		return nil, d.broken
	}
	if sel.View != nil {
		if _, err := d.view(*sel.View); err != nil {
			return nil, err
		}
	}
	since := int64(math.MinInt64)
	if !sel.Since.IsZero() {
		since = sel.Since.Unix()
	}
	for uid, h := range d.dec.held {
		if h.at < since || sel.UID != "" && sel.UID != uid {
			continue
		}
		info, err := d.place.State.Stat(d.heldDir() + "/" + h.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r := removal{maildrop.Removal{UID: uid, View: h.view, Retained: h.retained, At: time.Unix(h.at, 0), Held: true, Size: info.Size}, uid}
		if name := parseName(h.name); name.time != 0 {
			r.Arrived = time.Unix(0, name.time)
		} else {
			r.Arrived = time.Unix(0, info.ModTime)
		}
		list = append(list, r)
	}
	for name, v := range d.dec.views {
		if sel.View != nil && *sel.View != name || len(v.removed) == 0 {
			continue
		}
		for i := range d.list.entries {
			e := &d.list.entries[i]
			at, removed := v.removed[e.uid]
			if !removed || at < since || sel.UID != "" && sel.UID != e.uid && sel.UID != v.uid(e) {
				continue
			}
			list = append(list, removal{maildrop.Removal{UID: v.uid(e), View: name, At: time.Unix(at, 0),
				Arrived: time.Unix(0, e.time), Size: e.size}, e.uid})
		}
	}
	slices.SortFunc(list, func(a, b removal) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.UID, b.UID), strings.Compare(string(a.View), string(b.View)))
	})
	return list, nil
}

// Undelete implements maildrop.Undeleter.
func (s *Store) Undelete(ctx context.Context, id maildrop.ID, sel maildrop.Selection) (list []maildrop.Removal, err error) {
	err = s.with(ctx, id, func(d *drop) error {
		found, err := d.removed(sel)
		if err != nil || len(found) == 0 {
			return err
		}
		records, err := d.undeletion(found, sel)
		if err != nil {
			return err
		}
		write := d.record
		if d.store.faults.bringUnsaved {
			write = d.recordUnflushed
		}
		if err := d.decideBy(write, records); err != nil {
			return fmt.Errorf("maildir: nothing was brought back: %w", err)
		}
		err = d.carry(ctx, false)
		for i := range found {
			r := &found[i]
			if _, waits := d.dec.bringing[r.NewUID]; !waits {
				list = append(list, r.Removal)
			}
		}
		d.noteUndeleted(found)
		d.compactSoon()
		return err
	})
	return list, err
}

// undeletion makes the records that bring messages back, and sets their UIDs.
func (d *drop) undeletion(found []removal, sel maildrop.Selection) (records []journal.Record, err error) {
	pairs := make(map[maildrop.View][]pair)
	now := d.store.opt.Clock()
	for i := range found {
		r := &found[i]
		if !r.Held {
			if r.NewUID, err = d.uidAgain(r.View, r.uid); err != nil {
				return nil, err
			}
			pairs[r.View] = append(pairs[r.View], pair{r.uid, r.NewUID})
			continue
		}
		random, err := d.store.random()
		if err != nil {
			return nil, err
		}
		b := d.store.names.next(now, random)
		h := d.dec.held[r.uid]
		name := fmt.Sprintf("%s,S=%d", b, r.Size)
		if was := parseName(h.name); was.own {
			name = fullName(b, was.w, was.crc, was.utf8)
		}
		r.NewUID = uidOf(b)
		var hide []maildrop.View
		for view, v := range d.dec.views {
			if sel.View != nil && *sel.View != view {
				hide = append(hide, view)
			} else if v.since > parseName(name).time {
				pairs[view] = append(pairs[view], pair{r.NewUID, r.NewUID})
			}
		}
		slices.Sort(hide)
		records = append(records, bringRecord(r.uid, bring{h.name, name}, now.Unix(), hide))
	}
	for view, p := range pairs {
		records = append(records, againRecord(view, math.MaxInt64, p))
	}
	return records, nil
}

// carry makes messages of the files that are being brought back: a name in new,
// flushed, then none in the holding area any more. After a crash, again says
// that some may have got their names already, and others have moved them since.
func (d *drop) carry(ctx context.Context, again bool) error {
	if len(d.dec.bringing) == 0 {
		return nil
	}
	if err := d.makeDirs(); err != nil {
		return err
	}
	there := make(map[string]bool)
	if again {
		for _, dir := range []string{"new", "cur"} {
			names, err := d.place.Mail.ReadDir(d.place.Maildir + "/" + dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			for _, n := range names {
				there[base(n.Name)] = true
			}
		}
	}
	d.stale = true
	for _, b := range d.dec.bringing {
		if there[base(b.name)] {
			continue
		}
		if err := d.carryFile(b); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("maildir: a message is not back yet; it is tried again later: %w", noSpace(err))
		}
	}
	if err := d.syncDirs(); err != nil {
		return err
	}
	for _, b := range d.dec.bringing {
		if err := d.place.State.Remove(d.heldDir() + "/" + b.from); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	done := journal.Record{Type: recBrought}
	err := d.dec.apply(done)
	if err == nil {
		err = d.mend()
	}
	if err == nil && d.jr.Exists() {
		err = d.jr.Note(done)
	}
	if err != nil {
		d.store.log.Warn("the journal cannot be written; tried again later", "maildrop", d.id, "err", err)
	}
	return d.scan(ctx)
}

// carryFile gives a file of the holding area its name in new.
func (d *drop) carryFile(b bring) error {
	from, to := d.heldDir()+"/"+b.from, d.place.Maildir+"/new/"+b.name
	err := errDifferent
	if d.place.Mail == d.place.State {
		err = d.place.Mail.Link(from, to)
	}
	if err == errDifferent || fsx.IsNoLink(err) {
		// Whole and flushed in tmp first: what is in new is a message at once.
		temp := d.place.Maildir + "/tmp/" + base(b.name)
		if err = d.copy(d.place.State, from, d.place.Mail, temp); err == nil {
			err = d.place.Mail.Rename(temp, to)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
