// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"io"
	"testing"
)

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
	noop := c.conn.turn + 1
	if err := c.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := c.Retr(t.Context(), Want{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	c.conn.interrupt(noop, context.Canceled)
	if text, err := io.ReadAll(m); string(text) != "text\r\n" || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
