// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

// The records of a maildrop's journal. A type with the bit ignorable may be
// passed over by a program that does not know it; any other unknown type stops
// an older program from deciding on half of the story.
const (
	recHeader   byte = 1 // version, maildrop id, token
	recView     byte = 2 // view, since: a view was added
	recDrop     byte = 3 // view, items: a view was dropped, and with it these messages
	recRemove   byte = 4 // token, view, items: the commit of a QUIT
	recWithdraw byte = 5 // view, items: these stayed after all
	recUID      byte = 6 // name, identity, UID, order
	recGoing    byte = 7 // items: no view holds them
	recDone     byte = 8 // all that was going is gone, durably
	recBack     byte = 9 // items: somebody put these back

	recAgain   byte = 10 // view, since, pairs: the view holds these again, under the UIDs given
	recSilent  byte = 11 // view, whether it is silent, items: it holds nothing back any more, and these went
	recHeld    byte = 12 // view, whether by retention, items: these are in the holding area
	recUnheld  byte = 13 // items: these have left the holding area for good
	recBring   byte = 14 // UID, file held, name, time, views: the file becomes a new message, hidden from the views
	recBrought byte = 15 // all that was being brought back is there, durably

	ignorable byte = 0x80

	journalVersion = 1
)

// identity tells a file from another with the same name.
type identity struct {
	inode uint64
	size  int64
}

// item is one message in a record.
type item struct {
	uid string
	id  identity
	// gone: no view holds it any more, so its file goes.
	gone bool
	// hold is the name under which its file goes to the holding area; empty when
	// the file is simply removed.
	hold string
	// at is when this was decided, in seconds since 1970; 0 where that is not known.
	at int64
}

// held is a message in the holding area.
type held struct {
	name string
	id   identity
	at   int64
	// view was the last that removed it, unless a rule of retention did.
	view     maildrop.View
	retained bool
}

// bring is a file of the holding area that becomes a message again.
type bring struct{ from, name string }

// pair is a message and the UID that it has in one view.
type pair struct{ uid, as string }

// assignment gives a file a UID that its name does not say.
type assignment struct {
	stem  string
	id    identity
	uid   string
	order uint32
}

// viewState is what was decided about a view.
type viewState struct {
	// since is nanoseconds since 1970; math.MinInt64 admits all.
	since int64
	// removed holds what the view removed, and when, in seconds since 1970.
	removed map[string]int64
	// again holds what the view holds whatever since says, and the UID that it
	// has there.
	again map[string]string
	// silent: it holds nothing back.
	silent bool
}

func newView(since int64) *viewState {
	return &viewState{since: since, removed: map[string]int64{}, again: map[string]string{}}
}

// decisions is what the journal of a maildrop says.
type decisions struct {
	id    maildrop.ID
	token uint64
	views map[maildrop.View]*viewState
	// going holds the messages that no view holds and whose files may still be
	// there, or be there again after a power cut.
	going map[string]identity
	// assigned holds the UIDs that were given, by UID; byBase finds them by the
	// base of the name.
	assigned map[string]assignment
	byBase   map[string][]string
	// held is the holding area, by UID; bringing is what leaves it, by new UID.
	held     map[string]held
	bringing map[string]bring
	// changes counts what may change what a view shows.
	changes int
	// unknown are records of a later version, which are kept.
	unknown []journal.Record
	// last is the latest removal, which damage behind it may have withdrawn.
	last []item
}

func newDecisions(id maildrop.ID) *decisions {
	return &decisions{id: id, going: map[string]identity{}, assigned: map[string]assignment{}, byBase: map[string][]string{},
		held: map[string]held{}, bringing: map[string]bring{},
		views: map[maildrop.View]*viewState{maildrop.Classic: newView(math.MinInt64)}}
}

// apply takes one record in.
func (d *decisions) apply(r journal.Record) error {
	d.changes++
	in := decoder{data: r.Data}
	switch r.Type {
	case recHeader:
		version := in.number()
		id := maildrop.ID(in.text())
		d.token = max(d.token, in.number())
		if in.err == nil && version != journalVersion {
			return fmt.Errorf("the journal has version %d and this program knows %d", version, journalVersion)
		}
		if in.err == nil && id != d.id {
			return fmt.Errorf("the journal is that of maildrop %q, not of %q", id, d.id)
		}
	case recView:
		view := maildrop.View(in.text())
		since := int64(in.number())
		if in.err == nil {
			d.views[view] = newView(since)
		}
	case recDrop:
		view := maildrop.View(in.text())
		items := in.items()
		if in.err == nil {
			delete(d.views, view)
			d.leave(items)
			d.keep(view, false, items)
			d.wakeLast()
		}
	case recRemove:
		token := in.number()
		view := maildrop.View(in.text())
		items := in.items()
		if in.err == nil {
			d.token = max(d.token, token)
			d.remove(view, items)
		}
	case recWithdraw:
		view := maildrop.View(in.text())
		items := in.items()
		if in.err == nil {
			d.withdraw(view, items)
		}
	case recUID:
		a := assignment{stem: in.text(), id: identity{in.number(), int64(in.number())}, uid: in.text()}
		a.order = uint32(in.number())
		if in.err == nil {
			d.assign(a)
		}
	case recGoing:
		items := in.items()
		if in.err == nil {
			d.leave(items)
			d.keep("", true, items)
		}
	case recDone:
		d.done()
	case recBack:
		for _, it := range in.items() {
			d.forget(it.uid)
		}
	case recAgain, recSilent, recHeld, recUnheld, recBring, recBrought:
		d.applyKeeping(r.Type, &in)
	default:
		if r.Type&ignorable == 0 {
			return fmt.Errorf("the journal has a record of type %d, which a newer version of this program wrote: use that one", r.Type)
		}
		d.unknown = append(d.unknown, journal.Record{Type: r.Type, Data: slices.Clone(r.Data)})
	}
	return in.err
}

// applyKeeping takes in a record of what was brought back or held.
func (d *decisions) applyKeeping(typ byte, in *decoder) {
	switch typ {
	case recAgain:
		view := maildrop.View(in.text())
		since := int64(in.number())
		pairs := in.pairs()
		if v := d.views[view]; in.err == nil && v != nil {
			v.since = min(v.since, since)
			for _, p := range pairs {
				delete(v.removed, p.uid)
				v.again[p.uid] = p.as
			}
		}
	case recSilent:
		view := maildrop.View(in.text())
		silent := in.number() != 0
		items := in.items()
		if v := d.views[view]; in.err == nil && v != nil {
			v.silent = silent
			d.leave(items)
			d.keep(view, false, items)
		}
	case recHeld:
		view := maildrop.View(in.text())
		retained := in.number() != 0
		items := in.items()
		if in.err == nil {
			d.keep(view, retained, items)
		}
	case recUnheld:
		for _, it := range in.items() {
			delete(d.held, it.uid)
		}
	case recBring:
		uid, b, at := in.text(), bring{in.text(), in.text()}, int64(in.number())
		var hide []maildrop.View
		for range min(in.number(), uint64(len(in.data))) {
			hide = append(hide, maildrop.View(in.text()))
		}
		if in.err != nil {
			return
		}
		delete(d.held, uid)
		to := uidOf(base(b.name))
		d.bringing[to] = b
		for _, name := range hide {
			if v := d.views[name]; v != nil {
				v.removed[to] = at
			}
		}
	case recBrought:
		clear(d.bringing)
	}
}

func (d *decisions) leave(items []item) {
	for _, it := range items {
		d.going[it.uid] = it.id
	}
}

// keep notes what goes to the holding area.
func (d *decisions) keep(view maildrop.View, retained bool, items []item) {
	for _, it := range items {
		if it.hold != "" {
			d.held[it.uid] = held{it.hold, it.id, it.at, view, retained}
		}
	}
}

// wakeLast lets silent views hold their mail again when no other does.
func (d *decisions) wakeLast() {
	for _, v := range d.views {
		if !v.silent {
			return
		}
	}
	for _, v := range d.views {
		v.silent = false
	}
}

// room returns m, with room for n entries if it has none.
func room[V any](m map[string]V, n int) map[string]V {
	if len(m) == 0 {
		return make(map[string]V, n)
	}
	return m
}

func (d *decisions) remove(view maildrop.View, items []item) {
	v := d.views[view]
	if v != nil {
		v.removed = room(v.removed, len(items))
	}
	d.going = room(d.going, len(items))
	for _, it := range items {
		if v != nil {
			v.removed[it.uid] = it.at
		}
		if it.gone {
			d.going[it.uid] = it.id
		}
	}
	d.keep(view, false, items)
	d.last = items
}

func (d *decisions) withdraw(view maildrop.View, items []item) {
	v := d.views[view]
	for _, it := range items {
		if v != nil {
			delete(v.removed, it.uid)
		}
		delete(d.going, it.uid)
		delete(d.held, it.uid)
	}
}

func (d *decisions) assign(a assignment) {
	if _, again := d.assigned[a.uid]; !again {
		b := base(a.stem)
		d.byBase[b] = append(d.byBase[b], a.uid)
	}
	d.assigned[a.uid] = a
}

// forget ends what was decided of a message: its file is gone for good, or
// somebody has put it back.
func (d *decisions) forget(uid string) {
	d.changes++
	delete(d.going, uid)
	for _, v := range d.views {
		delete(v.removed, uid)
		delete(v.again, uid)
	}
}

func (d *decisions) done() {
	for uid := range d.going {
		d.forget(uid)
	}
}

// distrust takes back what a part of the journal that cannot be read may have
// taken back: no file goes by it.
func (d *decisions) distrust() {
	d.done()
	for _, it := range d.last {
		d.forget(it.uid)
	}
}

// records returns the decisions as a new journal, without what is over.
func (d *decisions) records() []journal.Record {
	out := []journal.Record{d.header()}
	for _, name := range slices.Sorted(maps.Keys(d.views)) {
		v := d.views[name]
		if name != maildrop.Classic || v.since != math.MinInt64 {
			out = append(out, viewRecord(name, v.since))
		}
		if len(v.again) > 0 {
			var pairs []pair
			for _, uid := range slices.Sorted(maps.Keys(v.again)) {
				pairs = append(pairs, pair{uid, v.again[uid]})
			}
			out = append(out, againRecord(name, math.MaxInt64, pairs))
		}
		if len(v.removed) > 0 {
			var items []item
			for _, uid := range slices.Sorted(maps.Keys(v.removed)) {
				items = append(items, item{uid: uid, at: v.removed[uid]})
			}
			out = append(out, removeRecord(0, name, items))
		}
		if v.silent {
			out = append(out, silentRecord(name, true, nil))
		}
	}
	if d.views[maildrop.Classic] == nil {
		out = append(out, dropRecord(maildrop.Classic, nil))
	}
	if len(d.going) > 0 {
		var items []item
		for _, uid := range slices.Sorted(maps.Keys(d.going)) {
			items = append(items, item{uid: uid, id: d.going[uid], gone: true})
		}
		out = append(out, goingRecord(items))
	}
	for _, uid := range slices.Sorted(maps.Keys(d.assigned)) {
		out = append(out, uidRecord(d.assigned[uid]))
	}
	out = append(out, d.heldRecords()...)
	for _, uid := range slices.Sorted(maps.Keys(d.bringing)) {
		out = append(out, bringRecord("", d.bringing[uid], 0, nil))
	}
	return append(out, d.unknown...)
}

// heldRecords returns the holding area as records.
func (d *decisions) heldRecords() (out []journal.Record) {
	type of struct {
		view     maildrop.View
		retained bool
	}
	groups := map[of][]item{}
	for _, uid := range slices.Sorted(maps.Keys(d.held)) {
		h := d.held[uid]
		g := of{h.view, h.retained}
		groups[g] = append(groups[g], item{uid: uid, id: h.id, gone: true, hold: h.name, at: h.at})
	}
	byName := func(a, b of) int {
		if c := strings.Compare(string(a.view), string(b.view)); c != 0 || a.retained == b.retained {
			return c
		} else if a.retained {
			return 1
		}
		return -1
	}
	for _, g := range slices.SortedFunc(maps.Keys(groups), byName) {
		out = append(out, heldRecord(g.view, g.retained, groups[g]))
	}
	return out
}

// live estimates how many octets records would take.
func (d *decisions) live() int64 {
	n := 100 + 60*len(d.going) + 160*len(d.assigned) + 160*len(d.held) + 160*len(d.bringing)
	for _, v := range d.views {
		n += 100 + 60*len(v.removed) + 100*len(v.again)
	}
	for _, r := range d.unknown {
		n += 21 + len(r.Data)
	}
	return int64(n)
}
