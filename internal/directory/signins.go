// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"restante.example/maildrop"
)

// SignIn is one sign-in, or zero where there was none.
type SignIn struct {
	At time.Time // to the second once it comes from the file
	// Address is the zero Addr where the client had none.
	Address netip.Addr
}

// storedSignIn is a sign-in as it stands in the file.
func storedSignIn(at int64, address string) SignIn {
	if at == 0 {
		return SignIn{}
	}
	// An address that cannot be read is none: it is only shown to people.
	a, _ := netip.ParseAddr(address)
	return SignIn{time.Unix(at, 0), a}
}

// signInKey is a view of a maildrop.
type signInKey struct {
	user maildrop.ID
	view maildrop.View
}

// signIns remembers the latest sign-in of each view. Sign-ins are too many to
// write each down: they are written once in writeEvery and at the end.
type signIns struct {
	writing sync.Mutex // held while some are written, and taken before the other

	mu      sync.Mutex
	latest  map[signInKey]SignIn
	pending map[signInKey]SignIn // not written yet
	timer   *time.Timer          // nil while nothing is pending
	closed  bool
}

// writeEvery is how long a sign-in may stay in memory only.
const writeEvery = time.Minute

// NoteSignIn remembers that a view was signed in to. It does not block on the
// file, and never fails: what it tells is for people.
func (d *Directory) NoteSignIn(id maildrop.ID, view maildrop.View, from netip.Addr) {
	s, key := &d.signIns, signInKey{id, view}
	in := SignIn{d.opts.Now(), from}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.latest == nil {
		s.latest = map[signInKey]SignIn{}
	}
	if s.pending == nil {
		s.pending = map[signInKey]SignIn{}
	}
	s.latest[key], s.pending[key] = in, in
	if s.timer == nil {
		s.timer = time.AfterFunc(writeEvery, d.writeNoted)
	}
}

// lastSignIn returns the latest sign-in of a view, given what the file says.
func (d *Directory) lastSignIn(id maildrop.ID, view maildrop.View, stored SignIn) SignIn {
	d.signIns.mu.Lock()
	defer d.signIns.mu.Unlock()
	if in, ok := d.signIns.latest[signInKey{id, view}]; ok {
		return in
	}
	return stored
}

func (d *Directory) writeNoted() {
	s := &d.signIns
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	pending := s.pending
	s.pending, s.timer = nil, nil
	s.mu.Unlock()
	if err := d.storeSignIns(context.Background(), pending); err != nil {
		d.opts.Logger.Warn("the latest sign-ins are not written down; tried again with the next", "error", err)
		s.mu.Lock()
		defer s.mu.Unlock()
		maps.Copy(pending, s.pending) // the later ones win
		s.pending = pending
	}
}

// writeSignIns writes what is pending, and takes no more in.
func (d *Directory) writeSignIns(ctx context.Context) error {
	s := &d.signIns
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	pending := s.pending
	s.pending, s.timer, s.closed = nil, nil, true
	s.mu.Unlock()
	return d.storeSignIns(ctx, pending)
}

// storeSignIns writes sign-ins of views that are there. What is in memory of the
// file stays as it is, since lastSignIn knows better.
func (d *Directory) storeSignIns(ctx context.Context, list map[signInKey]SignIn) error {
	if len(list) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(d.broken, ErrClosed) {
		return ErrClosed
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("directory: sign-ins: %w", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	for key, in := range list {
		address := ""
		if in.Address.IsValid() {
			address = in.Address.String()
		}
		result, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO sign_ins (user, view, at, address)
			SELECT id, ?2, ?3, ?4 FROM users WHERE id = ?1
			AND (?2 = '' OR EXISTS (SELECT 1 FROM devices WHERE user = ?1 AND view = ?2))`,
			key.user, key.view, in.At.Unix(), address)
		if err != nil {
			return fmt.Errorf("directory: sign-ins: %w", err)
		}
		if n, err := result.RowsAffected(); err == nil && n == 0 {
			d.signIns.forget(key)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("directory: sign-ins: %w", err)
	}
	return nil
}

// forget drops what is known of a view that is no more.
func (s *signIns) forget(key signInKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.latest, key)
}
