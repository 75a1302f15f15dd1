// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"math"

	"restante.example/maildrop"
)

// snapshot is an open view. It shares the list with the maildrop and copies
// nothing but the places of what its view has not removed, and its own UIDs.
type snapshot struct {
	drop  *drop
	view  maildrop.View
	token uint64
	shown

	// The fields below belong to drop.mu.
	revoked    chan struct{}
	isRevoked  bool
	isClosed   bool
	isUsed     bool          // Remove has been called
	remote     string        // for the trace
	committing chan struct{} // closed when the Remove that runs has ended
}

// Open implements maildrop.Store.
func (s *Store) Open(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	d, err := s.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	sn, err := d.openView(ctx, view)
	d.give()
	if err != nil {
		s.release(d)
		return nil, err
	}
	// Close releases the maildrop.
	return sn, nil
}

// openView makes a snapshot, under the lock.
func (d *drop) openView(ctx context.Context, view maildrop.View) (*snapshot, error) {
	d.mu.Lock()
	inUse := d.open[view] != nil
	d.mu.Unlock()
	if inUse {
		return nil, maildrop.ErrInUse
	}
	if err := d.settle(); err != nil {
		return nil, err
	}
	if err := d.refresh(ctx); err != nil {
		return nil, err
	}
	v, err := d.view(view)
	if err != nil {
		return nil, err
	}
	if err := d.wake(view, v); err != nil {
		return nil, err
	}
	sn := &snapshot{drop: d, view: view, shown: d.visible(view, v),
		token: d.store.nextToken(), revoked: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[view] != nil {
		return nil, maildrop.ErrInUse
	}
	if d.open == nil {
		d.open = make(map[maildrop.View]*snapshot, 1)
	}
	d.open[view] = sn
	return sn, nil
}

// view returns what was decided of a view.
func (d *drop) view(view maildrop.View) (*viewState, error) {
	if v := d.dec.views[view]; v != nil {
		return v, nil
	}
	if d.broken != nil {
		// It may stand in the part of the journal that cannot be read.
		return nil, d.broken
	}
	return nil, maildrop.ErrNoView
}

// shown is what a view shows of a list, as long as no decision is made. The
// poll after one that found the same need not look at each message.
type shown struct {
	list    *list
	changes int
	// places of the view's messages in the list; nil when it shows all of them.
	places []uint32
	// uids holds the UIDs of the messages of a view that has some of its own.
	uids   []string
	octets int64
}

// visible returns what a view shows, under the lock.
func (d *drop) visible(name maildrop.View, v *viewState) shown {
	l := d.list
	if len(v.removed) == 0 && len(v.again) == 0 && v.since == math.MinInt64 {
		return shown{list: l, octets: l.octets}
	}
	if s, ok := d.shown[name]; ok && s.list == l && s.changes == d.dec.changes {
		return s
	}
	first := d.firstSince()
	s := shown{list: l, changes: d.dec.changes, places: make([]uint32, 0, len(l.entries))}
	if len(v.again) > 0 {
		s.uids = make([]string, 0, len(l.entries))
	}
	for i := range l.entries {
		e := &l.entries[i]
		if !v.holds(e, first) {
			continue
		}
		s.places = append(s.places, uint32(i))
		s.octets += e.size
		if s.uids != nil {
			s.uids = append(s.uids, v.uid(e))
		}
	}
	if len(s.places) == len(l.entries) {
		s.places = nil
	}
	if d.shown == nil {
		d.shown = make(map[maildrop.View]shown)
	}
	d.shown[name] = s
	return s
}

// uid returns the UID that a message has in the view.
func (v *viewState) uid(e *entry) string {
	if as, own := v.again[e.uid]; own {
		return as
	}
	return e.uid
}

// firstSince returns the time from which the views begin to hold messages. Mail
// with an earlier time, which another program delivered late, is shown in
// every view: nobody would see it otherwise.
func (d *drop) firstSince() int64 {
	first := int64(math.MaxInt64)
	for _, v := range d.dec.views {
		if !v.silent {
			first = min(first, v.since)
		}
	}
	return first
}

// holds reports whether a message is in the view.
func (v *viewState) holds(e *entry, first int64) bool {
	if _, removed := v.removed[e.uid]; removed {
		return false
	}
	if e.time >= v.since || e.time < first {
		return true
	}
	_, again := v.again[e.uid]
	return again
}

// at returns message n.
func (sn *snapshot) at(n int) *entry {
	if sn.places != nil {
		return &sn.list.entries[sn.places[n-1]]
	}
	return &sn.list.entries[n-1]
}

// Len implements maildrop.Snapshot.
func (sn *snapshot) Len() int {
	if sn.places != nil {
		return len(sn.places)
	}
	return len(sn.list.entries)
}

// Octets implements maildrop.Snapshot.
func (sn *snapshot) Octets() int64 { return sn.octets }

// Info implements maildrop.Snapshot.
func (sn *snapshot) Info(n int) maildrop.Info {
	info := sn.at(n).info()
	if sn.uids != nil {
		info.UID = sn.uids[n-1]
	}
	return info
}

// Token implements maildrop.Snapshot.
func (sn *snapshot) Token() uint64 { return sn.token }

// Revoked implements maildrop.Snapshot.
func (sn *snapshot) Revoked() <-chan struct{} { return sn.revoked }

// Revoke implements maildrop.Snapshot.
func (sn *snapshot) Revoke() {
	d := sn.drop
	d.mu.Lock()
	if sn.isRevoked || sn.isClosed {
		committing := sn.committing
		d.mu.Unlock()
		if committing != nil {
			<-committing
		}
		return
	}
	sn.isRevoked = true
	close(sn.revoked)
	committing := sn.committing
	d.mu.Unlock()
	if committing != nil {
		<-committing
	}
	d.mu.Lock()
	if d.open[sn.view] == sn {
		delete(d.open, sn.view)
	}
	d.mu.Unlock()
}

// Close implements maildrop.Snapshot.
func (sn *snapshot) Close() error {
	d := sn.drop
	d.mu.Lock()
	if sn.isClosed {
		d.mu.Unlock()
		return nil
	}
	sn.isClosed = true
	committing := sn.committing
	d.mu.Unlock()
	if committing != nil {
		<-committing
	}
	d.mu.Lock()
	if d.open[sn.view] == sn {
		delete(d.open, sn.view)
	}
	d.mu.Unlock()
	d.store.release(d)
	return nil
}

// startRemove says whether a Remove may begin and marks that it has.
func (sn *snapshot) startRemove() (end func(), err error) {
	d := sn.drop
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case sn.isRevoked || d.open[sn.view] != sn && !sn.isClosed:
		return nil, maildrop.ErrRevoked
	case sn.isClosed || sn.isUsed:
		return nil, maildrop.ErrClosed
	}
	sn.isUsed = true
	done := make(chan struct{})
	sn.committing = done
	return func() {
		d.mu.Lock()
		sn.committing = nil
		d.mu.Unlock()
		close(done)
	}, nil
}

// usable says whether messages may still be read.
func (sn *snapshot) usable() error {
	sn.drop.mu.Lock()
	defer sn.drop.mu.Unlock()
	switch {
	case sn.isClosed || sn.isUsed:
		return maildrop.ErrClosed
	case sn.isRevoked:
		return maildrop.ErrRevoked
	}
	return nil
}
