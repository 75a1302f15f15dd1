// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"slices"

	"restante.example/internal/maildir/journal"
)

// settleTwins gives UIDs to messages whose names have the same base: the one
// that was known by it keeps it, any other gets one of its own, durably. Two
// names of one file are one message, seen while another program renamed it.
func (d *drop) settleTwins(entries []entry, twinned [][]int) error {
	var records []journal.Record
	for _, group := range twinned {
		var files []*entry
		for _, i := range group {
			e := &entries[i]
			if e.uid == "" {
				continue
			}
			same := slices.IndexFunc(files, func(o *entry) bool { return o.inode == e.inode && e.inode != 0 })
			if same >= 0 {
				// The later one was seen in cur, or later there.
				files[same].uid = ""
				files[same] = e
				continue
			}
			files = append(files, e)
		}
		slices.SortFunc(files, func(a, b *entry) int { return compareFiles(a, b) })
		records = append(records, d.nameTwins(files)...)
	}
	if len(records) == 0 || d.broken != nil {
		// The UID of a twin follows from its file, so it holds as long as that
		// does even where nothing can be written down.
		return nil
	}
	return d.record(records...)
}

func compareFiles(a, b *entry) int {
	switch {
	case a.mtime != b.mtime && a.mtime < b.mtime:
		return -1
	case a.mtime != b.mtime:
		return 1
	case a.inode < b.inode:
		return -1
	case a.inode > b.inode:
		return 1
	}
	return 0
}

// nameTwins sets the UIDs of files that share a base and returns what has to
// be written down of it.
func (d *drop) nameTwins(files []*entry) (records []journal.Record) {
	if len(files) == 0 {
		return nil
	}
	b := base(files[0].name)
	taken := make(map[string]bool)
	left := make(map[int]assignment)
	for i, uid := range d.dec.byBase[b] {
		left[i] = d.dec.assigned[uid]
	}
	open := make([]bool, len(files))
	// First what is exactly as it was, then what was put back with another inode.
	for _, exact := range []bool{true, false} {
		for n, e := range files {
			if e.uid == "" || open[n] {
				continue
			}
			match := -1
			for i, a := range left {
				if a.id.size == e.fsize && (a.id.inode == e.inode || !exact) {
					if match >= 0 && !exact {
						match = -2
						break
					}
					match = i
				}
			}
			if match >= 0 {
				e.uid = left[match].uid
				taken[e.uid] = true
				open[n] = true
				delete(left, match)
			}
		}
	}
	if len(files) == 1 && !open[0] && len(left) == 0 {
		files[0].uid = uidOf(b)
		return nil
	}
	for _, uid := range d.dec.byBase[b] {
		taken[uid] = true
	}
	for n, e := range files {
		if open[n] {
			continue
		}
		uid := uidOf(b)
		for salt := 0; taken[uid]; salt++ {
			uid = hashUID(string(appendItems([]byte(b), []item{{uid: stem(e.name), id: identity{e.inode, e.fsize + int64(salt)}}})))
		}
		e.uid = uid
		taken[uid] = true
		a := assignment{stem: stem(e.name), id: e.id(), uid: uid}
		d.dec.assign(a)
		records = append(records, uidRecord(a))
	}
	return records
}
