// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// timedConn gives every read and write of a connection a deadline, ends them
// when a context does, and notices a server that only drips. Reading and
// writing may go on at the same time, in one goroutine each.
type timedConn struct {
	net.Conn
	timeout time.Duration
	rate    int
	end     time.Time // of the session

	mu    sync.Mutex
	turn  int   // counts operations, so that a late cancellation hits no other
	cause error // the present operation was cancelled

	// The rest belongs to the reading goroutine.
	bound  time.Time     // for the present line; zero: none
	rated  bool          // the present reply must come at the least rate
	waited time.Duration // in Read, since octets was 0
	octets int64
}

// past is a deadline that ends what is going on.
var past = time.Unix(1, 0)

// watch ties what follows to ctx, until stop is called.
func (t *timedConn) watch(ctx context.Context) (stop func()) {
	t.mu.Lock()
	t.turn++
	turn := t.turn
	t.cause = nil
	t.mu.Unlock()
	cancel := context.AfterFunc(ctx, func() { t.interrupt(turn, context.Cause(ctx)) })
	return func() {
		cancel()
		t.mu.Lock()
		t.turn++
		t.cause = nil
		t.mu.Unlock()
	}
}

// interrupt ends the operation of that turn, unless it is over.
func (t *timedConn) interrupt(turn int, cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turn == turn {
		t.cause = cause
		// A connection that refuses a deadline fails at its next read.
		_ = t.Conn.SetDeadline(past)
	}
}

// arm sets the deadline of the next read or write.
func (t *timedConn) arm(bound time.Time, set func(time.Time) error) error {
	deadline := time.Now().Add(t.timeout)
	for _, d := range []time.Time{bound, t.end} {
		if !d.IsZero() && d.Before(deadline) {
			deadline = d
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cause != nil {
		return t.cause
	}
	// A pipe whose other end is closed takes no deadline, and needs none: what
	// was closed answers at once.
	if err := set(deadline); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// explain turns an error into what caused it.
func (t *timedConn) explain(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.cause != nil:
		return t.cause
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case !time.Now().Before(t.end):
		return fmt.Errorf("the session has taken too long: %w", err)
	}
	return fmt.Errorf("no answer in time: %w", err)
}

// Read implements net.Conn.
func (t *timedConn) Read(p []byte) (int, error) {
	if err := t.arm(t.bound, t.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	start := time.Now()
	n, err := t.Conn.Read(p)
	if err != nil {
		return n, t.explain(err)
	}
	if t.rated && t.rate > 0 {
		// Only the time spent waiting counts: the caller may be slow.
		t.waited += time.Since(start)
		t.octets += int64(n)
		if t.waited >= t.timeout {
			if float64(t.octets) < t.waited.Seconds()*float64(t.rate) {
				return 0, ErrTooSlow // the octets do not matter any more
			}
			t.waited, t.octets = 0, 0
		}
	}
	return n, nil
}

// startText begins to measure the rate, as status lines are over.
func (t *timedConn) startText() {
	t.bound, t.rated, t.waited, t.octets = time.Time{}, true, 0, 0
}

// startLine bounds the wait for a line.
func (t *timedConn) startLine(timeout time.Duration) {
	t.bound, t.rated = time.Now().Add(timeout), false
}

// Write implements net.Conn.
func (t *timedConn) Write(p []byte) (int, error) {
	if err := t.arm(time.Time{}, t.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	n, err := t.Conn.Write(p)
	if err != nil {
		err = t.explain(err)
	}
	return n, err
}

// outbox writes commands beside the reading of replies. A server that answers
// while it does not read can then never block both sides: with pipelining,
// commands and replies travel at the same time.
type outbox struct {
	dst  net.Conn
	mu   sync.Mutex
	idle *sync.Cond
	buf  []byte // waits; bounded by the window
	busy bool   // a goroutine is writing
	err  error
}

func newOutbox(dst net.Conn) *outbox {
	b := &outbox{dst: dst}
	b.idle = sync.NewCond(&b.mu)
	return b
}

// send hands p over, without waiting.
func (b *outbox) send(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p...)
	if !b.busy && b.err == nil {
		b.busy = true
		go b.drain()
	}
}

func (b *outbox) drain() {
	var out []byte
	b.mu.Lock()
	for len(b.buf) > 0 && b.err == nil {
		out, b.buf = b.buf, out[:0]
		b.mu.Unlock()
		_, err := b.dst.Write(out)
		b.mu.Lock()
		b.err = err
	}
	b.busy = false
	b.idle.Broadcast()
	b.mu.Unlock()
}

// wait returns when everything was written, which the deadlines bound.
func (b *outbox) wait() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.busy {
		b.idle.Wait()
	}
	return b.err
}
