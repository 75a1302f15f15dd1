// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem

import (
	"context"
	"hash/crc32"
	"slices"

	"restante.example/internal/wire"
	"restante.example/maildrop"
)

// delivery takes one message in.
type delivery struct {
	store   *Store
	ctx     context.Context
	env     maildrop.Envelope
	targets []maildrop.Target
	norm    wire.Normalizer
	body    []byte
	err     error // the first failure of Write
	ended   bool
}

// Deliver implements maildrop.Store.
func (s *Store) Deliver(ctx context.Context, env maildrop.Envelope, targets []maildrop.Target) (maildrop.Delivery, error) {
	if err := s.begin(ctx, OpDeliver, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, maildrop.ErrClosed
	}
	if len(env.Origin) > 255 {
		env.Origin = env.Origin[:255]
	}
	return &delivery{store: s, ctx: ctx, env: env, targets: slices.Clone(targets)}, nil
}

// Write implements maildrop.Delivery.
func (d *delivery) Write(p []byte) (int, error) {
	if d.ended {
		return 0, maildrop.ErrClosed
	}
	if d.err == nil {
		d.err = d.store.begin(d.ctx, OpWrite, "")
	}
	if d.err != nil {
		return 0, d.err
	}
	d.body = d.norm.Append(d.body, p)
	return len(p), nil
}

// Commit implements maildrop.Delivery.
func (d *delivery) Commit(ctx context.Context) []error {
	answers := make([]error, len(d.targets))
	if d.ended {
		d.err = maildrop.ErrClosed
	}
	d.ended = true
	d.body = d.norm.Finish(d.body)
	// Two targets of one delivery may be the same maildrop: only what an earlier
	// delivery committed makes a retry.
	var mine []maildrop.ID
	for i, t := range d.targets {
		if answers[i] = d.err; answers[i] == nil {
			answers[i] = d.store.store(ctx, d.env, t, d.body, slices.Contains(mine, t.Maildrop))
		}
		if answers[i] == nil {
			mine = append(mine, t.Maildrop)
		}
	}
	d.body = nil
	return answers
}

// Abort implements maildrop.Delivery.
func (d *delivery) Abort() {
	d.ended = true
	d.body = nil
}

// store puts a message into one maildrop. Again says that this same delivery
// has stored it there already, for another recipient.
func (s *Store) store(ctx context.Context, env maildrop.Envelope, t maildrop.Target, body []byte, again bool) error {
	if err := s.begin(ctx, OpStore, t.Maildrop); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(t.Maildrop)
	if err != nil {
		return err
	}
	if env.Transaction != "" && d.done[env.Transaction] && !again {
		return nil
	}
	data := slices.Concat(t.Prefix, body)
	size := int64(len(data))
	if t.Quota != (maildrop.Quota{}) {
		messages, octets := d.usage()
		if t.Quota.Messages > 0 && messages+1 > t.Quota.Messages || t.Quota.Octets > 0 && octets+size > t.Quota.Octets {
			return maildrop.ErrQuota
		}
	}
	d.arrived++
	m := &message{
		number: d.arrived, data: data, size: size, sum: crc32.ChecksumIEEE(data),
		arrived: s.opt.Now(), utf8: env.SMTPUTF8, origin: env.Origin,
	}
	for _, v := range d.views {
		v.messages = append(v.messages, m)
	}
	if env.Transaction != "" {
		d.done[env.Transaction] = true
	}
	return nil
}
