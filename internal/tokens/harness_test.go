// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"restante.example/internal/tokens/tokenstest"
	"restante.example/maildrop"
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// desk is a checker, its provider and their clock.
type desk struct {
	Checker
	*tokenstest.Provider
	clock *clock
	log   lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// openDesk starts a provider and makes a checker for it. The clock stands at a
// whole second, as the times in tokens do.
func openDesk(t *testing.T, change func(*Options)) *desk {
	t.Helper()
	d := &desk{Provider: tokenstest.New(t), clock: &clock{at: time.Now().Truncate(time.Second)}}
	d.SetClock(d.clock.now)
	o := Options{Issuer: d.Issuer, Audience: []string{"other", tokenstest.Audience}, ClockSkew: time.Minute, Timeout: 5 * time.Second, Roots: d.CA}
	if change != nil {
		change(&o)
	}
	var err error
	d.Checker, err = New(o, Environment{
		Account: strings.ToLower,
		User: func(name string) (string, error) {
			if strings.HasSuffix(name, "@elsewhere.example") {
				return "", errors.New("that domain is another's")
			}
			return strings.ToLower(name), nil
		},
		Logger: slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    d.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// asking is a change of options to introspection.
func asking(more func(*Options)) func(*Options) {
	return func(o *Options) {
		o.Introspection = o.Issuer + tokenstest.IntrospectionPath
		o.ClientID, o.Secret, o.Cache = tokenstest.ClientID, tokenstest.Secret, time.Minute
		if more != nil {
			more(o)
		}
	}
}

// check checks a token, and that it is in neither error nor log.
func (d *desk) check(t *testing.T, name, token string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	user, err := d.CheckToken(ctx, maildrop.Attempt{Name: name, Mechanism: "OAUTHBEARER", TLS: true}, token)
	told := d.log.String()
	if err != nil {
		told += err.Error()
	}
	parts := append(strings.Split(token, "."), token, tokenstest.Secret)
	for _, part := range parts {
		if len(part) > 8 && strings.Contains(told, part) {
			t.Errorf("a token or secret shows: %s", told)
		}
	}
	if len(told) > 64<<10 {
		t.Errorf("%d octets are said about a token", len(told))
	}
	return user, err
}

// takes fails the test unless a token signs somebody in.
func (d *desk) takes(t *testing.T, token, want string) {
	t.Helper()
	if user, err := d.check(t, "", token); err != nil || user != want {
		t.Errorf("the user is %q, want %q: %v", user, want, err)
	}
}

// refuses fails the test unless a token is refused for a reason.
func (d *desk) refuses(t *testing.T, token, why string) {
	t.Helper()
	user, err := d.check(t, "", token)
	var refusal *maildrop.TokenError
	switch {
	case err == nil:
		t.Errorf("the token signs %q in; want %q", user, why)
	case !errors.Is(err, maildrop.ErrCredentials) || !errors.As(err, &refusal):
		t.Errorf("%v is no refusal; want %q", err, why)
	case !strings.Contains(err.Error(), why):
		t.Errorf("refused with %v; want %q", err, why)
	case refusal.Config != d.Issuer+tokenstest.DiscoveryPath:
		t.Errorf("the client is led to %q", refusal.Config)
	}
}

// tooLong stands for the many ways in which net/http says so.
const tooLong = "the provider has taken too long"

// cannotTell fails the test unless nothing can be told about a token.
func (d *desk) cannotTell(t *testing.T, token, why string) {
	t.Helper()
	user, err := d.check(t, "", token)
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() && why == tooLong {
		why = ""
	}
	if err == nil || errors.Is(err, maildrop.ErrCredentials) || !strings.Contains(err.Error(), why) {
		t.Errorf("%q, %v; want that it cannot be told: %q", user, err, why)
	}
}

// idle waits until the checker has nothing under way.
func (d *desk) idle(t *testing.T) {
	t.Helper()
	keys := d.Checker.(*signed).keys
	keys.mu.Lock()
	running := keys.running
	keys.mu.Unlock()
	if running == nil {
		return
	}
	select {
	case <-running:
	case <-time.After(20 * time.Second):
		t.Fatal("the keys are not there after 20 s")
	}
}
