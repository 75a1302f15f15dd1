// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"sync"
	"time"

	"restante.example/maildrop"
)

const (
	// rememberFor is how long a transaction that was committed is remembered.
	rememberFor = 15 * time.Minute
	// maxTransactions bounds how many are; the oldest go first.
	maxTransactions = 1 << 17
)

// transaction names one target of a delivery: nth counts those of the same
// maildrop.
type transaction struct {
	name     string
	maildrop maildrop.ID
	nth      int
}

// transactions remembers what was committed, so that a retry stores nothing.
type transactions struct {
	clock func() time.Time
	mu    sync.Mutex
	known map[transaction]*commitment
	// queue holds those that were committed, oldest first.
	queue []settled
}

type commitment struct {
	done chan struct{} // closed when the commit has ended
	ok   bool
}

type settled struct {
	t  transaction
	at time.Time
}

// do runs commit unless it, or another one under the same transaction, has
// been committed already. While another runs, it waits for that.
func (x *transactions) do(ctx context.Context, t transaction, commit func() error) error {
	if t.name == "" {
		return commit()
	}
	for {
		x.mu.Lock()
		x.forget()
		c := x.known[t]
		if c == nil {
			c = &commitment{done: make(chan struct{})}
			if x.known == nil {
				x.known = make(map[transaction]*commitment)
			}
			x.known[t] = c
			x.mu.Unlock()
			return x.run(t, c, commit)
		}
		x.mu.Unlock()
		select {
		case <-c.done:
			if c.ok {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (x *transactions) run(t transaction, c *commitment, commit func() error) error {
	err := commit()
	x.mu.Lock()
	defer x.mu.Unlock()
	c.ok = err == nil
	if c.ok {
		x.queue = append(x.queue, settled{t, x.clock()})
	} else {
		delete(x.known, t)
	}
	close(c.done)
	return err
}

// forget drops what is old. The caller holds the lock.
func (x *transactions) forget() {
	now := x.clock()
	n := 0
	for n < len(x.queue) && (len(x.queue)-n > maxTransactions || now.Sub(x.queue[n].at) >= rememberFor) {
		delete(x.known, x.queue[n].t)
		n++
	}
	x.queue = x.queue[n:]
}
