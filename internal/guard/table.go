// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import "container/list"

// table keeps a bounded number of entries. One that is new stands on probation
// and becomes settled when it is used again. When the table is full, the
// oldest on probation goes, and a settled one only when few are on probation:
// so a guesser who tries a great many names once cannot flush the entry that
// slows him down. It is not for several goroutines at once.
type table[V any] struct {
	max       int
	entries   map[uint64]*list.Element
	probation *list.List // of *slot[V], the latest used first
	settled   *list.List
}

type slot[V any] struct {
	key     uint64
	settled bool
	value   V
}

func newTable[V any](limit int) *table[V] {
	return &table[V]{max: limit, entries: map[uint64]*list.Element{}, probation: list.New(), settled: list.New()}
}

// get returns the entry of a key, or nil. It is not a use.
func (t *table[V]) get(key uint64) *V {
	e, ok := t.entries[key]
	if !ok {
		return nil
	}
	return &e.Value.(*slot[V]).value
}

// use returns the entry of a key, which it makes if there is none.
func (t *table[V]) use(key uint64) *V {
	if e, ok := t.entries[key]; ok {
		s := e.Value.(*slot[V])
		if s.settled {
			t.settled.MoveToFront(e)
		} else {
			t.probation.Remove(e)
			s.settled = true
			t.entries[key] = t.settled.PushFront(s)
		}
		return &s.value
	}
	s := &slot[V]{key: key}
	t.entries[key] = t.probation.PushFront(s)
	if len(t.entries) > t.max {
		t.evict()
	}
	return &s.value
}

func (t *table[V]) evict() {
	from := t.settled
	// A quarter of the table is left to what is new.
	if from.Len() == 0 || t.probation.Len() > t.max/4 {
		from = t.probation
	}
	e := from.Back()
	from.Remove(e)
	delete(t.entries, e.Value.(*slot[V]).key)
}
