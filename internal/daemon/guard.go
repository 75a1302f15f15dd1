// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"restante.example/internal/guard"
	"restante.example/internal/metrics"
	"restante.example/pop3"
)

// tooManyFailures is what a client is told whom the guard does not let try.
const tooManyFailures = "too many failed sign-ins, try again later"

// refusalsInSpanish has what the server says beside package pop3server.
func refusalsInSpanish() map[string]string {
	return map[string]string{tooManyFailures: "demasiadas entradas fallidas; inténtelo más tarde"}
}

// refusals turns the refusal of the guard into a reply.
type refusals struct {
	*guard.Guard
	metrics *metrics.Metrics
}

// Before implements pop3server.Guard.
func (r refusals) Before(ctx context.Context, remote netip.Addr, name string) error {
	began := time.Now()
	err := r.Guard.Before(ctx, remote, name)
	r.metrics.Guard(time.Since(began), errors.Is(err, guard.ErrTooMany))
	if errors.Is(err, guard.ErrTooMany) {
		// Not [AUTH]: the password may be right, and must not be thrown away.
		return &pop3.Error{Code: pop3.CodeSysTemp, Text: tooManyFailures}
	}
	return err
}
