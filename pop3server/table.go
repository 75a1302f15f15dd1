// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"restante.example/maildrop"
)

// viewKey is what only one session may have.
type viewKey struct {
	maildrop maildrop.ID
	view     maildrop.View
}

// table knows every listener and connection of a server, and counts them.
type table struct {
	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{} // all
	waiting   map[*conn]struct{} // those that have not signed in, without the evicted
	evicted   int                // told to go and not gone yet
	addresses map[netip.Addr]int // of those in waiting
	users     map[maildrop.ID]int
	views     map[viewKey]*conn
	delays    delays
	epoch     uint64 // counts revocations
	lastID    uint64

	isDown  bool
	ended   bool          // drained is closed
	down    chan struct{} // closed when the server goes down
	drained chan struct{} // closed when it is down and the last connection has ended
}

func (t *table) init() {
	t.listeners = make(map[net.Listener]struct{})
	t.conns = make(map[*conn]struct{})
	t.waiting = make(map[*conn]struct{})
	t.addresses = make(map[netip.Addr]int)
	t.users = make(map[maildrop.ID]int)
	t.views = make(map[viewKey]*conn)
	t.down, t.drained = make(chan struct{}), make(chan struct{})
}

// addListener reports false when the server is down.
func (t *table) addListener(l net.Listener) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isDown {
		return false
	}
	t.listeners[l] = struct{}{}
	return true
}

func (t *table) removeListener(l net.Listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.listeners, l)
}

func (t *table) closing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isDown
}

// admit takes a new connection in and gives it its number. The ending is not
// empty when there are too many; the connection is in the table all the same,
// until leave.
func (t *table) admit(c *conn) Ending {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastID++
	c.number = t.lastID
	t.conns[c] = struct{}{}
	limits := &c.opt.Limits
	switch {
	case t.isDown:
		return EndShutdown
	case over(len(t.conns)-t.evicted, limits.Sessions) && !t.evict(anyAddress):
		t.evicted++
		c.counted = countedEvicted
		return EndRefused
	}
	// A local connection may be anybody's, by way of a proxy on this machine, so
	// all of those together have only the limit in all; so have those without an
	// address, as of a proxy on a Unix socket.
	if from := network(c.remote); !c.local && from != anyAddress && over(t.addresses[from]+1, limits.PerAddress) {
		t.evict(from)
	} else if over(len(t.waiting)+1, limits.Unauthenticated) {
		t.evict(anyAddress)
	}
	t.waiting[c] = struct{}{}
	t.addresses[network(c.remote)]++
	c.counted = countedWaiting
	return ""
}

// anyAddress stands for all of them. It is where connections without one come
// from, whom no limit per address concerns.
var anyAddress netip.Addr

// evict ends the connection that has been idle for longest of those from an
// address that have not signed in, one that is not being signed in just now if
// there is one. So whoever holds connections open without a word makes room for
// those who sign in, instead of keeping them out.
func (t *table) evict(from netip.Addr) bool {
	var oldest *conn
	for c := range t.waiting {
		if from != anyAddress && network(c.remote) != from {
			continue
		}
		if oldest == nil || older(c, oldest) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	t.stopWaiting(oldest)
	oldest.counted = countedEvicted
	t.evicted++
	oldest.interrupt(EndEvicted, true)
	return true
}

func older(a, b *conn) bool {
	if x, y := a.checking.Load(), b.checking.Load(); x != y {
		return y
	}
	return a.meter.active.Load() < b.meter.active.Load()
}

func (t *table) stopWaiting(c *conn) {
	delete(t.waiting, c)
	a := network(c.remote)
	if t.addresses[a]--; t.addresses[a] <= 0 {
		delete(t.addresses, a)
	}
}

// network is what connections are counted by: the address, or the /64 that
// one host has of IPv6.
func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// reserve counts a session for a user whose credentials were right, and
// reports false when there are as many as there may be. It is given
// back by exit or release.
func (t *table) reserve(c *conn, p maildrop.Principal) bool {
	limit := cmp.Or(p.Sessions, c.opt.Limits.PerUser)
	t.mu.Lock()
	defer t.mu.Unlock()
	if over(t.users[p.Maildrop]+1, limit) {
		return false
	}
	t.users[p.Maildrop]++
	return true
}

// release gives back what reserve took.
func (t *table) release(id maildrop.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.releaseUser(id)
}

func (t *table) releaseUser(id maildrop.ID) {
	if t.users[id]--; t.users[id] <= 0 {
		delete(t.users, id)
	}
}

// holder returns the session that has a view, or nil.
func (t *table) holder(key viewKey) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.views[key]
}

// enter makes a connection a session. It reports false when a revocation began
// after epoch, since it may have meant this session and could not see it.
func (t *table) enter(c *conn, key viewKey, epoch uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.epoch != epoch {
		return false
	}
	if c.counted == countedWaiting {
		t.stopWaiting(c)
		c.counted = countedSession
	}
	t.views[key] = c
	return true
}

// exit ends a session; its connection stays in the table until leave.
func (t *table) exit(c *conn, key viewKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.views[key] == c {
		delete(t.views, key)
	}
	t.releaseUser(key.maildrop)
}

// leave takes a connection out.
func (t *table) leave(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
	switch c.counted {
	case countedWaiting:
		t.stopWaiting(c)
	case countedEvicted:
		t.evicted--
	}
	if t.isDown && len(t.conns) == 0 && !t.ended {
		t.ended = true
		close(t.drained)
	}
}

// counted says under which heading a connection is counted.
type counted uint8

const (
	countedNot counted = iota
	countedWaiting
	countedSession
	countedEvicted
)

// shut takes the server down; hard ends also what is in the middle of a reply.
func (t *table) shut(why Ending, hard bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isDown {
		t.isDown = true
		close(t.down)
	}
	for l := range t.listeners {
		l.Close()
	}
	for c := range t.conns {
		c.interrupt(why, hard)
	}
	if len(t.conns) == 0 && !t.ended {
		t.ended = true
		close(t.drained)
	}
}

func (t *table) counts() (all, unauthenticated int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns), len(t.waiting)
}

// signedIn returns the sessions in the order in which they connected.
func (t *table) signedIn() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*conn, 0, len(t.views))
	for _, c := range t.views {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *conn) int { return cmp.Compare(a.number, b.number) })
	return list
}

// revoke begins a revocation.
func (t *table) revoke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch++
}

func (t *table) currentEpoch() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.epoch
}

// delayed reports for how long a view may not be opened again, and 0 when it
// may. RFC 2449 section 6.5.
func (t *table) delayed(key viewKey, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.delays.left(key, now)
}

// note begins the delay of a view that was opened.
func (t *table) note(key viewKey, now time.Time, delay time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delays.note(key, now, delay)
}
