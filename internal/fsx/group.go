// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import "sync"

// Group lets many goroutines share one flush. A caller of Do is served by a
// flush that began after its call: those that come while a flush runs wait for
// the next one together, because the running one may not see what they did.
// The zero value is ready for use.
type Group struct {
	mu      sync.Mutex
	running bool
	next    *flight
}

type flight struct {
	done chan struct{}
	err  error
	// lead is closed when the first waiter shall run this flight.
	lead chan struct{}
}

// Do returns the result of a run of flush that began after Do was called.
func (g *Group) Do(flush func() error) error {
	g.mu.Lock()
	f := g.next
	leader := f == nil
	if leader {
		f = &flight{done: make(chan struct{}), lead: make(chan struct{})}
		g.next = f
		if !g.running {
			g.start()
		}
	}
	g.mu.Unlock()
	if !leader {
		<-f.done
		return f.err
	}
	<-f.lead
	f.err = flush()
	close(f.done)
	g.mu.Lock()
	g.running = false
	if g.next != nil {
		g.start()
	}
	g.mu.Unlock()
	return f.err
}

// start lets the next flight off. The caller holds the lock.
func (g *Group) start() {
	g.running = true
	close(g.next.lead)
	g.next = nil
}
