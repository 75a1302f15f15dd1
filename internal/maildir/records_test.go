// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"math"
	"reflect"
	"testing"
	"time"

	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

// someDecisions makes decisions of every kind.
func someDecisions(t testing.TB) (*decisions, []journal.Record) {
	d := newDecisions("u")
	records := []journal.Record{
		d.header(),
		viewRecord("phone", 12345), viewRecord("tablet", math.MinInt64),
		removeRecord(7, "phone", []item{{uid: "a", id: identity{1, 2}, gone: false}, {uid: "b", id: identity{3, 4}, gone: true}}),
		withdrawRecord("phone", []item{{uid: "a"}}),
		removeRecord(9, "phone", []item{{uid: "c", id: identity{5, 6}, gone: false}}),
		dropRecord(maildrop.Classic, []item{{uid: "d", id: identity{7, math.MaxInt64}, gone: true}}),
		uidRecord(assignment{"1.a,S=3", identity{8, 9}, "uid-of-its-own", 4}),
		goingRecord([]item{{uid: "e", id: identity{math.MaxUint64, 0}, gone: true}}),
		againRecord("tablet", 99, []pair{{"f", "f-again"}, {"g", "g"}}),
		removeRecord(9, "tablet", []item{{uid: "g", at: 77}, {uid: "h", id: identity{4, 5}, gone: true, hold: "h,S=5", at: 78}}),
		viewRecord("watch", 1), silentRecord("watch", true, []item{{uid: "i", id: identity{4, 6}, gone: true, hold: "i", at: 79}}),
		unheldRecord([]item{{uid: "i"}}), heldRecord("", true, []item{{uid: "j", id: identity{4, 7}, gone: true, hold: "j", at: 80}, {uid: "k", gone: true, hold: "k"}}),
		bringRecord("k", bring{"k", "2.k,S=4"}, 81, []maildrop.View{"phone"}),
		{Type: 0x80 | 5, Data: []byte("later")},
	}
	for _, r := range records {
		if err := d.apply(r); err != nil {
			t.Fatal(err)
		}
	}
	return d, records
}

// A compaction says the same in fewer words.
func TestRecordsRoundTrip(t *testing.T) {
	d, _ := someDecisions(t)
	again := newDecisions("u")
	for _, r := range d.records() {
		if err := again.apply(r); err != nil {
			t.Fatal(err)
		}
	}
	d.last, again.last, d.changes, again.changes = nil, nil, 0, 0
	if !reflect.DeepEqual(d, again) {
		t.Errorf("%+v\nbecame\n%+v", d, again)
	}
	if _, there := d.views[""]; there || d.token != 9 || len(d.going) != 5 || len(d.views["phone"].removed) != 3 || len(d.held) != 2 || len(d.bringing) != 1 {
		t.Errorf("%+v", d)
	}
	d.done()
	if len(d.going) != 0 || len(d.views["phone"].removed) != 2 {
		t.Errorf("after done: %+v", d)
	}
}

func TestForeignJournal(t *testing.T) {
	d := newDecisions("other")
	if err := d.apply(newDecisions("u").header()); err == nil {
		t.Error("the journal of another maildrop was taken")
	}
	if err := d.apply(journal.Record{Type: recHeader, Data: []byte{99, 0, 0}}); err == nil {
		t.Error("a journal of another version was taken")
	}
}

func FuzzRecord(f *testing.F) {
	_, records := someDecisions(f)
	for _, r := range records {
		f.Add(r.Type, r.Data)
	}
	f.Fuzz(func(t *testing.T, typ byte, data []byte) {
		d := newDecisions("u")
		if d.apply(journal.Record{Type: typ, Data: data}) != nil {
			return
		}
		again := newDecisions("u")
		for _, r := range d.records() {
			if err := again.apply(r); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		}
		d.last, again.last, d.changes, again.changes = nil, nil, 0, 0
		if !reflect.DeepEqual(d, again) {
			t.Fatalf("%+v\nbecame\n%+v", d, again)
		}
	})
}

func TestIndexRoundTrip(t *testing.T) {
	facts := map[string]fact{
		"a": {identity{1, 2}, 3, 4, 5, isWire | hasCRC, false},
		"b": {identity{math.MaxUint64, math.MaxInt64}, -1, math.MaxInt64, math.MaxUint32, hasCRC, true},
	}
	data := encodeIndex("u", 2, func(yield func(string, fact)) {
		for uid, f := range facts {
			yield(uid, f)
		}
	})
	got, err := decodeIndex(data, "u")
	if err != nil || !reflect.DeepEqual(got, facts) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeIndex(data, "other"); err == nil {
		t.Error("the index of another maildrop was taken")
	}
	for i := range data {
		data[i] ^= 1
		if _, err := decodeIndex(data, "u"); err == nil {
			t.Errorf("octet %d changed and not noticed", i)
		}
		data[i] ^= 1
		if _, err := decodeIndex(data[:i], "u"); err == nil {
			t.Errorf("cut at %d and not noticed", i)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(encodeIndex("u", 1, func(yield func(string, fact)) {
		yield("uid", fact{identity{1, 2}, 3, 4, 5, isWire, false})
	}))
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := decodeIndex(data, "u")
		if err != nil {
			return
		}
		again, err := decodeIndex(encodeIndex("u", len(facts), func(yield func(string, fact)) {
			for uid, f := range facts {
				yield(uid, f)
			}
		}), "u")
		if err != nil || !reflect.DeepEqual(facts, again) {
			t.Fatalf("%+v became %+v, %v", facts, again, err)
		}
	})
}

func TestSinceOf(t *testing.T) {
	at := time.Unix(1700000000, 5)
	for in, want := range map[time.Time]int64{{}: math.MinInt64, at: at.UnixNano(), time.Unix(0, 0): 0,
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): math.MaxInt64, time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC): math.MinInt64} {
		if got := sinceOf(in); got != want {
			t.Errorf("%v: %d, want %d", in, got, want)
		}
	}
}
