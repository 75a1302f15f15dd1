// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"errors"
	"log/slog"

	"restante.example/maildrop"
)

// openOrTakeOver opens a view; where another session has it that has been
// silent for long, the view is taken from that one. RFC 1939 section 8 gives a
// session ten minutes; half-dead connections that lock a maildrop for so long
// are why it is less here, and only for who comes from the same address or
// holds the view's own credentials.
func (c *conn) openOrTakeOver(key viewKey) (maildrop.Snapshot, error) {
	snap, err := c.opt.Store.Open(c.ctx, key.maildrop, key.view)
	if !errors.Is(err, maildrop.ErrInUse) {
		return snap, err
	}
	holder := c.server.table.holder(key)
	if holder == nil || !c.mayTakeOver(holder, key) {
		return nil, err
	}
	c.log(slog.LevelInfo, "taking over a silent session", slog.String("from", holder.id()),
		slog.Duration("silent", holder.meter.idle()))
	holder.revoke(EndTakenOver)
	// It counts among the user's sessions until it is gone.
	select {
	case <-holder.done:
	case <-c.ctx.Done():
		return nil, err
	}
	return c.opt.Store.Open(c.ctx, key.maildrop, key.view)
}

func (c *conn) mayTakeOver(holder *conn, key viewKey) bool {
	silence := c.opt.Timeouts.TakeOver
	if silence < 0 || holder.meter.idle() < silence {
		return false
	}
	return key.view != maildrop.Classic || holder.remote == c.remote
}
