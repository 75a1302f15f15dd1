// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Hash is a SHA-256.
type Hash [32]byte

// Entry is what the journal knows of a message.
type Entry struct {
	// ID is the number of the entry, from 1 on, never used again.
	ID int64
	// Key is the message's stable key; see Message.Key.
	Key string
	// UID is the server's id as it came, or one made from the header where the
	// server has none. It may hold any octet.
	UID string
	// Announced is the size in octets that LIST gave, -1 if none.
	Announced int64
	// Size is the size in octets as retrieved, with CRLF.
	Size int64
	// Content and Header identify the message; see Message.Content.
	Content, Header Hash
	// Collected is when the message was first retrieved.
	Collected time.Time
	// Absent is since when it is not on the server, zero while it is.
	Absent time.Time
	// Gone is true after we deleted it and QUIT was answered by +OK.
	Gone bool
	// Fickle is true when the announced size changes and the message does not.
	Fickle bool
	// Partial is true when only the header was filed.
	Partial bool
	// Filings has what was filed, or was about to be, at most one a destination.
	Filings []Filing
}

// Filing says where a message went.
type Filing struct {
	// Destination is the destination's ID.
	Destination string
	// Name is what the destination called the message.
	Name string
	// Filed is false while it is not known to be there: "about to file".
	Filed bool
}

// filing returns the filing for a destination, or nil.
func (e *Entry) filing(destination string) *Filing {
	for i := range e.Filings {
		if e.Filings[i].Destination == destination {
			return &e.Filings[i]
		}
	}
	return nil
}

func (e *Entry) filedAt(destination string) bool {
	f := e.filing(destination)
	return f != nil && f.Filed
}

// setFiling notes a filing, in place of an earlier one for that destination.
func (e *Entry) setFiling(f Filing) {
	if old := e.filing(f.Destination); old != nil {
		*old = f
		return
	}
	// Copies that a journal holds share the old array.
	e.Filings = append(slices.Clip(e.Filings), f)
}

// Marks are facts about the mailbox as a whole.
type Marks struct {
	// Settled stands for a listing, destinations and policy with which there
	// was nothing left to do; zero is none.
	Settled Hash
	// Due is when there may be something to do all the same; zero is never.
	Due time.Time
	// Last are UIDs of messages that broke the connection: they come last.
	Last []string
}

// Changes are made together or not at all.
type Changes struct {
	// Put replaces or adds entries by ID.
	Put []Entry
	// Drop removes entries by ID.
	Drop []int64
	// Marks replaces the marks, unless nil.
	Marks *Marks
}

// Journal keeps the entries of one account. It is used by one Run at a time;
// whoever opens it takes care of that.
type Journal interface {
	// Marks returns the marks, without reading the entries.
	Marks(ctx context.Context) (Marks, error)
	// Entries returns all entries in the order of their IDs.
	Entries(ctx context.Context) ([]Entry, error)
	// Apply makes changes. They are durable when it returns nil. The slices in
	// them belong to the caller again on return.
	Apply(ctx context.Context, c Changes) error
}

// Memory is a Journal in memory, for tests and for programs that keep nothing.
// The zero value is empty and ready; it may be used by several goroutines.
type Memory struct {
	mu      sync.Mutex
	entries map[int64]Entry
	marks   Marks
}

// NewMemoryJournal returns an empty journal in memory: when the process ends,
// everything that is still on the server is new again.
func NewMemoryJournal() *Memory { return new(Memory) }

// Marks implements Journal.
func (m *Memory) Marks(context.Context) (Marks, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	marks := m.marks
	marks.Last = slices.Clone(marks.Last)
	return marks, nil
}

// Entries implements Journal.
func (m *Memory) Entries(context.Context) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Collect(maps.Values(m.entries))
	for i := range list {
		list[i].Filings = slices.Clone(list[i].Filings)
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// Apply implements Journal.
func (m *Memory) Apply(_ context.Context, c Changes) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = make(map[int64]Entry)
	}
	for _, e := range c.Put {
		e.Filings = slices.Clone(e.Filings)
		m.entries[e.ID] = e
	}
	for _, id := range c.Drop {
		delete(m.entries, id)
	}
	if c.Marks != nil {
		m.marks = *c.Marks
		m.marks.Last = slices.Clone(c.Marks.Last)
	}
	return nil
}
