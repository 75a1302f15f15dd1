// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"restante.example/maildrop"
)

// bits of an entry.
const (
	inCur   uint8 = 1 << iota // the file is in cur/, else in new/
	isOwn                     // we delivered it: its name holds its facts
	isWire                    // the file is in wire form and is read straight
	hasCRC                    // crc is known
	isUTF8                    // it came in by SMTPUTF8
	unread                    // the size is a guess: the file could not be read
	isFresh                   // learnt so soon after a change that it is not to be saved
	isFile                    // the listing says that it is a file; of an entry that is still to be learnt
)

// entry is one message. Entries are never changed once they are in a list.
type entry struct {
	uid, name string
	// time is the arrival, mtime the file's, in nanoseconds since 1970.
	time, mtime int64
	// size is the message's as POP3 sends it, fsize the file's, in octets.
	size, fsize int64
	inode       uint64
	crc         uint32
	// order is that of a message taken over from another server; 0 is behind all.
	order uint32
	bits  uint8
}

func (e *entry) has(bits uint8) bool { return e.bits&bits == bits }

func (e *entry) dir() string {
	if e.has(inCur) {
		return "cur"
	}
	return "new"
}

func (e *entry) path() string { return e.dir() + "/" + e.name }

func (e *entry) id() identity { return identity{e.inode, e.fsize} }

func (e *entry) info() maildrop.Info {
	return maildrop.Info{UID: e.uid, Size: e.size, Arrived: time.Unix(0, e.time), SMTPUTF8: e.has(isUTF8)}
}

// compare is the order of a maildrop: what was taken over first, then by the
// time in the name, then by the octets of the name.
func compare(a, b *entry) int {
	// An order of 0 becomes the greatest.
	if c := cmp.Compare(a.order-1, b.order-1); c != 0 {
		return c
	}
	if c := cmp.Compare(a.time, b.time); c != 0 {
		return c
	}
	if c := strings.Compare(base(a.name), base(b.name)); c != 0 {
		return c
	}
	return strings.Compare(a.uid, b.uid)
}

// list is the messages of a maildrop in their order. It is never changed: a
// longer one may share its memory.
type list struct {
	entries []entry
	octets  int64
}

// newList makes a list of entries, which it keeps and sorts.
func newList(entries []entry) *list {
	byOrder := func(a, b entry) int { return compare(&a, &b) }
	if !slices.IsSortedFunc(entries, byOrder) {
		slices.SortFunc(entries, byOrder)
	}
	l := &list{entries: entries}
	for i := range entries {
		l.octets += entries[i].size
	}
	return l
}

// find returns the place of the message that e was, or -1.
func (l *list) find(e *entry) int {
	i, ok := slices.BinarySearchFunc(l.entries, e, func(x entry, e *entry) int { return compare(&x, e) })
	if ok {
		return i
	}
	if parseName(e.name).time != 0 {
		return -1
	}
	// Its time was that of its file, which may have changed.
	return slices.IndexFunc(l.entries, func(x entry) bool { return x.uid == e.uid })
}

// with returns the list with one message more. Only the newest list of a
// maildrop may be asked: the memory behind its end is used.
func (l *list) with(e entry) *list {
	n := len(l.entries)
	if n == 0 || compare(&l.entries[n-1], &e) < 0 {
		return &list{append(l.entries, e), l.octets + e.size}
	}
	i, there := slices.BinarySearchFunc(l.entries, &e, func(x entry, e *entry) int { return compare(&x, e) })
	if there {
		return l
	}
	entries := make([]entry, 0, n+1+n/8)
	entries = append(append(append(entries, l.entries[:i]...), e), l.entries[i:]...)
	return &list{entries, l.octets + e.size}
}

// without returns the list without some messages.
func (l *list) without(gone map[string]struct{}) *list {
	if len(gone) == 0 {
		return l
	}
	out := &list{entries: make([]entry, 0, max(len(l.entries)-len(gone), 0))}
	for i := range l.entries {
		e := &l.entries[i]
		if _, is := gone[e.uid]; !is {
			out.entries = append(out.entries, *e)
			out.octets += e.size
		}
	}
	return out
}
