// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"restante.example/internal/fsx"
	"restante.example/internal/wire"
	"restante.example/maildrop"
)

// inMemory is how much of a message waits in memory, in octets, before files
// are made for it.
const inMemory = 64 << 10

// delivery takes one message in.
type delivery struct {
	store   *Store
	ctx     context.Context
	env     maildrop.Envelope
	targets []*target
	body    wire.Normalizer
	// buf holds what is not in the files yet, in wire form.
	buf     []byte
	spilled bool
	ended   bool
	err     error
}

// target is one maildrop that the message goes to.
type target struct {
	id     maildrop.ID
	prefix []byte // in wire form
	quota  maildrop.Quota
	txn    transaction

	err  error
	drop *drop
	temp *temporary
	held *reservation
	// size and crc are of what was written, prefix included.
	size int64
	crc  uint32
}

// Deliver implements maildrop.Store. Envelope.Origin is for logs and traces.
func (s *Store) Deliver(ctx context.Context, env maildrop.Envelope, targets []maildrop.Target) (maildrop.Delivery, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		s.end()
		return nil, err
	}
	dl := &delivery{store: s, ctx: ctx, env: env}
	seen := make(map[maildrop.ID]int, len(targets))
	for _, t := range targets {
		var norm wire.Normalizer
		dl.targets = append(dl.targets, &target{
			id: t.Maildrop, quota: t.Quota,
			prefix: norm.Finish(norm.Append(nil, t.Prefix)),
			txn:    transaction{env.Transaction, t.Maildrop, seen[t.Maildrop]},
		})
		seen[t.Maildrop]++
	}
	if err := dl.roomForAny(); err != nil {
		s.end()
		return nil, err
	}
	return dl, nil
}

// roomForAny refuses a message early when there is no room for it anywhere.
func (dl *delivery) roomForAny() error {
	var err error
	for _, t := range dl.targets {
		place, e := dl.store.opt.Locate(dl.ctx, t.id)
		if e != nil {
			return nil // Commit tells.
		}
		if err = dl.store.room(place.Mail, dl.env.Size); !errors.Is(err, maildrop.ErrNoSpace) {
			return nil
		}
	}
	return err
}

// room refuses what would eat into the reserve.
func (s *Store) room(f fsx.FS, octets int64) error {
	if s.opt.Reserve < 0 {
		return nil
	}
	space, err := f.Space()
	if err != nil {
		// Where it cannot be told, the disk itself will.
		return nil
	}
	reserve := s.opt.Reserve
	if reserve == 0 {
		reserve = min(space.Total/100, 64<<20)
	}
	if space.Free-max(octets, 0) < reserve {
		return maildrop.ErrNoSpace
	}
	return nil
}

// Write implements io.Writer.
func (dl *delivery) Write(p []byte) (int, error) {
	if dl.ended {
		return 0, maildrop.ErrClosed
	}
	if dl.err == nil {
		dl.err = dl.ctx.Err()
	}
	if dl.err != nil {
		return 0, dl.err
	}
	for rest := p; len(rest) > 0; {
		part := rest[:min(len(rest), inMemory)]
		rest = rest[len(part):]
		dl.buf = dl.body.Append(dl.buf, part)
		if len(dl.buf) < inMemory {
			continue
		}
		if dl.err = dl.spill(); dl.err != nil {
			return len(p) - len(rest), dl.err
		}
	}
	return len(p), nil
}

// spill writes what waits in memory to the files. It fails when no target is left.
func (dl *delivery) spill() error {
	dl.spilled = true
	var err error
	left := 0
	for _, t := range dl.targets {
		if t.err == nil {
			t.err = dl.spillTo(t)
		}
		if t.err == nil {
			left++
		} else {
			err = t.err
		}
	}
	dl.buf = dl.buf[:0]
	if left == 0 {
		return err
	}
	return nil
}

func (dl *delivery) spillTo(t *target) error {
	if t.temp == nil {
		if err := dl.openTemp(dl.ctx, t); err != nil {
			return err
		}
	}
	if err := dl.store.room(t.drop.place.Mail, int64(len(dl.buf))); err != nil {
		return err
	}
	return t.write(dl.buf)
}

// openTemp makes the file of a target and writes its prefix.
func (dl *delivery) openTemp(ctx context.Context, t *target) error {
	if t.drop == nil {
		d, err := dl.store.acquire(ctx, t.id)
		if err != nil {
			return err
		}
		err = d.locate(ctx)
		d.give()
		if err != nil {
			dl.store.release(d)
			return err
		}
		t.drop = d
	}
	temp, err := t.drop.newTemp()
	if err != nil {
		return noSpace(err)
	}
	temp.origin = dl.env.Origin
	t.temp = temp
	return t.write(t.prefix)
}

func (t *target) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	t.size += int64(len(p))
	t.crc = crc32.Update(t.crc, castagnoli, p)
	_, err := t.temp.file.Write(p)
	return noSpace(err)
}

// noSpace says that the disk is full in the words of the contract.
func noSpace(err error) error {
	if err != nil && fsx.IsNoSpace(err) {
		return fmt.Errorf("%w (%w)", maildrop.ErrNoSpace, err)
	}
	return err
}

// Commit implements maildrop.Delivery.
func (dl *delivery) Commit(ctx context.Context) []error {
	answers := make([]error, len(dl.targets))
	if dl.ended {
		for i := range answers {
			answers[i] = maildrop.ErrClosed
		}
		return answers
	}
	dl.ended = true
	defer dl.store.end()
	if dl.err == nil {
		dl.buf = dl.body.Finish(dl.buf)
	}
	if len(dl.targets) == 1 {
		answers[0] = dl.commit(ctx, dl.targets[0])
		return answers
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i, t := range dl.targets {
		slots <- struct{}{}
		wg.Go(func() {
			answers[i] = dl.commit(ctx, t)
			<-slots
		})
	}
	wg.Wait()
	return answers
}

// commit stores the message for one target.
func (dl *delivery) commit(ctx context.Context, t *target) error {
	defer t.letGo()
	err := dl.err
	if err == nil {
		err = t.err
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = dl.store.txns.do(ctx, t.txn, func() error { return dl.storeFor(ctx, t) })
	}
	if err != nil && !errors.Is(err, maildrop.ErrNoMaildrop) && !errors.Is(err, maildrop.ErrQuota) {
		dl.store.log.Warn("a message could not be stored", "maildrop", t.id, "origin", short(dl.env.Origin), "err", err)
	}
	return err
}

func short(s string) string { return s[:min(len(s), 255)] }

// storeFor does what a commit is: room, file, flush, name, flush of the name.
func (dl *delivery) storeFor(ctx context.Context, t *target) error {
	s := dl.store
	total := t.size + int64(len(dl.buf))
	if t.temp == nil {
		total += int64(len(t.prefix))
	}
	if t.drop == nil {
		d, err := s.acquire(ctx, t.id)
		if err != nil {
			return err
		}
		err = d.locate(ctx)
		d.give()
		t.drop = d
		if err != nil {
			return err
		}
	}
	d := t.drop
	err := s.room(d.place.Mail, int64(len(dl.buf)))
	if err != nil {
		return err
	}
	if t.quota.Messages > 0 || t.quota.Octets > 0 {
		if t.held, err = d.reserve(ctx, t.quota, total); err != nil {
			return err
		}
		defer t.held.end()
	}
	if t.temp == nil {
		if err := dl.openTemp(ctx, t); err != nil {
			return err
		}
	}
	if err := t.write(dl.buf); err != nil {
		return err
	}
	if s.faults.answerEarly {
		temp := t.temp
		t.temp = nil
		s.ops.Add(1)
		d := s.hold(t.id)
		go func() {
			defer s.ops.Done()
			defer s.release(d)
			if err := d.name(context.Background(), temp, t.size, t.crc, dl.env.SMTPUTF8, nil); err != nil {
				s.log.Error("answered early", "err", err)
			}
		}()
		return nil
	}
	return d.name(ctx, t.temp, t.size, t.crc, dl.env.SMTPUTF8, t.held)
}

// letGo lets go of what a target holds.
func (t *target) letGo() {
	if t.temp != nil {
		t.temp.discard()
		t.temp = nil
	}
	if t.drop != nil {
		t.drop.store.release(t.drop)
		t.drop = nil
	}
}

// Abort implements maildrop.Delivery.
func (dl *delivery) Abort() {
	if dl.ended {
		return
	}
	dl.ended = true
	for _, t := range dl.targets {
		t.letGo()
	}
	dl.store.end()
}
