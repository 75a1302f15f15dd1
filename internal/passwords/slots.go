// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrBusy is what Slots answer when so many passwords are being checked that
// this one would wait too long. It is temporary and says nothing about the
// credentials.
var ErrBusy = errors.New("too many passwords are being checked at once; try again later")

// Slots bound how many passwords are checked at once: a hash needs memory and a
// core for about 0.1 seconds, a helper a process. Its methods may be called by
// any number of goroutines.
type Slots struct {
	slots   chan struct{}
	waiting atomic.Int64
	refused atomic.Int64
	queue   int64
	// settle runs what is to be done once no password was checked for a while;
	// nil for nothing.
	settle *time.Timer
}

// settleTime is how long no password was checked before it is quiet.
const settleTime = time.Second

// NewSlots makes slots, and a queue for those who find none free. Once after a
// burst, quiet is called, unless it is nil. The caller closes the slots.
func NewSlots(slots, queue int, quiet func()) *Slots {
	s := &Slots{slots: make(chan struct{}, slots), queue: int64(queue)}
	if quiet != nil {
		s.settle = time.AfterFunc(settleTime, func() {
			if s.Taken() == 0 {
				quiet()
			}
		})
		s.settle.Stop()
	}
	return s
}

// Acquire takes a slot, waiting for one unless the queue is full: then it is
// ErrBusy. A patient caller, such as a command of the operator, waits in any
// case. It fails with the context's error too.
func (s *Slots) Acquire(ctx context.Context, patient bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	if s.waiting.Add(1) > s.queue && !patient {
		s.waiting.Add(-1)
		s.refused.Add(1)
		return ErrBusy
	}
	defer s.waiting.Add(-1)
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release gives a slot back.
func (s *Slots) Release() {
	<-s.slots
	if s.settle != nil {
		s.settle.Reset(settleTime)
	}
}

// Size is how many slots there are, Taken how many of them are in use, and
// Waiting how many callers wait for one.
func (s *Slots) Size() int    { return cap(s.slots) }
func (s *Slots) Taken() int   { return len(s.slots) }
func (s *Slots) Waiting() int { return int(s.waiting.Load()) }

// Refused is how many callers have found the queue full.
func (s *Slots) Refused() int64 { return s.refused.Load() }

// Close ends the timer.
func (s *Slots) Close() {
	if s.settle != nil {
		s.settle.Stop()
	}
}
