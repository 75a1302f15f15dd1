// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"restante.example/pop3"
)

// Ahead sends commands whose replies the next calls read, so that they cost one
// round trip together: Capabilities for "CAPA", Stat for "STAT", List for "LIST"
// and UIDL for "UIDL". These calls are then to be made in the same order; another
// command meanwhile is ErrBusy. When a reply does not come, the error is
// ErrPipelining as well.
//
// Where the server does not announce PIPELINING, or Options.NoPipelining is set,
// nothing is sent, and the calls ask for themselves. RFC 2449 section 6.6.
func (c *Client) Ahead(ctx context.Context, commands ...string) error {
	for _, command := range commands {
		if !slices.Contains([]string{"CAPA", "STAT", "LIST", "UIDL"}, command) {
			return fmt.Errorf("%w: %q cannot be sent ahead", ErrArgument, command)
		}
	}
	if c.capsKnown || c.opt.SkipCapabilities { // Capabilities will not ask
		commands = slices.DeleteFunc(slices.Clone(commands), func(command string) bool { return command == "CAPA" })
	}
	if !c.pipelining() || len(commands) < 2 {
		return nil
	}
	end, err := c.begin(ctx, pop3.Transaction, commands[0])
	if err != nil {
		return err
	}
	defer end()
	for _, command := range commands[1:] {
		c.traceSent(command)
	}
	// One write: a server that answers before it reads on cannot block both sides.
	if err := c.send(commands[0], strings.Join(commands, "\r\n"), commands[0]); err != nil {
		return err
	}
	c.ahead = slices.Clone(commands)
	return nil
}

// pipelining reports whether commands may be sent before earlier ones are
// answered. What the server announced before sign-in holds after it.
func (c *Client) pipelining() bool {
	if c.capsKnown {
		c.pipelines = c.caps.Has(pop3.CapPipelining)
	}
	return c.pipelines && !c.opt.NoPipelining
}

// blamePipelining names pipelining where it may be what the server fails at.
func blamePipelining(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrPipelining, err)
}
