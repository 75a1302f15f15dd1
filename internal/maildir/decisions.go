// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

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
}

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
	since   int64
	removed map[string]struct{}
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
	// unknown are records of a later version, which are kept.
	unknown []journal.Record
	// last is the latest removal, which damage behind it may have withdrawn.
	last []item
}

func newDecisions(id maildrop.ID) *decisions {
	return &decisions{id: id, going: map[string]identity{}, assigned: map[string]assignment{}, byBase: map[string][]string{}, views: map[maildrop.View]*viewState{
		maildrop.Classic: {since: math.MinInt64, removed: map[string]struct{}{}},
	}}
}

var errRecord = errors.New("a record has a wrong form")

// apply takes one record in.
func (d *decisions) apply(r journal.Record) error {
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
			d.views[view] = &viewState{since: since, removed: map[string]struct{}{}}
		}
	case recDrop:
		view := maildrop.View(in.text())
		items := in.items()
		if in.err == nil {
			delete(d.views, view)
			d.leave(items)
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
		}
	case recDone:
		d.done()
	case recBack:
		for _, it := range in.items() {
			d.forget(it.uid)
		}
	default:
		if r.Type&ignorable == 0 {
			return fmt.Errorf("the journal has a record of type %d, which a newer version of this program wrote: use that one", r.Type)
		}
		d.unknown = append(d.unknown, journal.Record{Type: r.Type, Data: slices.Clone(r.Data)})
	}
	return in.err
}

func (d *decisions) leave(items []item) {
	for _, it := range items {
		d.going[it.uid] = it.id
	}
}

func (d *decisions) remove(view maildrop.View, items []item) {
	v := d.views[view]
	for _, it := range items {
		if v != nil {
			v.removed[it.uid] = struct{}{}
		}
		if it.gone {
			d.going[it.uid] = it.id
		}
	}
	d.last = items
}

func (d *decisions) withdraw(view maildrop.View, items []item) {
	v := d.views[view]
	for _, it := range items {
		if v != nil {
			delete(v.removed, it.uid)
		}
		delete(d.going, it.uid)
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
	delete(d.going, uid)
	for _, v := range d.views {
		delete(v.removed, uid)
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
		if len(v.removed) > 0 {
			var items []item
			for _, uid := range slices.Sorted(maps.Keys(v.removed)) {
				items = append(items, item{uid: uid})
			}
			out = append(out, removeRecord(0, name, items))
		}
	}
	if d.views[maildrop.Classic] == nil {
		out = append(out, dropRecord(maildrop.Classic, nil))
	}
	if len(d.going) > 0 {
		var items []item
		for _, uid := range slices.Sorted(maps.Keys(d.going)) {
			items = append(items, item{uid, d.going[uid], true})
		}
		out = append(out, journal.Record{Type: recGoing, Data: appendItems(nil, items)})
	}
	for _, uid := range slices.Sorted(maps.Keys(d.assigned)) {
		out = append(out, uidRecord(d.assigned[uid]))
	}
	return append(out, d.unknown...)
}

// live estimates how many octets records would take.
func (d *decisions) live() int64 {
	n := 100 + 60*len(d.going) + 160*len(d.assigned)
	for _, v := range d.views {
		n += 100 + 60*len(v.removed)
	}
	for _, r := range d.unknown {
		n += 21 + len(r.Data)
	}
	return int64(n)
}

func (d *decisions) header() journal.Record {
	data := binary.AppendUvarint(nil, journalVersion)
	data = appendText(data, string(d.id))
	return journal.Record{Type: recHeader, Data: binary.AppendUvarint(data, d.token)}
}

func viewRecord(view maildrop.View, since int64) journal.Record {
	return journal.Record{Type: recView, Data: binary.AppendUvarint(appendText(nil, string(view)), uint64(since))}
}

func dropRecord(view maildrop.View, items []item) journal.Record {
	return journal.Record{Type: recDrop, Data: appendItems(appendText(nil, string(view)), items)}
}

func removeRecord(token uint64, view maildrop.View, items []item) journal.Record {
	data := appendText(binary.AppendUvarint(nil, token), string(view))
	return journal.Record{Type: recRemove, Data: appendItems(data, items)}
}

func withdrawRecord(view maildrop.View, items []item) journal.Record {
	return journal.Record{Type: recWithdraw, Data: appendItems(appendText(nil, string(view)), items)}
}

func backRecord(items []item) journal.Record {
	return journal.Record{Type: recBack, Data: appendItems(nil, items)}
}

func uidRecord(a assignment) journal.Record {
	data := appendText(nil, a.stem)
	data = binary.AppendUvarint(data, a.id.inode)
	data = binary.AppendUvarint(data, uint64(a.id.size))
	data = appendText(data, a.uid)
	return journal.Record{Type: recUID, Data: binary.AppendUvarint(data, uint64(a.order))}
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

func appendItems(to []byte, items []item) []byte {
	to = binary.AppendUvarint(to, uint64(len(items)))
	for _, it := range items {
		to = appendText(to, it.uid)
		to = binary.AppendUvarint(to, it.id.inode)
		to = binary.AppendUvarint(to, uint64(it.id.size))
		gone := byte(0)
		if it.gone {
			gone = 1
		}
		to = append(to, gone)
	}
	return to
}

// decoder reads the parts of a record; after the first error it gives zeros.
type decoder struct {
	data []byte
	err  error
}

func (in *decoder) number() uint64 {
	n, length := binary.Uvarint(in.data)
	if length <= 0 {
		in.data, in.err = nil, errRecord
		return 0
	}
	in.data = in.data[length:]
	return n
}

func (in *decoder) text() string {
	n := in.number()
	if n > uint64(len(in.data)) {
		in.data, in.err = nil, errRecord
		return ""
	}
	s := string(in.data[:n])
	in.data = in.data[n:]
	return s
}

func (in *decoder) items() []item {
	n := in.number()
	// An item has four octets at least: no record makes us take more memory
	// than a few times its own size.
	if n > uint64(len(in.data))/4 {
		in.data, in.err = nil, errRecord
		return nil
	}
	items := make([]item, 0, n)
	for range n {
		it := item{uid: in.text(), id: identity{in.number(), int64(in.number())}}
		it.gone = in.number() != 0
		items = append(items, it)
	}
	if in.err != nil {
		return nil
	}
	return items
}

// sinceOf returns the time of a view in nanoseconds.
func sinceOf(t time.Time) int64 {
	switch {
	case t.IsZero() || t.Year() < 1700:
		return math.MinInt64
	case t.Year() > 2200:
		return math.MaxInt64
	}
	return t.UnixNano()
}
