// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"restante.example/maildrop"
)

// forget is how long after its last use a success is remembered, unless it has
// an end of its own.
const forget = 24 * time.Hour

// memory remembers which passwords were found right, as keyed hashes, so that
// the next poll of a mail program costs microseconds. What it remembers holds
// for one generation of a user only.
type memory struct {
	key [32]byte // random, of this process
	max int
	now func() time.Time

	mu      sync.Mutex
	entries map[digest]*list.Element
	order   *list.List // of *success, the latest used first
}

type digest [sha256.Size]byte

type success struct {
	digest     digest
	generation int64
	used       time.Time
	end        time.Time // zero where there is none
}

func newMemory(limit int, now func() time.Time) *memory {
	m := &memory{max: limit, now: now, entries: map[digest]*list.Element{}, order: list.New()}
	rand.Read(m.key[:]) // never fails: crypto/rand ends the process instead
	return m
}

// digest is the keyed hash of a maildrop and a password. The id has no NUL.
func (m *memory) digest(id maildrop.ID, password string) (d digest) {
	h := hmac.New(sha256.New, m.key[:])
	h.Write([]byte(id))
	h.Write([]byte{0})
	h.Write([]byte(password))
	h.Sum(d[:0])
	return d
}

// has reports whether the password was right for this generation.
func (m *memory) has(d digest, generation int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[d]
	if !ok {
		return false
	}
	s := e.Value.(*success)
	now := m.now()
	if s.generation != generation || now.Sub(s.used) > forget || !s.end.IsZero() && now.After(s.end) {
		m.drop(e)
		return false
	}
	s.used = now
	m.order.MoveToFront(e)
	return true
}

// put remembers a success, until its end unless that is zero; the least lately used one goes when there are too
// many.
func (m *memory) put(d digest, generation int64, end time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[d]; ok {
		m.drop(e)
	}
	m.entries[d] = m.order.PushFront(&success{digest: d, generation: generation, used: m.now(), end: end})
	if m.order.Len() > m.max {
		m.drop(m.order.Back())
	}
}

func (m *memory) drop(e *list.Element) {
	delete(m.entries, e.Value.(*success).digest)
	m.order.Remove(e)
}
