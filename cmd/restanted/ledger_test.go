// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

// sum names a message by its content, as POP3 gives it.
type sum = [sha256.Size]byte

// ledger is what the clients of the kill test know to be true of one user's
// mail, and notes where the server breaks its promise.
type ledger struct {
	user string

	mu       sync.Mutex
	tried    map[sum]bool   // was sent to the server, or will be
	accepted map[sum]bool   // the server said 250
	leaving  map[sum]bool   // a QUIT asked for its removal and was not answered
	removed  map[sum]bool   // QUIT was answered +OK
	uids     map[string]sum // what each UID has ever named
	broken   []string
}

func newLedger(user string) *ledger {
	return &ledger{user: user, tried: map[sum]bool{}, accepted: map[sum]bool{}, leaving: map[sum]bool{},
		removed: map[sum]bool{}, uids: map[string]sum{}}
}

func (l *ledger) note(where map[sum]bool, s sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	where[s] = true
}

func (l *ledger) violation(format string, args ...any) {
	l.broken = append(l.broken, l.user+": "+fmt.Sprintf(format, args...))
}

// seen is told of each message that was retrieved whole.
func (l *ledger) seen(uid string, s sum, announced, octets int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if announced != octets {
		l.violation("message %s has %d octets, LIST said %d", uid, octets, announced)
	}
	if !l.tried[s] {
		l.violation("message %s is nothing that was ever sent: %x", uid, s[:4])
	}
	if l.removed[s] {
		l.violation("message %s has risen: its removal was confirmed", uid)
	}
	if before, known := l.uids[uid]; known && before != s {
		l.violation("UID %s has named %x and names %x", uid, before[:4], s[:4])
	}
	l.uids[uid] = s
}

// asked is told what a QUIT asks to remove, and answered how that went.
func (l *ledger) asked(list []sum) {
	for _, s := range list {
		l.note(l.leaving, s)
	}
}

func (l *ledger) answered(list []sum, ok bool) {
	for _, s := range list {
		if ok {
			l.note(l.removed, s)
		}
	}
}

// audit compares all that the server has with all that it must have.
func (l *ledger) audit(have []sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := map[sum]int{}
	for _, s := range have {
		if count[s]++; count[s] == 2 {
			l.violation("message %x is there twice", s[:4])
		}
	}
	for s := range l.accepted {
		if count[s] == 0 && !l.leaving[s] {
			l.violation("message %x was accepted and is lost", s[:4])
		}
	}
}

// facts returns how many messages were accepted and removed, and all that is wrong.
func (l *ledger) facts() (accepted, removed int, broken []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted), len(l.removed), append([]string(nil), l.broken...)
}
