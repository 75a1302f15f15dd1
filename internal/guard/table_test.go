// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import "testing"

func TestTableIsBounded(t *testing.T) {
	table := newTable[int](100)
	for key := range uint64(1000) {
		*table.use(key) = int(key)
	}
	if len(table.entries) != 100 || table.probation.Len()+table.settled.Len() != 100 {
		t.Errorf("%d entries, %d on probation, %d settled", len(table.entries), table.probation.Len(), table.settled.Len())
	}
	if table.get(0) != nil || table.get(999) == nil || *table.get(999) != 999 {
		t.Error("it was not the oldest that went")
	}
}

func TestSettledEntriesAreNotFlushed(t *testing.T) {
	table := newTable[int](100)
	table.use(1)
	table.use(1)
	for key := range uint64(10_000) {
		table.use(1000 + key)
	}
	if table.get(1) == nil {
		t.Error("many new keys flushed one that was used twice")
	}
	// But settled ones give way to each other, and leave room for new ones.
	for key := range uint64(1000) {
		table.use(50_000 + key)
		table.use(50_000 + key)
	}
	if table.get(1) != nil || len(table.entries) != 100 {
		t.Errorf("the oldest settled key stays among %d", len(table.entries))
	}
	for key := range uint64(20) {
		table.use(90_000 + key)
	}
	for key := range uint64(20) {
		if table.get(90_000+key) == nil {
			t.Fatalf("new key %d finds no room", key)
		}
	}
}
