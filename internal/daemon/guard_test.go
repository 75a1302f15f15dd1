// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"restante.example/internal/config"
)

// However a client writes the name of a user, the budget of guesses is that of
// the user: without local_domains there are as many spellings as domains.
func TestSpellingsShareABudget(t *testing.T) {
	_, l := begin(t, testConfig(t, config.Flags{}))
	addUser(t, l.server, "u1")
	guesser, owner := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	for _, name := range []string{"u1", "U1", "u1@a.example", "u1@b.example", "U1@C.example"} {
		l.server.guard.After(guesser, name, false)
	}
	for _, name := range []string{"u1", "u1@d.example"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := l.server.guard.Before(ctx, owner, name); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s after five failures under other spellings: %v", name, err)
		}
		cancel()
	}
	if err := l.server.guard.Before(t.Context(), owner, "u2@a.example"); err != nil {
		t.Errorf("another account: %v", err)
	}
}
