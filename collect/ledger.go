// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// forgetAfter is how long a message must be absent before it is forgotten.
const forgetAfter = 30 * 24 * time.Hour

// replacedUID is before the id in entries of what it named until it named another
// message.
const replacedUID = "\x00replaced:"

// ledger is the journal's content in memory, and what it means for the
// listing of one session.
type ledger struct {
	journal Journal
	marks   Marks
	entries map[int64]*Entry
	byUID   map[string][]*Entry
	nextID  int64
	moved   map[string]bool // ids that have turned out to name another message
	claimed map[int64]bool  // entries that a row of this listing stands for
	// vanished are entries that were on the server until now and that no row
	// of this listing stands for, by their content.
	vanished map[Hash][]*Entry
	// away are those that were absent before and that we have not deleted.
	away map[Hash][]*Entry
}

func openLedger(ctx context.Context, j Journal) (*ledger, error) {
	list, err := j.Entries(ctx)
	if err != nil {
		return nil, err
	}
	marks, err := j.Marks(ctx)
	if err != nil {
		return nil, err
	}
	l := &ledger{
		journal: j, marks: marks, nextID: 1,
		entries: make(map[int64]*Entry, len(list)),
		byUID:   make(map[string][]*Entry, len(list)),
		moved:   make(map[string]bool),
	}
	for i := range list {
		l.add(&list[i])
		if uid, ok := strings.CutPrefix(list[i].UID, replacedUID); ok {
			l.moved[uid] = true
		}
	}
	return l, nil
}

func (l *ledger) add(e *Entry) {
	l.entries[e.ID] = e
	l.byUID[e.UID] = append(l.byUID[e.UID], e)
	l.nextID = max(l.nextID, e.ID+1)
}

// rename gives an entry the UID under which its message is listed now.
func (l *ledger) rename(e *Entry, uid string) {
	if e.UID == uid {
		return
	}
	l.unlink(e)
	e.UID = uid
	l.byUID[uid] = append(l.byUID[uid], e)
}

func (l *ledger) unlink(e *Entry) {
	old := l.byUID[e.UID]
	kept := make([]*Entry, 0, len(old))
	for _, o := range old {
		if o != e {
			kept = append(kept, o)
		}
	}
	if len(kept) == 0 {
		delete(l.byUID, e.UID)
		return
	}
	l.byUID[e.UID] = kept
}

// put writes entries down, durably on return. As long as anything is under
// way, no listing counts as settled.
func (l *ledger) put(ctx context.Context, entries ...*Entry) error {
	c := Changes{Put: make([]Entry, len(entries))}
	for i, e := range entries {
		c.Put[i] = *e
	}
	return l.apply(ctx, c)
}

func (l *ledger) apply(ctx context.Context, c Changes) error {
	if l.marks.Settled != (Hash{}) {
		l.marks.Settled = Hash{}
		c.Marks = &l.marks
	}
	if len(c.Put) == 0 && len(c.Drop) == 0 && c.Marks == nil {
		return nil
	}
	return l.journal.Apply(ctx, c)
}

// pending returns the entries with a filing for the destination whose end is
// not known.
func (l *ledger) pending(destination string) []*Entry {
	var list []*Entry
	for _, e := range l.entries {
		if f := e.filing(destination); f != nil && !f.Filed {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *Entry) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// row is a message in the listing of a session.
type row struct {
	number    int
	uid       string // empty until the header is known, where there is no UIDL
	announced int64
	entry     *Entry // what the journal has of it, or nil

	key       rowKey
	retrieved bool // the content, or some of it, was retrieved in this session
	verified  bool // the content was seen in this session and is the entry's
	unlisted  bool // in neither listing
	absent    bool // unlisted, and refused: it is not there at all
	header    bool // only the header is to be retrieved
	skipped   bool // too large to be collected
	upgrade   bool // the entry has the header only, and now comes the rest
	need      []*target
}

// rowKey names a row over the sessions of a run: by its id and which of those
// with that id it is, or by its number where it had no id.
type rowKey struct {
	uid string
	nth int
}

// match finds the entry of each row: the same UID and, as far as both are
// known, the same announced size. What it does not find has to be looked at.
func (l *ledger) match(rows []*row) {
	l.claimed = make(map[int64]bool, len(rows))
	nameless := false
	for _, r := range rows {
		nameless = nameless || r.uid == ""
		for _, e := range l.byUID[r.uid] {
			if r.uid != "" && !l.claimed[e.ID] && (e.Announced == r.announced || e.Announced < 0 || r.announced < 0 || e.Fickle) {
				l.claim(r, e)
				break
			}
		}
	}
	l.vanished, l.away = make(map[Hash][]*Entry), make(map[Hash][]*Entry)
	for _, e := range l.entries {
		switch {
		// Where rows have no id yet, an id made from a header cannot be missed.
		case l.claimed[e.ID], e.Gone, nameless && isHeaderUID(e.UID):
		case e.Absent.IsZero():
			l.vanished[e.Content] = append(l.vanished[e.Content], e)
		default:
			l.away[e.Content] = append(l.away[e.Content], e)
		}
	}
	for _, m := range []map[Hash][]*Entry{l.vanished, l.away} {
		for _, list := range m {
			slices.SortFunc(list, func(a, b *Entry) int { return cmp.Compare(a.ID, b.ID) })
		}
	}
}

// unclaim takes its entry from a row whose id turned out to name another
// message: ids have moved, and the entry may be found by its content.
func (l *ledger) unclaim(r *row) {
	e := r.entry
	r.entry = nil
	delete(l.claimed, e.ID)
	l.vanished[e.Content] = append(l.vanished[e.Content], e)
}

func (l *ledger) claim(r *row, e *Entry) {
	l.claimed[e.ID] = true
	r.entry = e
}

// octets is how large a message is, as far as that is known: LIST may say
// anything, and then sums must not overflow.
func (r *row) octets() int64 {
	if r.entry != nil {
		return r.entry.Size
	}
	return min(max(r.announced, 0), 1<<40)
}

// recognise finds the entry of a row that had none and whose content has been
// retrieved: one with the same UID whose announced size has changed, or one
// that was on the server until now under an id that has vanished, or that
// names another message. An id that has done so may have named another one for
// long, so for its row what was absent before counts too.
//
// Content alone does not count: twins are two messages, and so is mail that
// was put back.
func (l *ledger) recognise(r *row, content Hash, partial bool) *Entry {
	for _, e := range l.byUID[r.uid] {
		if !l.claimed[e.ID] && e.Content == content && e.Partial == partial {
			e.Fickle = e.Fickle || e.Announced != r.announced && e.Announced >= 0 && r.announced >= 0
			e.Announced = r.announced
			l.claim(r, e)
			return e
		}
	}
	missed := l.vanished[content]
	if l.moved[r.uid] {
		missed = append(slices.Clip(missed), l.away[content]...)
	}
	for _, e := range missed {
		if !l.claimed[e.ID] && e.Partial == partial {
			l.rename(e, r.uid)
			e.Announced = r.announced
			l.claim(r, e)
			return e
		}
	}
	return nil
}

// create makes the entry of a message that is new.
func (l *ledger) create(account string, r *row, content, header Hash, octets int64, partial bool, now time.Time) *Entry {
	e := &Entry{
		ID: l.nextID, UID: r.uid, Announced: r.announced, Size: octets, Content: content, Header: header,
		Collected: now, Partial: partial,
	}
	nth := 0
	for _, o := range l.byUID[r.uid] {
		if o.Content == content {
			nth++
		}
	}
	for taken := true; taken; nth++ {
		e.Key = messageKey(account, r.uid, content, nth)
		taken = slices.ContainsFunc(l.byUID[r.uid], func(o *Entry) bool { return o.Key == e.Key })
	}
	l.add(e)
	l.claim(r, e)
	return e
}

// replaced notes that an id now names another message than the entry's.
func (l *ledger) replaced(e *Entry, now time.Time) {
	l.moved[e.UID] = true
	l.rename(e, replacedUID+e.UID)
	e.Absent = now
}

// absent brings up to date what is on the server and what is not, and forgets
// what has been away long enough. It returns when it has to be asked again.
//
// A row that should be collected and has no entry may be any message that
// vanished, under another id. What was deleted is known again under its own id
// only, so that goes on to be forgotten, unless there are rows without ids.
func (l *ledger) absent(now time.Time, rows []*row) (c Changes, due time.Time) {
	unknown := make(map[string]bool) // ids of rows without an entry
	moved, nameless := false, false
	for _, r := range rows {
		if r.entry == nil && !r.absent {
			unknown[r.uid] = true
			moved = moved || !r.skipped
			nameless = nameless || !r.skipped && (r.uid == "" || isHeaderUID(r.uid))
		}
	}
	for id, e := range l.entries {
		switch {
		case l.claimed[id], e.Gone && unknown[e.UID]:
			if e.Absent.IsZero() {
				continue
			}
			e.Absent = time.Time{}
		case moved && !e.Gone, nameless:
			continue
		case e.Absent.IsZero():
			e.Absent = now
		case now.Sub(e.Absent) >= forgetAfter:
			c.Drop = append(c.Drop, id)
			l.drop(e)
			continue
		default:
			due = earlier(due, e.Absent.Add(forgetAfter))
			continue
		}
		if !e.Absent.IsZero() {
			due = earlier(due, e.Absent.Add(forgetAfter))
		}
		c.Put = append(c.Put, *e)
	}
	return c, due
}

func (l *ledger) drop(e *Entry) {
	delete(l.entries, e.ID)
	l.unlink(e)
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
