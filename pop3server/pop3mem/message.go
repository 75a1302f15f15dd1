// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"restante.example/maildrop"
)

// message is one stored message. Damage changes the data, Take sets gone, both
// under the lock; the other fields stay as they are.
type message struct {
	number  int // of all that ever arrived in the maildrop
	data    []byte
	gone    bool
	size    int64
	sum     uint32
	arrived time.Time
	utf8    bool
	origin  string
}

func (m *message) info() maildrop.Info {
	return maildrop.Info{UID: m.uid(), Size: m.size, Arrived: m.arrived, SMTPUTF8: m.utf8}
}

func (m *message) uid() string { return fmt.Sprintf("m%08d", m.number) }

func (m *message) damaged(data []byte) bool {
	return int64(len(data)) != m.size || crc32.ChecksumIEEE(data) != m.sum
}

// reader streams a message, and checks it while it does.
type reader struct {
	store  *Store
	id     maildrop.ID
	ctx    context.Context
	m      *message
	data   *bytes.Reader
	sum    uint32
	octets int64
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, maildrop.ErrClosed
	}
	if err := r.store.begin(r.ctx, OpRead, r.id); err != nil {
		return 0, err
	}
	n, err := r.data.Read(p)
	r.sum = crc32.Update(r.sum, crc32.IEEETable, p[:n])
	r.octets += int64(n)
	if err == io.EOF && (r.octets != r.m.size || r.sum != r.m.sum) {
		err = maildrop.ErrDamaged
	}
	return n, err
}

func (r *reader) Close() error {
	r.closed = true
	return nil
}

// Message is a stored message, for tests to look at.
type Message struct {
	maildrop.Info
	// Data is the message in wire form, Size octets.
	Data string
	// Origin is Envelope.Origin of its delivery.
	Origin string
}

// Messages returns what the classic view of a user holds, in order of
// arrival; nil for a user who is not there.
func (s *Store) Messages(name string) []Message {
	return s.MessagesIn(s.maildropOf(name), maildrop.Classic)
}

// MessagesIn returns what a view of a maildrop holds, in order of arrival; nil
// where there is no such view.
func (s *Store) MessagesIn(id maildrop.ID, name maildrop.View) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findView(id, name)
	if err != nil {
		return nil
	}
	var all []Message
	for _, m := range v.messages {
		all = append(all, Message{Info: v.info(m), Data: string(m.data), Origin: m.origin})
	}
	return all
}

// Put delivers a message to a user as it stands, with line ends brought into
// wire form.
func (s *Store) Put(name, text string) error {
	ctx := context.Background()
	d, err := s.Deliver(ctx, maildrop.Envelope{Origin: "pop3mem"}, []maildrop.Target{{Maildrop: s.maildropOf(name)}})
	if err != nil {
		return err
	}
	defer d.Abort()
	if _, err := io.WriteString(d, text); err != nil {
		return err
	}
	return d.Commit(ctx)[0]
}

// Take takes a message away behind the store's back, as another program that
// shares a Maildir does: it leaves all views, and a session that still lists it
// gets maildrop.ErrGone. It reports whether there is such a message.
func (s *Store) Take(id maildrop.ID, uid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drops[id]
	if d == nil {
		return false
	}
	taken := false
	for _, v := range d.views {
		v.messages = slices.DeleteFunc(v.messages, func(m *message) bool {
			if m.uid() != uid {
				return false
			}
			m.gone, taken = true, true
			return true
		})
	}
	return taken
}

// Damage changes a stored message behind the store's back, as a failing disk
// does: cut makes it shorter, otherwise one octet changes. It reports whether
// there is such a message.
func (s *Store) Damage(id maildrop.ID, uid string, cut bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drops[id]
	if d == nil {
		return false
	}
	for _, m := range d.held() {
		if m.uid() != uid || len(m.data) == 0 {
			continue
		}
		// A copy, because streams of before may be reading the old octets.
		half := len(m.data) / 2
		data := bytes.Clone(m.data)
		if cut {
			data = data[:half]
		} else {
			data[half] ^= 1
		}
		m.data = data
		return true
	}
	return false
}
