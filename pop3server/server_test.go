// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"restante.example/maildrop"
	"restante.example/pop3server"
)

// New options are for new connections.
func TestReconfigure(t *testing.T) {
	o := office(t)
	s := serve(t, options(o))
	old := dial(t, s, "")
	old.want("+OK")
	opt := options(o)
	opt.Implementation = "second\r\nline"
	s.Reconfigure(opt)
	opt.Implementation = "changed after it was copied"
	if got := strings.Join(old.multi("CAPA"), "|"); !strings.HasSuffix(got, "IMPLEMENTATION restante") {
		t.Errorf("the old connection: %s", got)
	}
	c := dial(t, s, "")
	c.want("+OK")
	if got := strings.Join(c.multi("CAPA"), "|"); !strings.HasSuffix(got, "IMPLEMENTATION second??line") {
		t.Errorf("the new connection: %s", got)
	}
}

// panicking is a store with a fault.
type panicking struct{ maildrop.Snapshot }

func (panicking) Octets() int64 { panic("a fault") }

func TestFaultEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		o := office(t, "a\n\n1\n")
		opt := options(o)
		opt.Logger = log.logger()
		s := serve(t, opt)
		other := dial(t, s, "")
		other.want("+OK")
		broken := *opt
		broken.Store = storeOf(o, func(s maildrop.Snapshot) maildrop.Snapshot { return panicking{s} })
		s.Reconfigure(&broken)
		c := dial(t, s, "")
		c.want("+OK")
		c.ask("USER ana", "+OK")
		c.send("PASS secret")
		c.rest()
		synctest.Wait()
		other.ask("USER ana", "+OK")
		other.ask("PASS secret", "+OK")
		if got := log.String(); !strings.Contains(got, "internal error") || !strings.Contains(got, "signin.go") {
			t.Errorf("the log has no stack: %s", got)
		}
	})
}

// One line per session, one regular line per refusal, an id on each, and the
// trace of the users that were asked for, without secrets.
func TestLogAndTrace(t *testing.T) {
	var log lockedBuffer
	o := office(t, "Subject: hidden\n\n1\n")
	opt := withTLS(o)
	opt.Logger = log.logger()
	opt.Trace = func(name string) bool { return name == "ana" }
	opt.ClearText = pop3server.InsecureClearTextEverywhere
	s := serve(t, opt)
	c := dial(t, s, "192.0.2.9")
	c.want("+OK")
	c.ask("USER bea", "+OK")
	c.ask("PASS hunter2", "-ERR")
	c.ask("AUTH PLAIN AGFuYQB3cm9uZw==", "-ERR [AUTH]")
	c.ask("AUTH NTLM", "-ERR") // the program goes on all the same
	c.ask("YW5h", "-ERR")
	c.ask("Astray42", "-ERR")
	c.ask("AUTH PLAIN", "+ ")
	c.ask("AGFuYQBzZWNyZXQ=", "+OK")
	c.ask("Astray42 7", "-ERR")
	c.ask("LIST 1", "+OK")
	c.ask("RETR 1", "+OK")
	c.text()
	c.ask("DELE 1", "+OK")
	c.ask("QUIT", "+OK")
	c.ended()
	s.Close()
	got := log.String()
	for _, want := range []string{
		`msg="sign-in refused" conn=c1 remote=192.0.2.9 user=bea mechanism=USER reason=credentials`,
		`msg="sign-in refused" conn=c1 remote=192.0.2.9 user=ana mechanism=PLAIN reason=credentials`,
		`msg="session ended" conn=c1 user=ana device="" view="" remote=192.0.2.9 tls="" mechanism=PLAIN retrieved=1 top=0 deleted=1 left=0`,
		`msg=trace conn=c1 from=C line="AUTH PLAIN"`, `msg=trace conn=c1 from=C line=****`,
		`msg=trace conn=c1 from=C line="LIST 1"`, `msg=trace conn=c1 from=S line="+OK 22 octets"`, `end=quit`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %s", want)
		}
	}
	for _, secret := range []string{"hunter2", "secret", "AGFuYQ", "hidden", "ASTRAY42", "YW5H", "from=C line=\"USER bea"} {
		if strings.Contains(got, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if strings.Count(got, "session ended") != 1 {
		t.Error("not one line for the session")
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestServe(t *testing.T) {
	s := pop3server.New(options(office(t, "a\n\n1\n")))
	addr := listen(t, s.Serve)
	t.Cleanup(func() { s.Close() })
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn).signIn()
	c.ask("DELE 1", "+OK")
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.want("-ERR [SYS/TEMP]")
	c.ended()
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the port is still open")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != pop3server.ErrServerClosed {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

// tired is a listener that fails for a while, as when file descriptors run out.
type tired struct {
	net.Listener
	conns  chan net.Conn
	fail   int
	closed chan struct{}
}

type temporary struct{ error }

func (temporary) Timeout() bool   { return false }
func (temporary) Temporary() bool { return true }

func (l *tired) Accept() (net.Conn, error) {
	if l.fail--; l.fail >= 0 {
		return nil, temporary{errors.New("too many open files")}
	}
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *tired) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func TestServeOutlivesTemporaryFailures(t *testing.T) {
	inTime(t, nil, func(t timed) {
		l := &tired{conns: make(chan net.Conn), fail: 20, closed: make(chan struct{})}
		ended := make(chan error)
		go func() { ended <- t.server.Serve(l) }()
		mine, theirs := net.Pipe()
		l.conns <- theirs
		newClient(t, mine).signIn().ask("QUIT", "+OK")
		if err := t.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != pop3server.ErrServerClosed {
			t.Errorf("Serve ended with %v", err)
		}
	})
}

func TestServeEndsWhenItsListenerFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := serve(t, options(office(t))).Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve ended with %v", err)
	}
}

// A Unix socket is this machine.
func TestUnixSocket(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "pop3"))
	if err != nil {
		t.Fatal(err)
	}
	s := pop3server.New(options(office(t)))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, conn).signIn().ask("QUIT", "+OK")
	s.Close()
	if err := <-ended; err != pop3server.ErrServerClosed {
		t.Errorf("Serve ended with %v", err)
	}
}

// Whoever has read the answer to QUIT can sign in again at once, also where a
// user may have one session only.
func TestSignInRightAfterQuit(t *testing.T) {
	opt := options(office(t, "a\n\n1\n"))
	opt.Limits.PerUser = 1
	s := serve(t, opt)
	for i := range 100 {
		c := dial(t, s, "").signIn()
		if i == 50 {
			c.ask("DELE 1", "+OK")
		}
		c.ask("QUIT", "+OK")
	}
}
