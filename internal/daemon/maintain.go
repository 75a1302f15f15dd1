// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"restante.example/maildrop"
)

// maintainEvery is how often the store looks after the maildrops in use, and
// allEvery after how many of these it looks after the others.
const (
	maintainEvery = time.Minute
	allEvery      = 60
)

// maintain lets the store clean up until ctx ends.
func (s *Server) maintain(ctx context.Context) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.sweep(ctx, round%allEvery == 0); err != nil && ctx.Err() == nil {
				s.log.Error("cleaning up failed; it is tried again", "error", err)
			}
		}
	}
}

func (s *Server) sweep(ctx context.Context, all bool) error {
	s.office.settleAll(ctx)
	if c := s.config.Load(); c.Delivery.QuotaWarning {
		if err := s.office.warnFull(ctx, c, all); err != nil {
			s.log.Error("not everybody could be warned of a full maildrop; it is tried again", "error", err)
		}
	}
	if !all {
		return s.office.store.Sweep(ctx, nil)
	}
	if err := s.office.silence(ctx, time.Duration(s.config.Load().SilentDevices)); err != nil {
		s.log.Error("devices that have been silent for long still hold mail back; it is tried again", "error", err)
	}
	users, err := s.office.directory.List(ctx)
	if err != nil {
		return err
	}
	return s.office.store.Sweep(ctx, func(yield func(maildrop.ID) bool) {
		for _, u := range users {
			if !yield(u.ID) {
				return
			}
		}
	})
}
