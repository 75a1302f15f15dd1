// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"crypto/sha256"
	"sync"
)

// sum names a message by its content, as POP3 gives it.
type sum = [sha256.Size]byte

// fate is what the clients know of a message.
type fate struct {
	accepted bool // the server said 250
	refused  bool // the server said that it did not take it
	excused  bool // it was refused while system calls failed
	leaving  bool // a QUIT asked for its removal, and nobody knows how that went
	stayed   bool // it was listed after such a QUIT
	removed  bool // a QUIT with it was answered +OK
	seen     bool // it was retrieved whole
}

// ledger is what the clients know to be true of one user's mail. It notes where
// the server breaks its promise. Sessions of a user come one after the other.
type ledger struct {
	user   string
	broken func(format string, args ...any)

	mu    sync.Mutex
	mail  map[sum]*fate // all that was ever sent, or will be
	uids  map[string]sum
	size  map[sum]int
	held  int // octets that were accepted and that no QUIT asked to remove
	count int // the same in messages
	blind int // removals of messages that nobody had retrieved
	twice int // refused, excused, and there all the same: it will come twice
}

func newLedger(user string, broken func(format string, args ...any)) *ledger {
	return &ledger{user: user, mail: map[sum]*fate{}, uids: map[string]sum{}, size: map[sum]int{},
		broken: func(format string, args ...any) { broken(user+": "+format, args...) }}
}

// sending is told of a message before it is sent.
func (l *ledger) sending(s sum, octets int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mail[s], l.size[s] = &fate{}, octets
}

// answered is told of the reply to a delivery. A refusal is excused while system
// calls fail: what fails may be the removal of what was not accepted.
func (l *ledger) answered(s sum, accepted, excused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.mail[s]
	f.accepted, f.refused, f.excused = accepted, !accepted, excused
	if accepted {
		l.hold(s, 1)
	} else if f.seen {
		l.unasked("", s, f)
	}
}

// hold counts what is in the maildrop as far as anybody knows.
func (l *ledger) hold(s sum, n int) {
	l.count += n
	l.held += n * l.size[s]
}

// unasked is called for what was refused and is there. A sender tries again, so
// it will be there twice.
func (l *ledger) unasked(uid string, s sum, f *fate) {
	if f.excused {
		l.twice++
		return
	}
	l.broken("message %s was refused and is there all the same: %x", uid, s[:4])
}

// full is true while no more mail should be sent.
func (l *ledger) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count > 150 || l.held > 10<<20
}

// must returns what has to be there when a session begins now.
func (l *ledger) must() map[sum]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := map[sum]bool{}
	for s, f := range l.mail {
		if f.accepted && !f.leaving && !f.removed {
			list[s] = true
		}
	}
	return list
}

// retrieved is told of each message that was retrieved whole.
func (l *ledger) retrieved(uid string, s sum, announced, octets int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if announced >= 0 && announced != octets {
		l.broken("message %s has %d octets, LIST said %d", uid, octets, announced)
	}
	f := l.mail[s]
	if f == nil {
		l.broken("message %s of %d octets is nothing that was ever sent: %x", uid, octets, s[:4])
		return
	}
	if f.refused && !f.seen {
		l.unasked(uid, s, f)
	}
	f.seen = true
	l.present(uid, s, f)
}

// listed is told of each row of UIDL, and returns what it names, if that is known.
func (l *ledger) listed(uid string) (s sum, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, known = l.uids[uid]; known {
		l.present(uid, s, l.mail[s])
	}
	return s, known
}

// present is called for what is shown to be in the maildrop.
func (l *ledger) present(uid string, s sum, f *fate) {
	if f.removed {
		l.broken("message %s has risen: its removal was confirmed", uid)
	}
	// The session that asked is over, so the removal did not come about, and it
	// must not come about later.
	if f.leaving {
		f.stayed, f.leaving = true, false
		l.hold(s, 1)
	}
	if uid == "" {
		return
	}
	if before, known := l.uids[uid]; known && before != s {
		l.broken("UID %s has named %x and names %x", uid, before[:4], s[:4])
	}
	l.uids[uid] = s
}

// asked is told, before QUIT is sent, what it would remove.
func (l *ledger) asked(list []sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range list {
		if f := l.mail[s]; f != nil && !f.leaving {
			f.leaving = true
			l.hold(s, -1)
		}
	}
}

// gone is told what a QUIT that was answered +OK has removed.
func (l *ledger) gone(list []sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range list {
		if f := l.mail[s]; f != nil {
			f.removed = true
		}
	}
}

// askedBlindly is told of a removal of something that nobody has retrieved.
func (l *ledger) askedBlindly() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blind++
}

// audit compares a whole listing with what must be there.
func (l *ledger) audit(have []sum, must map[sum]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := map[sum]int{}
	for _, s := range have {
		if count[s]++; count[s] == 2 {
			l.broken("message %x is there twice", s[:4])
		}
	}
	missing := 0
	for s := range must {
		if count[s] == 0 {
			if missing++; missing <= l.blind {
				continue
			}
			if l.mail[s].stayed {
				l.broken("message %x was listed after a QUIT that was not answered +OK, and went later", s[:4])
			} else {
				l.broken("message %x of %d octets was accepted and is lost", s[:4], l.size[s])
			}
			l.mail[s].removed = true // said once
		}
	}
}

// totals are the figures of the report.
type totals struct{ sent, accepted, refused, unanswered, seen, removed, leaving, blind, twice int }

func (l *ledger) totals() (t totals) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.sent, t.blind, t.twice = len(l.mail), l.blind, l.twice
	for _, f := range l.mail {
		for _, c := range []struct {
			is bool
			to *int
		}{{f.accepted, &t.accepted}, {f.refused, &t.refused}, {!f.accepted && !f.refused, &t.unanswered}, {f.seen, &t.seen},
			{f.removed, &t.removed}, {f.leaving && !f.removed, &t.leaving}} {
			if c.is {
				*c.to++
			}
		}
	}
	return t
}
