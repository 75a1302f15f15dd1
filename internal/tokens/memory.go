// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// verdict is what is known of a token.
type verdict struct {
	user  string
	err   error
	until time.Time
}

// memory remembers verdicts by a keyed hash of the token, so that no token stays
// in memory; the oldest goes when there are too many.
type memory struct {
	key [32]byte // random, of this process
	max int

	mu      sync.Mutex
	entries map[digest]*list.Element
	order   *list.List // of *remark, the latest first
}

type digest [sha256.Size]byte

type remark struct {
	digest
	verdict
}

func newMemory(limit int) *memory {
	m := &memory{max: limit, entries: make(map[digest]*list.Element), order: list.New()}
	rand.Read(m.key[:]) // never fails: crypto/rand ends the process instead
	return m
}

func (m *memory) digest(token string) (d digest) {
	h := hmac.New(sha256.New, m.key[:])
	h.Write([]byte(token))
	h.Sum(d[:0])
	return d
}

// get returns the verdict on a token, if it still holds.
func (m *memory) get(token string, now time.Time) (verdict, bool) {
	d := m.digest(token)
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.entries[d]
	if !ok {
		return verdict{}, false
	}
	r := at.Value.(*remark)
	if !now.Before(r.until) {
		m.drop(at)
		return verdict{}, false
	}
	return r.verdict, true
}

// put remembers a verdict.
func (m *memory) put(token string, v verdict) {
	d := m.digest(token)
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.entries[d]; ok {
		m.drop(at)
	}
	m.entries[d] = m.order.PushFront(&remark{d, v})
	if m.order.Len() > m.max {
		m.drop(m.order.Back())
	}
}

func (m *memory) drop(at *list.Element) {
	delete(m.entries, at.Value.(*remark).digest)
	m.order.Remove(at)
}
