// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"errors"
	"io/fs"
	"time"
)

// stamp is what stat says of a directory: as long as it stays the same, so do
// the names in it.
type stamp struct {
	there        bool
	mtime, ctime int64
	inode        uint64
	// racy: the directory had been changed in the tick of the clock in which it
	// was looked at, so that a later change in that tick could not be told.
	racy bool
}

func (s stamp) same(now stamp) bool {
	return s.there == now.there && s.mtime == now.mtime && s.ctime == now.ctime && s.inode == now.inode
}

// tick is how coarse the time of a file may be on a system that keeps
// fractions of a second; where it keeps none, coarseTick counts.
const (
	tick       = 50 * time.Millisecond
	coarseTick = 2100 * time.Millisecond
)

// fresh reports whether a change at mtime may be followed by another that
// leaves the same time.
func (d *drop) fresh(mtime int64) bool {
	width := tick
	if mtime%int64(time.Second) == 0 {
		width = coarseTick
	}
	return d.place.Mail.Now().UnixNano()-mtime < int64(width)
}

// look takes the stamp of new or cur.
func (d *drop) look(dir string) (stamp, error) {
	info, err := d.place.Mail.Stat(d.place.Maildir + "/" + dir)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, err
	}
	return stamp{there: true, mtime: info.ModTime, ctime: info.ChangeTime, inode: info.Inode, racy: d.fresh(info.ModTime)}, nil
}

// change makes a change of our own to new and cur, under the lock. When the
// directories were as recorded before it, they are recorded after it, so that
// the next session need not list them.
func (d *drop) change(do func()) {
	if !d.loaded {
		do()
		return
	}
	var before [2]stamp
	known := true
	for i, dir := range []string{"new", "cur"} {
		var err error
		if before[i], err = d.look(dir); err != nil || !before[i].same(d.stamps[i]) {
			known = false
		}
	}
	do()
	if !known {
		d.stamps = [2]stamp{}
		d.stale = true
		return
	}
	for i, dir := range []string{"new", "cur"} {
		after, err := d.look(dir)
		if err != nil {
			d.stale = true
			return
		}
		if !after.same(d.stamps[i]) {
			// Ours was the change; a foreign one in the same tick is found by
			// the full scan every ten minutes.
			after.racy = d.stamps[i].racy
			d.stamps[i] = after
		}
	}
}
