// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package guard slows guessers down.
//
// After a failure, the next try from the same address or for the same account
// has to wait: 1 second, doubling up to 15; a network (/24, or /48 of IPv6) has
// to wait after many failures, and less. While a try that had to wait is
// under way, no other of the same address, network or account begins, so that
// many connections guess no faster than one.
//
// A success takes nothing back, or a guesser with an account of his own could
// clean his slate. Instead the account is known at that address, and in that
// network, from then on, and who is known does not wait: whoever hammers an
// account from elsewhere, or other accounts from behind the same address
// translation, does not lock its owner out. Who is known has a few tries
// without success, and then waits like everybody.
package guard

import (
	"context"
	"errors"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// ErrTooMany is what Before returns when a try would wait for too long, since
// others are guessing at the same place. It says nothing about credentials.
var ErrTooMany = errors.New("guard: too many failed sign-ins; try again later")

// Options changes what a guard does; the zero value is fine.
type Options struct {
	// Account brings a name as a client wrote it into the form in which the
	// directory knows it, so that u1, U1 and u1@example.org share one budget;
	// nil folds ASCII letter case.
	Account func(name string) string
	// ExemptLoopback lets tries from this machine pass without a budget for the
	// address; that for the account is kept.
	ExemptLoopback bool
	// MaxWait is how long a try waits at most before it is answered ErrTooMany,
	// 0 for 20 seconds. It should be more than the longest delay, 15 seconds.
	MaxWait time.Duration
	// Entries is how many addresses, networks, accounts and known pairs are
	// each kept in memory, 0 for 65,536; an entry takes about 250 octets.
	Entries int
}

const (
	// forget is how long after its last failure something has a clean slate.
	forget = 15 * time.Minute
	// known is how long after its last success a pair is known.
	known = 30 * 24 * time.Hour
	// knownTries is how many tries without a success a known pair has before it
	// waits like others, for knownPause after the last of them.
	knownTries = 5
	knownPause = time.Minute
)

// rule is how one kind of thing is slowed down.
type rule struct {
	free    int           // failures that cost nothing
	longest time.Duration // the delay doubles from 1 second up to this
	spacing time.Duration // between tries of which the first is not decided yet
}

func addressRule() rule { return rule{free: 0, longest: 15 * time.Second, spacing: 4 * time.Second} }
func networkRule() rule { return rule{free: 10, longest: 3 * time.Second, spacing: time.Second} }

// record is what is known of an address, a network or an account.
type record struct {
	failures int
	last     time.Time // of the last failure
	next     time.Time // when the next try may begin, because one is under way
	holder   uint64    // the account of the try that is under way
}

// pair is an account that has signed in from an address or network.
type pair struct {
	success time.Time // the last
	try     time.Time // the last
	tries   int       // since the last success
}

// Guard holds the budgets. Its methods may be called by any number of
// goroutines. It needs no closing. Time is the monotonic clock of package time,
// which jumps of the wall clock do not touch.
type Guard struct {
	opts Options
	seed maphash.Seed

	mu        sync.Mutex
	addresses *table[record]
	networks  *table[record]
	accounts  *table[record]
	pairs     *table[pair]
	freed     chan struct{} // closed when a try has succeeded and others may begin
}

// New returns a guard that knows nobody. Options may be nil.
func New(opts *Options) *Guard {
	g := &Guard{seed: maphash.MakeSeed(), freed: make(chan struct{})}
	if opts != nil {
		g.opts = *opts
	}
	if g.opts.Account == nil {
		g.opts.Account = strings.ToLower
	}
	if g.opts.MaxWait <= 0 {
		g.opts.MaxWait = 20 * time.Second
	}
	if g.opts.Entries <= 0 {
		g.opts.Entries = 1 << 16
	}
	g.addresses = newTable[record](g.opts.Entries)
	g.networks = newTable[record](g.opts.Entries)
	g.accounts = newTable[record](g.opts.Entries)
	g.pairs = newTable[pair](g.opts.Entries)
	return g
}

// place is where a try comes from and whom it is for, as keys of the tables; 0
// stands for none.
type place struct {
	address, network, account uint64
	near, wide                uint64 // account at the address, in the network
}

// place finds the keys. An IPv6 address is its /64, which one machine has to
// itself, and its network is the /48.
func (g *Guard) place(remote netip.Addr, account string) place {
	var p place
	if account != "" {
		p.account = maphash.String(g.seed, g.opts.Account(account))
	}
	remote = remote.Unmap().WithZone("")
	bits, wide := 32, 24
	if remote.Is6() {
		bits, wide = 64, 48
	}
	var address, network netip.Prefix // none for a Unix socket
	if remote.IsValid() {
		// Prefix fails only for lengths that an address does not have.
		address, _ = remote.Prefix(bits)
		network, _ = remote.Prefix(wide)
		if !g.opts.ExemptLoopback || !remote.IsLoopback() {
			p.address = maphash.Comparable(g.seed, address)
			p.network = maphash.Comparable(g.seed, network)
		}
	}
	if account != "" {
		p.near = maphash.Comparable(g.seed, pairKey{p.account, address})
		p.wide = maphash.Comparable(g.seed, pairKey{p.account, network})
	}
	return p
}

type pairKey struct {
	account uint64
	prefix  netip.Prefix
}

// Before is called before a password is checked, with the name as the client
// gave it. It returns nil at once, or after a delay, when the check may begin;
// ErrTooMany when that would take too long; or the context's error. A zero
// remote stands for a client without an address.
func (g *Guard) Before(ctx context.Context, remote netip.Addr, account string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := g.place(remote, account)
	deadline := time.Now().Add(g.opts.MaxWait)
	var timer *time.Timer
	for first := true; ; first = false {
		begin, freed := g.begin(p, first)
		if begin.IsZero() {
			return nil
		}
		if begin.After(deadline) {
			return ErrTooMany
		}
		if timer == nil {
			timer = time.NewTimer(time.Until(begin))
			defer timer.Stop()
		} else {
			timer.Reset(time.Until(begin))
		}
		select {
		case <-timer.C:
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin returns the zero time when the try may begin now, and otherwise when to
// ask again: then, or when the channel is closed. A known pair is asked for on
// the first call only, so that a try counts once.
func (g *Guard) begin(p place, first bool) (time.Time, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if first && g.known(p, now) {
		return time.Time{}, nil
	}
	var begin time.Time
	each(g, p, func(t *table[record], key uint64, rule rule) {
		if r := t.get(key); r != nil {
			if at := r.earliest(now, rule); at.After(begin) {
				begin = at
			}
		}
	})
	if begin.After(now) {
		return begin, g.freed
	}
	each(g, p, func(t *table[record], key uint64, rule rule) {
		if r := t.get(key); r != nil && r.delay(now, rule) > 0 {
			r.next, r.holder = now.Add(rule.spacing), p.account
		}
	})
	return time.Time{}, nil
}

// each calls f for the tables that a place has keys in.
func each(g *Guard, p place, f func(t *table[record], key uint64, rule rule)) {
	if p.address != 0 {
		f(g.addresses, p.address, addressRule())
		f(g.networks, p.network, networkRule())
	}
	if p.account != 0 {
		f(g.accounts, p.account, addressRule())
	}
}

// delay returns how long after the last failure the next try may begin.
func (r *record) delay(now time.Time, rule rule) time.Duration {
	n := r.failures - rule.free
	if n <= 0 || now.Sub(r.last) > forget {
		return 0
	}
	if n > 5 { // from here on it is the longest in any case
		n = 5
	}
	return min(time.Second<<(n-1), rule.longest)
}

// earliest returns when the next try may begin.
func (r *record) earliest(now time.Time, rule rule) time.Time {
	delay := r.delay(now, rule)
	if delay == 0 {
		return time.Time{}
	}
	at := r.last.Add(delay)
	if r.next.After(at) {
		at = r.next
	}
	return at
}

// known reports whether the account has signed in lately from this address, or
// else from its network, and has a try left, and takes the try. The address
// decides where it is known, so that a guesser in the neighbourhood uses up
// nothing that the owner needs.
func (g *Guard) known(p place, now time.Time) bool {
	for _, key := range [...]uint64{p.near, p.wide} {
		k := g.pairs.get(key)
		if k == nil || now.Sub(k.success) > known {
			continue
		}
		if now.Sub(k.try) > knownPause {
			k.tries = 0
		}
		k.try = now
		if k.tries >= knownTries {
			return false
		}
		k.tries++
		return true
	}
	return false
}

// After is called when a password was right or wrong, with what Before was
// called with. It is not called when that could not be told, or the check never
// began.
func (g *Guard) After(remote netip.Addr, account string, success bool) {
	p := g.place(remote, account)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if !success {
		each(g, p, func(t *table[record], key uint64, _ rule) {
			r := t.use(key)
			if now.Sub(r.last) > forget {
				r.failures = 0
			}
			r.failures++
			r.last = now
			if r.holder == p.account { // it is decided; the delay takes over
				r.next, r.holder = time.Time{}, 0
			}
		})
		return
	}
	if p.account != 0 {
		near, wide := g.pairs.use(p.near), g.pairs.use(p.wide)
		// Who is known at the address needs no tries of the network. Were they given
		// back with each success, a guesser in the neighbourhood would have a few more
		// tries each time the owner's program polls.
		if now.Sub(near.success) > known {
			wide.tries = 0
		}
		near.success, near.tries = now, 0
		wide.success = now
	}
	g.free(p, now)
}

// free lets the next try begin when the one that was under way has succeeded: a
// great many honest people behind one address that somebody else has spoilt
// follow each other as fast as passwords are checked.
func (g *Guard) free(p place, now time.Time) {
	freed := false
	each(g, p, func(t *table[record], key uint64, _ rule) {
		if r := t.get(key); r != nil && r.holder == p.account && r.next.After(now) {
			r.next, r.holder = now, 0
			freed = true
		}
	})
	if freed {
		close(g.freed)
		g.freed = make(chan struct{})
	}
}
