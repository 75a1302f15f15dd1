// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"restante.example/pop3server"
	"restante.example/sasl"
)

// connect dials a listener and reads the greeting.
func connect(t *testing.T, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	c.want("+OK")
	return c
}

// announced is what CAPA says of signing in: SASL's list, and "USER" at its end.
func (c *client) announced() string {
	c.t.Helper()
	var list, user string
	for _, line := range c.multi("CAPA") {
		if rest, ok := strings.CutPrefix(line, "SASL "); ok {
			list = rest
		}
		if line == "USER" {
			user = " USER"
		}
	}
	if got := strings.Join(c.multi("AUTH"), " "); got != list {
		c.t.Errorf("CAPA lists %q and AUTH %q", list, got)
	}
	return strings.TrimSpace(list + user)
}

type policies = map[string]pop3server.Policy

// A listener has its own rules, what it leaves open is as in Options, and a new
// connection has those of the latest Reconfigure.
func TestListenersHaveRules(t *testing.T) {
	o := office(t)
	opt := options(o)
	opt.Mechanisms = policies{"LOGIN": pop3server.PolicyOff, "scram-sha-1": pop3server.PolicyOn}
	opt.Listeners = map[string]pop3server.Rules{
		"on":       {Mechanisms: policies{"LOGIN": pop3server.PolicyOn, "PLAIN": pop3server.PolicyOff}},
		"clear":    {ClearText: pop3server.ClearTextNever},
		"required": {Mechanisms: policies{"SCRAM-SHA-256": pop3server.PolicyRequired}},
		"tls":      {TLSConfig: serverTLS()},
		"plus":     {TLSConfig: serverTLS(), Mechanisms: policies{"SCRAM-SHA-256-PLUS": pop3server.PolicyRequired}},
	}
	s := pop3server.New(opt)
	at := func(name string) string {
		addr := listen(t, func(l net.Listener) error { return s.ServeListener(l, name, false) })
		t.Cleanup(func() { s.Close() }) // before the wait of listen
		return addr
	}
	required := at("required")
	for name, want := range map[string]string{
		"other": "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN USER",
		"on":    "SCRAM-SHA-256 SCRAM-SHA-1 LOGIN USER",
		"clear": "SCRAM-SHA-256 SCRAM-SHA-1",
	} {
		if got := connect(t, at(name)).announced(); got != want {
			t.Errorf("%s announces %s, want %s", name, got, want)
		}
	}

	// What is not required is refused there, right passwords too.
	c := connect(t, required)
	if got := c.announced(); got != "SCRAM-SHA-256" {
		t.Errorf("only what is required: %s", got)
	}
	c.ask("USER ana", "-ERR that is no way to sign in here")
	c.ask("PASS secret", "-ERR that is no way to sign in here")
	c.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "-ERR that mechanism is not offered")
	if got := c.authenticate(sasl.SCRAMClient("SHA-1", "", "ana", "secret", false)); got != "-ERR that mechanism is not offered" {
		t.Errorf("SCRAM-SHA-1 where SCRAM-SHA-256 is required: %q", got)
	}
	if got := c.authenticate(sasl.SCRAMClient("SHA-256", "", "ana", "secret", false)); !strings.HasPrefix(got, "+OK") {
		t.Errorf("what is required: %q", got)
	}
	c.ask("QUIT", "+OK")

	// TLS on one listener only.
	c = connect(t, required)
	c.ask("STLS", "-ERR")
	c = connect(t, at("tls"))
	c.ask("STLS", "+OK")
	c.startTLS(clientTLS())
	if got := c.announced(); got != "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN USER" {
		t.Errorf("under TLS: %s", got)
	}

	// Where PLUS is required, neither SCRAM without it nor before TLS will do.
	c = connect(t, at("plus"))
	if got := c.announced(); got != "" {
		t.Errorf("PLUS before TLS: %s", got)
	}
	c.ask("STLS", "+OK")
	state := c.startTLS(clientTLS())
	if got := c.announced(); got != "SCRAM-SHA-256-PLUS" {
		t.Errorf("PLUS is required: %s", got)
	}
	if got := c.authenticate(sasl.SCRAMClient("SHA-256", "", "ana", "secret", false)); got != "-ERR that mechanism is not offered" {
		t.Errorf("SCRAM where PLUS is required: %q", got)
	}
	plus := sasl.SCRAMPlusClient("SHA-256", "", "ana", "secret", sasl.ClientBindings(state)[0])
	if got := c.authenticate(plus); !strings.HasPrefix(got, "+OK") {
		t.Errorf("PLUS: %q", got)
	}

	old := connect(t, required)
	opt.Listeners = map[string]pop3server.Rules{"required": {Mechanisms: policies{"PLAIN": pop3server.PolicyRequired}}}
	s.Reconfigure(opt)
	opt.Listeners["required"] = pop3server.Rules{} // the server has its own copy
	if got := connect(t, required).announced(); got != "PLAIN" {
		t.Errorf("after Reconfigure: %s", got)
	}
	if got := old.announced(); got != "SCRAM-SHA-256" {
		t.Errorf("a connection of before: %s", got)
	}
}

// ServeListener shows the certificate of its rules, and asks for one.
func TestServeListenerTLS(t *testing.T) {
	opt := options(office(t))
	opt.Listeners = map[string]pop3server.Rules{"pop3s": {TLSConfig: serverTLS()}}
	s := pop3server.New(opt)
	addr := listen(t, func(l net.Listener) error { return s.ServeListener(l, "pop3s", true) })
	t.Cleanup(func() { s.Close() })
	nc, err := tls.Dial("tcp", addr, clientTLS())
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, nc).signIn()
	if v := nc.ConnectionState(); v.NegotiatedProtocol != "pop3" {
		t.Errorf("protocol %q: the configuration is not hardened", v.NegotiatedProtocol)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ServeListener(l, "other", true); err == nil || err == pop3server.ErrServerClosed {
		t.Errorf("TLS without a certificate: %v", err)
	}
}

// slowAddress is a connection that does not know its address yet, as behind a
// proxy that has not said it.
type slowAddress struct {
	net.Conn
	known chan struct{}
}

func (c slowAddress) RemoteAddr() net.Addr { <-c.known; return c.Conn.RemoteAddr() }

// slowFirst makes the first connection of a listener one of those.
type slowFirst struct {
	net.Listener
	known chan struct{}
	taken bool
}

func (l *slowFirst) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err == nil && !l.taken {
		l.taken = true
		return slowAddress{nc, l.known}, nil
	}
	return nc, err
}

// A connection whose address takes its time keeps nobody else out.
func TestAcceptWaitsForNobody(t *testing.T) {
	s := pop3server.New(options(office(t)))
	known := make(chan struct{})
	addr := listen(t, func(l net.Listener) error { return s.ServeListener(&slowFirst{Listener: l, known: known}, "", false) })
	t.Cleanup(func() { s.Close() })
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	slow := newClient(t, nc)
	nc2, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc2.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	other := newClient(t, nc2)
	answered := t.Run("the next one", func(t *testing.T) { other.t = t; other.signIn().ask("QUIT", "+OK") })
	close(known)
	if answered {
		slow.want("+OK")
	}
}
