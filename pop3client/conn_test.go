// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"io"
	"testing"
)

// late is a context whose end is noticed only when the test says so.
type late struct {
	context.Context
	done   chan struct{}
	err    error
	notice func()
}

func (l *late) Done() <-chan struct{} { return l.done }
func (l *late) Err() error            { return l.err }

// AfterFunc is what context.AfterFunc looks for.
func (l *late) AfterFunc(f func()) (stop func() bool) {
	l.notice = f
	return func() bool { return false }
}

// TestLateCancellation: a context that ends together with its operation does
// not hit the next one.
func TestLateCancellation(t *testing.T) {
	c := scripted(t, clear, `
		C: NOOP
		S: +OK
		C: RETR 1
		S: +OK
		S: text
		S: .
		C: NOOP
		S: +OK`)
	ctx := &late{Context: context.Background(), done: make(chan struct{})}
	if err := c.Noop(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := c.Retr(t.Context(), Want{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx.err = context.Canceled
	close(ctx.done)
	ctx.notice()
	if text, err := io.ReadAll(m); string(text) != "text\r\n" || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
