// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

var errRecord = errors.New("a record has a wrong form")

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

func againRecord(view maildrop.View, since int64, pairs []pair) journal.Record {
	data := binary.AppendUvarint(appendText(nil, string(view)), uint64(since))
	data = binary.AppendUvarint(data, uint64(len(pairs)))
	for _, p := range pairs {
		data = appendText(appendText(data, p.uid), p.as)
	}
	return journal.Record{Type: recAgain, Data: data}
}

func silentRecord(view maildrop.View, silent bool, items []item) journal.Record {
	return journal.Record{Type: recSilent, Data: appendItems(appendBool(appendText(nil, string(view)), silent), items)}
}

func heldRecord(view maildrop.View, retained bool, items []item) journal.Record {
	return journal.Record{Type: recHeld, Data: appendItems(appendBool(appendText(nil, string(view)), retained), items)}
}

func unheldRecord(items []item) journal.Record {
	return journal.Record{Type: recUnheld, Data: appendItems(nil, items)}
}

func goingRecord(items []item) journal.Record {
	return journal.Record{Type: recGoing, Data: appendItems(nil, items)}
}

func bringRecord(uid string, b bring, at int64, hide []maildrop.View) journal.Record {
	data := appendText(appendText(appendText(nil, uid), b.from), b.name)
	data = binary.AppendUvarint(data, uint64(at))
	data = binary.AppendUvarint(data, uint64(len(hide)))
	for _, v := range hide {
		data = appendText(data, string(v))
	}
	return journal.Record{Type: recBring, Data: data}
}

func appendBool(to []byte, yes bool) []byte {
	if yes {
		return append(to, 1)
	}
	return append(to, 0)
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
	if len(items) > 0 {
		to = slices.Grow(to, len(items)*(len(items[0].uid)+24)) // the others are as long, mostly
	}
	for _, it := range items {
		to = appendText(to, it.uid)
		to = binary.AppendUvarint(to, it.id.inode)
		to = binary.AppendUvarint(to, uint64(it.id.size))
		// 0: some view holds it still; 1: its file goes; 2: to the holding area.
		switch {
		case it.hold != "":
			to = appendText(append(to, 2), it.hold)
		default:
			to = appendBool(to, it.gone)
		}
		to = binary.AppendUvarint(to, uint64(it.at))
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
	// An item has five octets at least: no record makes us take more memory
	// than a few times its own size.
	if n > uint64(len(in.data))/5 {
		in.data, in.err = nil, errRecord
		return nil
	}
	items := make([]item, 0, n)
	for range n {
		it := item{uid: in.text(), id: identity{in.number(), int64(in.number())}}
		switch in.number() {
		case 0:
		case 2:
			it.gone, it.hold = true, in.text()
			if strings.ContainsAny(it.hold, "/\x00") || it.hold == "." || it.hold == ".." {
				in.err = errRecord
			}
		default:
			it.gone = true
		}
		it.at = int64(in.number())
		items = append(items, it)
	}
	if in.err != nil {
		return nil
	}
	return items
}

func (in *decoder) pairs() []pair {
	n := in.number()
	if n > uint64(len(in.data))/2 {
		in.data, in.err = nil, errRecord
		return nil
	}
	pairs := make([]pair, 0, n)
	for range n {
		p := pair{in.text(), in.text()}
		if !validUID(p.as) {
			in.err = errRecord
		}
		pairs = append(pairs, p)
	}
	if in.err != nil {
		return nil
	}
	return pairs
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
