// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"restante.example/internal/config"
	"restante.example/internal/proxyheader"
)

// listeners are the addresses that are bound. Its methods may be called by any
// number of goroutines.
type listeners struct {
	mu    sync.Mutex
	list  []*listener
	serve func(*listener) // begins to answer on one; nil before begin
	ended bool
}

// all returns the listeners there are now.
func (l *listeners) all() []*listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// begin answers on all listeners, and on those that come later.
func (l *listeners) begin(serve func(*listener)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve = serve
	for _, one := range l.list {
		serve(one)
	}
}

// end lets none come later.
func (l *listeners) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// close closes those there are.
func (l *listeners) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	list := l.list
	l.list = nil
	return closeAll(list)
}

// same reports whether two descriptions are of one bound address. The rules may
// differ.
func same(a, b *config.Listener) bool {
	return a.Service == b.Service && a.Address == b.Address && a.Group == b.Group
}

// change is a change of addresses that is prepared.
type change struct {
	fresh []*listener
	keep  map[*listener]proxyheader.Rules
}

// prepare binds the addresses that a configuration has and that are not bound.
// Nothing else changes until commit; abandon takes it back.
func (s *Server) prepare(c *config.Config) (*change, error) {
	wanted := c.Listening()
	ch := &change{keep: make(map[*listener]proxyheader.Rules)}
	kept := map[int]bool{}
	for _, l := range s.listeners.all() {
		if l.at.Service == Metrics { // its address needs a restart
			ch.keep[l] = proxyheader.Rules{}
			continue
		}
		i := slices.IndexFunc(wanted, func(at config.Listener) bool { return same(&at, &l.at) })
		if i < 0 {
			continue
		}
		rules, err := proxyRules(&wanted[i])
		if err != nil {
			return nil, err
		}
		ch.keep[l], kept[i] = rules, true
	}
	var fresh []config.Listener
	for i, at := range wanted {
		if !kept[i] {
			fresh = append(fresh, at)
		}
	}
	var err error
	if ch.fresh, err = s.bind(context.Background(), c, fresh); err != nil {
		return nil, fmt.Errorf("%w\nan address that cannot be bound now may be bound by a restart, as when it is in use for something else, or when only root may", err)
	}
	return ch, nil
}

// abandon lets go of what was bound for a change.
func (s *Server) abandon(ch *change) {
	if err := closeAll(ch.fresh); err != nil {
		s.log.Warn("an address that was bound for nothing cannot be closed", "error", err)
	}
}

// commit answers on the new addresses and no longer on those that are gone.
// Sessions go on, wherever they came from.
func (s *Server) commit(ch *change) {
	s.listeners.mu.Lock()
	defer s.listeners.mu.Unlock()
	if s.listeners.ended {
		s.abandon(ch)
		return
	}
	var list []*listener
	for _, l := range s.listeners.list {
		rules, ok := ch.keep[l]
		if !ok {
			l.dropped.Store(true)
			s.log.Info("no longer listening", "service", l.at.Service, "address", addressOf(l.Addr()))
			if err := closeAll([]*listener{l}); err != nil {
				s.log.Warn("an address cannot be closed", "address", addressOf(l.Addr()), "error", err)
			}
			continue
		}
		l.SetRules(rules)
		list = append(list, l)
	}
	for _, l := range ch.fresh {
		list = append(list, l)
		if s.listeners.serve != nil {
			s.listeners.serve(l)
		}
	}
	s.listeners.list = list
}
