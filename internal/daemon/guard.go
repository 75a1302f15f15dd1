// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net/netip"

	"restante.example/internal/guard"
	"restante.example/pop3"
)

// refusals turns the refusal of the guard into a reply.
type refusals struct{ *guard.Guard }

// Before implements pop3server.Guard.
func (r refusals) Before(ctx context.Context, remote netip.Addr, name string) error {
	err := r.Guard.Before(ctx, remote, name)
	if errors.Is(err, guard.ErrTooMany) {
		// Not [AUTH]: the password may be right, and must not be thrown away.
		return &pop3.Error{Code: pop3.CodeSysTemp, Text: "too many failed sign-ins, try again later"}
	}
	return err
}
