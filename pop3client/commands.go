// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"restante.example/pop3"
)

// Dele marks a message deleted; only Quit deletes it. RFC 1939 section 5.
func (c *Client) Dele(ctx context.Context, n int) error {
	_, err := c.ask(ctx, pop3.Transaction, "DELE", strconv.Itoa(n))
	return err
}

// Noop keeps the connection alive. RFC 1939 section 5.
func (c *Client) Noop(ctx context.Context) error {
	_, err := c.ask(ctx, pop3.Transaction, "NOOP")
	return err
}

// Rset takes back all marks of deletion. RFC 1939 section 5.
func (c *Client) Rset(ctx context.Context) error {
	_, err := c.ask(ctx, pop3.Transaction, "RSET")
	return err
}

// Quit ends the conversation and closes the connection. Before sign-in it is a
// mere farewell; after it, it makes the server delete what was marked, and the
// result is
//
//   - nil: done;
//   - a *pop3.Error: the server refused, some or all messages are still there;
//   - ErrQuitLost: no reply came, and nobody knows. To repeat the deletions in
//     the next session is safe.
//
// An error from before QUIT was sent is none of these: nothing is deleted.
// RFC 1939 section 6.
func (c *Client) Quit(ctx context.Context) error {
	end, err := c.begin(ctx, c.state, "QUIT")
	if err != nil {
		return err
	}
	defer end()
	_, err = c.roundTrip("QUIT", "QUIT", "QUIT")
	c.state = pop3.Update
	if _, refused := errors.AsType[*pop3.Error](err); err != nil && !refused {
		return fmt.Errorf("%w: %w", ErrQuitLost, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = errClosed
		// All is said; what closing the connection says changes nothing.
		_ = c.conn.Close()
	}
	return err
}
