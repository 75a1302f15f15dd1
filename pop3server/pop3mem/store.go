// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package pop3mem is a post office in memory, for tests: a maildrop.Store and
// a maildrop.Directory in one, which behave exactly as the contracts say and
// fail when they are told to.
//
//	office := pop3mem.New(nil)
//	office.AddUser("ana", "secret")
//	office.Put("ana", "Subject: hello\r\n\r\nHello, Ana.\r\n")
//
// Give the office to a server as both its store and its directory, let the
// program under test collect, and look at Messages("ana") afterwards.
package pop3mem

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"restante.example/maildrop"
)

// Op is something that a Store does and that can be made to fail.
type Op string

// The operations of a Store. Each is asked before it has any effect, but
// OpRemoved, which comes after it.
const (
	OpDeliver  Op = "deliver"  // Deliver is called; the maildrop is empty
	OpWrite    Op = "write"    // a piece of a message comes in; the maildrop is empty
	OpStore    Op = "store"    // Commit stores the message in one maildrop
	OpOpen     Op = "open"     // Open
	OpMessage  Op = "message"  // Snapshot.Message
	OpRead     Op = "read"     // a read from the stream of a message
	OpRemove   Op = "remove"   // Remove
	OpRemoved  Op = "removed"  // they are removed; an error makes the outcomes Unknown
	OpAddView  Op = "addview"  // AddView
	OpDropView Op = "dropview" // DropView
	OpReset    Op = "reset"    // ResetView
	OpViews    Op = "views"    // Views
	OpUsage    Op = "usage"    // Usage
	OpSignIn   Op = "signin"   // the directory is asked; the maildrop is empty
)

// Options are the settings of a Store.
type Options struct {
	// OnOp, where given, is asked at each operation; the error that it returns
	// is what the operation fails with, as if the disk had. It may be called by
	// any number of goroutines, may block, and must not call the Store.
	OnOp func(op Op, id maildrop.ID) error
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Iterations is the iteration count of the SCRAM keys; 0 means 4096, the
	// least that RFC 5802 section 5.1 allows.
	Iterations int
	// NoSCRAM makes a directory without SCRAM keys.
	NoSCRAM bool
}

// Store is a post office in memory: a maildrop.Store and a
// maildrop.Directory. All methods may be called by any number of goroutines.
type Store struct {
	opt Options

	mu     sync.Mutex
	closed bool
	drops  map[maildrop.ID]*drop
	users  map[string]*user
	tokens uint64 // the last fencing token given out
}

var (
	_ maildrop.Store        = (*Store)(nil)
	_ maildrop.ViewResetter = (*Store)(nil)
	_ maildrop.ViewCounter  = (*Store)(nil)
	_ maildrop.Directory    = (*Store)(nil)

	_ maildrop.Identifier    = (*Store)(nil)
	_ maildrop.APOPDirectory = (*Store)(nil)
)

// drop is one maildrop.
type drop struct {
	arrived int // how many messages ever arrived: the UIDs come from it
	resets  int // how many messages ever came back: their new UIDs come from it
	views   map[maildrop.View]*view
	done    map[string]bool // transactions that were committed
}

// view is what one device still sees, in order of arrival.
type view struct {
	messages []*message
	removed  map[*message]bool
	uids     map[*message]string // of those that came back by ResetView
	open     *snapshot
}

func newView() *view {
	return &view{removed: make(map[*message]bool), uids: make(map[*message]string)}
}

// info returns what the view says of a message.
func (v *view) info(m *message) maildrop.Info {
	info := m.info()
	if uid := v.uids[m]; uid != "" {
		info.UID = uid
	}
	return info
}

// New returns an empty office. Options may be nil.
func New(options *Options) *Store {
	s := &Store{drops: make(map[maildrop.ID]*drop), users: make(map[string]*user)}
	if options != nil {
		s.opt = *options
	}
	if s.opt.Now == nil {
		s.opt.Now = time.Now
	}
	if s.opt.OnOp == nil {
		s.opt.OnOp = func(Op, maildrop.ID) error { return nil }
	}
	s.opt.Iterations = cmp.Or(s.opt.Iterations, 4096)
	return s
}

// AddMaildrop makes a maildrop with the classic view. One that is there
// already stays as it is.
func (s *Store) AddMaildrop(id maildrop.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addMaildrop(id)
}

func (s *Store) addMaildrop(id maildrop.ID) {
	if s.drops[id] == nil {
		s.drops[id] = &drop{
			views: map[maildrop.View]*view{maildrop.Classic: newView()},
			done:  make(map[string]bool),
		}
	}
}

// Restart returns an office with the same mail and users, as after a restart
// of the server. The old one, its snapshots and its deliveries answer
// maildrop.ErrClosed from now on.
func (s *Store) Restart() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := &Store{opt: s.opt, drops: make(map[maildrop.ID]*drop), users: s.users, tokens: s.tokens}
	for id, d := range s.drops {
		kept := &drop{arrived: d.arrived, resets: d.resets, views: make(map[maildrop.View]*view), done: make(map[string]bool)}
		for name, v := range d.views {
			kept.views[name] = &view{messages: slices.Clone(v.messages), removed: maps.Clone(v.removed), uids: maps.Clone(v.uids)}
		}
		next.drops[id] = kept
	}
	s.closed, s.drops, s.users = true, nil, make(map[string]*user)
	return next
}

// find returns a maildrop, under the lock.
func (s *Store) find(id maildrop.ID) (*drop, error) {
	if s.closed {
		return nil, maildrop.ErrClosed
	}
	if d := s.drops[id]; d != nil {
		return d, nil
	}
	return nil, maildrop.ErrNoMaildrop
}

func (s *Store) findView(id maildrop.ID, name maildrop.View) (*view, error) {
	d, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if v := d.views[name]; v != nil {
		return v, nil
	}
	return nil, maildrop.ErrNoView
}

// begin is how each operation starts.
func (s *Store) begin(ctx context.Context, op Op, id maildrop.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.opt.OnOp(op, id)
}

// held returns the messages that any view holds, in order of arrival.
func (d *drop) held() []*message {
	var all []*message
	for _, v := range d.views {
		all = append(all, v.messages...)
	}
	slices.SortFunc(all, func(a, b *message) int { return cmp.Compare(a.number, b.number) })
	return slices.Compact(all)
}

// AddView implements maildrop.Store.
func (s *Store) AddView(ctx context.Context, id maildrop.ID, name maildrop.View, since time.Time) error {
	if err := s.begin(ctx, OpAddView, id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(id)
	if err != nil {
		return err
	}
	if !name.Valid() {
		return fmt.Errorf("pop3mem: %q cannot name a view", name)
	}
	if d.views[name] != nil {
		return maildrop.ErrViewExists
	}
	v := newView()
	for _, m := range d.held() {
		if !m.arrived.Before(since) {
			v.messages = append(v.messages, m)
		}
	}
	d.views[name] = v
	return nil
}

// DropView implements maildrop.Store.
func (s *Store) DropView(ctx context.Context, id maildrop.ID, name maildrop.View) error {
	if err := s.begin(ctx, OpDropView, id); err != nil {
		return err
	}
	for {
		open, err := s.dropView(id, name)
		if open == nil {
			return err
		}
		// Outside the lock, because a Remove that is being committed is waited for.
		open.Revoke()
	}
}

// dropView drops a view that is not open, or returns the snapshot that has it.
func (s *Store) dropView(id maildrop.ID, name maildrop.View) (*snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findView(id, name)
	if err != nil {
		return nil, err
	}
	d := s.drops[id]
	if len(d.views) == 1 {
		return nil, fmt.Errorf("pop3mem: %q is the last view of maildrop %s", name, id)
	}
	if v.open != nil {
		return v.open, nil
	}
	delete(d.views, name)
	return nil, nil
}

// Views implements maildrop.Store.
func (s *Store) Views(ctx context.Context, id maildrop.ID) ([]maildrop.View, error) {
	if err := s.begin(ctx, OpViews, id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(id)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(d.views)), nil
}

// Usage implements maildrop.Store.
func (s *Store) Usage(ctx context.Context, id maildrop.ID) (int, int64, error) {
	if err := s.begin(ctx, OpUsage, id); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(id)
	if err != nil {
		return 0, 0, err
	}
	messages, octets := d.usage()
	return messages, octets, nil
}

func (d *drop) usage() (messages int, octets int64) {
	all := d.held()
	for _, m := range all {
		octets += m.size
	}
	return len(all), octets
}
