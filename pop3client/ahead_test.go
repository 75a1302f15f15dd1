// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// handed is a Dialer that hands over a connection that is there.
type handed struct{ conn net.Conn }

func (h handed) DialContext(context.Context, string, string) (net.Conn, error) { return h.conn, nil }

const greetedPipelining = `
	S: +OK ready
	C: CAPA
	S: +OK
	S: PIPELINING
	S: UTF8
	S: .
	C: UTF8
	S: +OK
	C: USER u1
	S: +OK
	C: PASS secret
	S: +OK
	`

const looked = `
	C: CAPA
	S: +OK
	S: EXPIRE 7
	S: .
	C: STAT
	S: +OK 1 10
	C: UIDL
	S: +OK
	S: 1 a
	S: .
	C: QUIT
	S: +OK`

// look asks what every poll asks, and wants the answers of looked.
func look(t *testing.T, c *Client) {
	t.Helper()
	ctx := t.Context()
	caps, err := c.Capabilities(ctx)
	if days, _, _ := caps.Expire(); days != 7 || err != nil {
		t.Fatal(caps, err)
	}
	if n, octets, err := c.Stat(ctx); n != 1 || octets != 10 || err != nil {
		t.Fatal(n, octets, err)
	}
	for row, err := range c.UIDL(ctx) {
		if row.UID != "a" || err != nil {
			t.Fatal(row, err)
		}
	}
	if err := c.Quit(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestAhead counts round trips: UTF8 goes with USER, and CAPA, STAT and UIDL go
// together, where the server pipelines.
func TestAhead(t *testing.T) {
	const trip = 20 * time.Millisecond
	for _, test := range []struct {
		name  string
		opt   Options
		trips time.Duration
	}{
		// Greeting (half a trip), CAPA, UTF8 and USER, PASS, the look, QUIT.
		{"pipelined", Options{}, 5},
		{"singly", Options{NoPipelining: true}, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opt := test.opt
				opt.InsecurePassword, opt.UTF8 = true, true
				start := time.Now()
				c, err := New(t.Context(), dialed(t, farAway{handed{script(t, greetedPipelining+looked)}, trip / 2}), &opt)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.SignIn(t.Context(), u1); err != nil {
					t.Fatal(err)
				}
				if !c.utf8 {
					t.Error("the reply to UTF8 was not noticed")
				}
				if err := c.Ahead(t.Context(), "CAPA", "STAT", "UIDL"); err != nil {
					t.Fatal(err)
				}
				look(t, c)
				if took := time.Since(start); took != trip/2+test.trips*trip {
					t.Errorf("took %v, want half a round trip and %d", took, test.trips)
				}
			})
		})
	}
}

// TestAheadNotAnnounced: then nothing is sent, and all is asked for in its turn.
func TestAheadNotAnnounced(t *testing.T) {
	c := scripted(t, &Options{InsecurePassword: true, SkipCapabilities: true}, `
		C: STAT
		S: +OK 1 10`)
	if err := c.Ahead(t.Context(), "CAPA", "UIDL", "STAT"); err != nil {
		t.Fatal(err)
	}
	if n, _, err := c.Stat(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// piped returns a client of a server with PIPELINING that is signed in.
func piped(t *testing.T, conversation string) *Client {
	t.Helper()
	return signingIn(t, &Options{InsecurePassword: true}, strings.Replace(greetedPipelining, "C: UTF8\n\tS: +OK\n", "", 1)+conversation)
}

// TestAheadInOrder: another command than the one whose reply comes next is
// refused here, and a refusal by the server is no reason to stop.
func TestAheadInOrder(t *testing.T) {
	c := piped(t, `
		C: STAT
		C: UIDL
		S: -ERR [SYS/TEMP] later
		S: -ERR what?
		C: NOOP
		S: +OK`)
	ctx := t.Context()
	if err := c.Ahead(ctx, "STAT", "DELE 1"); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if err := c.Ahead(ctx, "STAT", "UIDL"); err != nil {
		t.Fatal(err)
	}
	for range c.UIDL(ctx) {
		break
	}
	if err := c.Noop(ctx); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if _, _, err := c.Stat(ctx); !isRefusal(err) {
		t.Error(err)
	}
	for _, err := range c.UIDL(ctx) {
		if !isRefusal(err) {
			t.Error(err)
		}
	}
	if err := c.Noop(ctx); err != nil {
		t.Error(err)
	}
}

// TestAheadLost: a server that fails at what comes together is told from others.
func TestAheadLost(t *testing.T) {
	for _, conversation := range []string{"C: STAT\nC: UIDL", "C: STAT\nC: UIDL\nS: +OK 0 0", "C: STAT\nC: UIDL\nS: nonsense"} {
		c := piped(t, conversation)
		if err := c.Ahead(t.Context(), "STAT", "UIDL"); err != nil {
			t.Fatal(err)
		}
		_, _, err := c.Stat(t.Context())
		for _, uidl := range c.UIDL(t.Context()) {
			err = errors.Join(err, uidl)
		}
		if !errors.Is(err, ErrPipelining) {
			t.Errorf("%q: %v", conversation, err)
		}
	}
}

// TestUTF8WithSignIn: refused, it changes nothing; a server that loses what
// follows it is ErrPipelining; and it is not sent where nothing follows.
func TestUTF8WithSignIn(t *testing.T) {
	capa := "S: +OK\nC: CAPA\nS: +OK\nS: PIPELINING\nS: UTF8\nS: .\n"
	for _, test := range []struct {
		conversation string
		opt          Options
		want         error
		utf8         bool
	}{
		{capa + "C: UTF8\nC: USER u1\nS: -ERR not today\nS: +OK\nC: PASS secret\nS: +OK", Options{InsecurePassword: true}, nil, false},
		{capa + "C: UTF8\nC: USER u1\nS: +OK", Options{InsecurePassword: true}, ErrPipelining, true},
		{capa + "C: UTF8\nC: USER u1", Options{InsecurePassword: true}, ErrPipelining, false},
		{capa + "C: QUIT\nS: +OK", Options{}, ErrClearText, false},
	} {
		test.opt.UTF8 = true
		c, err := New(t.Context(), script(t, test.conversation), &test.opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), u1); !errors.Is(err, test.want) || c.utf8 != test.utf8 {
			t.Errorf("%q: %v, UTF8 %t", test.conversation, err, c.utf8)
		}
		if c.Err() == nil && test.want != nil {
			if err := c.Quit(t.Context()); err != nil {
				t.Error(err)
			}
		}
		_ = c.Close()
	}
}
