// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

// notingGuard lets everybody pass and remembers what came out.
type notingGuard struct {
	mu  sync.Mutex
	got []string
}

func (*notingGuard) Before(context.Context, netip.Addr, string) error { return nil }

func (g *notingGuard) After(_ netip.Addr, name string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.got = append(g.got, fmt.Sprint(name, " ", ok))
}

// told returns what the guard was told since it was asked last.
func (g *notingGuard) told() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() { g.got = nil }()
	return strings.Join(g.got, ", ")
}

func withAPOP(o *pop3mem.Store) *pop3server.Options {
	opt := withTLS(o)
	opt.Mechanisms, opt.Hostname = policies{"APOP": pop3server.PolicyOn}, "mail.example.org"
	return opt
}

var greeting = regexp.MustCompile(`^\+OK POP3 server ready (<[0-9a-f]{32}@mail\.example\.org>)$`)

// timestamp reads the greeting and returns its timestamp.
func (c *client) timestamp() string {
	c.t.Helper()
	found := greeting.FindStringSubmatch(c.line())
	if found == nil {
		c.t.Fatal("the greeting has no timestamp")
	}
	return found[1]
}

func apop(name, timestamp, secret string) string {
	sum := md5.Sum([]byte(timestamp + secret))
	return "APOP " + name + " " + hex.EncodeToString(sum[:])
}

func TestAPOP(t *testing.T) {
	o := office(t, "a\n\n1\n")
	o.AddUser("bob", "secret")
	if err := errors.Join(o.Disable("bob"), o.AddPassword("ana", "another", "phone"), o.AddView(t.Context(), "ana", "phone", time.Time{})); err != nil {
		t.Fatal(err)
	}
	guard := &notingGuard{}
	opt := withAPOP(o)
	opt.Guard, opt.Limits.Failures = guard, -1
	s := serve(t, opt)

	first := dial(t, s, "192.0.2.1")
	old := first.timestamp()
	first.ask(apop("ana", old, "secret"), "+OK 1 messages")
	first.ask("APOP ana x", "-ERR you are signed in already")
	first.ask("QUIT", "+OK")
	if got := guard.told(); got != "ana true" {
		t.Errorf("the guard was told %s", got)
	}

	c := dial(t, s, "192.0.2.1")
	now := c.timestamp()
	if now == old {
		t.Fatal("the timestamp came twice")
	}
	var refusals []string
	for _, line := range []string{
		apop("ana", now, "wrong"), apop("nobody", now, "secret"), apop("bob", now, "secret"), apop("ana", now, ""),
		apop("ana", old, "secret"), // a replay
	} {
		refusals = append(refusals, c.ask(line, "-ERR [AUTH] "))
	}
	for _, r := range refusals {
		if r != refusals[0] {
			t.Errorf("refusals differ: %q", refusals)
		}
	}
	if got := guard.told(); got != "ana false, nobody false, bob false, ana false, ana false" {
		t.Errorf("the guard was told %s", got)
	}
	for _, line := range []string{"APOP", "APOP ana", "APOP ana 12", "APOP ana " + strings.Repeat("g", 32), "APOP ana x y", apop("ana", now, "secret") + "00"} {
		c.ask(line, "-ERR APOP takes")
	}
	c.ask(apop("ana", now, "another"), "+OK 1 messages")
	if s := s.Sessions(); len(s) != 1 || s[0].Mechanism != "APOP" || s[0].View != "phone" {
		t.Errorf("sessions %+v", s)
	}
	c.ask("QUIT", "+OK")

	// The timestamp is that of the greeting under TLS too: there is no other.
	c = dial(t, s, "192.0.2.1")
	now = c.timestamp()
	c.ask("STLS", "+OK")
	c.startTLS(clientTLS())
	c.ask(apop("ana", now, "secret"), "+OK")
}

// Unless it is asked for, and where it could let nobody in, there is no APOP.
func TestAPOPIsOff(t *testing.T) {
	nobody := pop3mem.New(nil)
	for name, opt := range map[string]*pop3server.Options{
		"default": options(office(t)), "nobody has a secret": withAPOP(nobody), "no such directory": withAPOP(office(t)),
	} {
		if name == "no such directory" {
			opt.Directory = struct{ maildrop.Directory }{opt.Directory}
		}
		c := dial(t, serve(t, opt), "")
		if got := c.line(); got != "+OK POP3 server ready" {
			t.Errorf("%s: %q", name, got)
		}
		c.ask(apop("ana", "", "secret"), "-ERR there is no such command")
	}
	// Where it is required, there is nothing else.
	opt := withAPOP(office(t))
	opt.Mechanisms["APOP"] = pop3server.PolicyRequired
	c := dial(t, serve(t, opt), "")
	now := c.timestamp()
	if got := c.announced(); got != "" {
		t.Errorf("announced: %s", got)
	}
	c.ask("USER ana", "-ERR")
	c.ask(apop("ana", now, "secret"), "+OK")
}

func TestAPOPWithoutDirectory(t *testing.T) {
	o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
		if op == pop3mem.OpSignIn {
			return errors.New("connection refused")
		}
		return nil
	}})
	o.AddUser("ana", "secret")
	c := dial(t, serve(t, withAPOP(o)), "")
	now := c.timestamp()
	for range 5 { // none of them counts as a guess
		c.ask(apop("ana", now, "secret"), "-ERR [SYS/TEMP] ")
	}
}

// A host name with anything in it that a msg-id has not is not sent.
func TestAPOPHostname(t *testing.T) {
	for _, name := range []string{"", "a b", "x>\r\n+OK", "ñ.example", strings.Repeat("a", 300)} {
		opt := withAPOP(office(t))
		opt.Hostname = name
		c := dial(t, serve(t, opt), "")
		if got := c.line(); !strings.HasSuffix(got, "@localhost>") {
			t.Errorf("%q: %q", name, got)
		}
	}
}
