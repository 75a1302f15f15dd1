// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

// More than so many that have not signed in, and the one that was idle for
// longest goes; who is signed in stays.
func TestLongestIdleMakesRoom(t *testing.T) {
	inTime(t, func(opt *pop3server.Options) { opt.Limits.Unauthenticated = 3 }, func(t timed) {
		user := dial(t, t.server, "").signIn()
		var waiting []*client
		for range 3 {
			c := dial(t, t.server, "")
			c.want("+OK")
			waiting = append(waiting, c)
			time.Sleep(time.Second)
		}
		waiting[0].ask("CAPA", "+OK")
		waiting[0].text() // so that the second is the longest idle
		words := waiting[1].lastWords()
		fourth := dial(t, t.server, "")
		fourth.want("+OK")
		if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
			t.Errorf("the one that made room was told %q", got)
		}
		if end := <-t.ends; end != pop3server.EndEvicted {
			t.Errorf("ended because of %q", end)
		}
		waiting[0].ask("QUIT", "+OK")
		waiting[2].ask("QUIT", "+OK")
		user.ask("STAT", "+OK")
		synctest.Wait()
		if all, waiting := t.server.Connections(); all != 2 || waiting != 1 {
			t.Errorf("%d connections, %d not signed in", all, waiting)
		}
	})
}

func TestLimitPerAddress(t *testing.T) {
	opt := options(office(t))
	opt.Limits.PerAddress = 2
	opt.ClearText = pop3server.InsecureClearTextEverywhere
	s := serve(t, opt)
	open := func(from, want string) *client {
		t.Helper()
		c := dial(t, s, from)
		c.want(want)
		return c
	}
	first := open("192.0.2.1", "+OK")
	open("192.0.2.1", "+OK")
	open("192.0.2.1", "-ERR [SYS/TEMP]").ended()
	open("::ffff:192.0.2.1", "-ERR [SYS/TEMP]").ended() // the same by another name
	open("192.0.2.2", "+OK")
	open("2001:db8::1", "+OK")
	open("2001:db8::2", "+OK")
	open("2001:db8::3", "-ERR [SYS/TEMP]").ended() // one host has a whole /64
	open("2001:db8:0:1::1", "+OK")
	first.ask("USER ana", "+OK")
	first.ask("PASS secret", "+OK") // signed in, it counts no more
	open("192.0.2.1", "+OK")
}

func TestLimitInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := office(t)
		o.AddUser("bea", "secret")
		opt := options(o)
		opt.Limits.Sessions = 2
		s := serve(t, opt)
		ana := dial(t, s, "").signIn()
		bea := dial(t, s, "")
		bea.want("+OK")
		bea.ask("USER bea", "+OK")
		bea.ask("PASS secret", "+OK")
		c := dial(t, s, "")
		c.want("-ERR [SYS/TEMP]")
		c.ended()
		ana.ask("QUIT", "+OK")
		ana.ended()
		synctest.Wait()
		dial(t, s, "").want("+OK")
	})
}

func TestLimitPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := office(t)
		for i := range 3 {
			view := maildrop.View(fmt.Sprint("device-", i))
			if err := o.AddView(t.Context(), "ana", view, time.Time{}); err != nil {
				t.Fatal(err)
			}
			if err := o.AddPassword("ana", string(view), view); err != nil {
				t.Fatal(err)
			}
		}
		opt := options(o)
		opt.Limits.PerUser = 2
		s := serve(t, opt)
		sign := func(i int, want string) *client {
			t.Helper()
			c := dial(t, s, "")
			c.want("+OK")
			c.ask("USER ana", "+OK")
			c.ask(fmt.Sprint("PASS device-", i), want)
			return c
		}
		first := sign(0, "+OK")
		sign(1, "+OK")
		third := sign(2, "-ERR [IN-USE] there are too many sessions")
		first.ask("QUIT", "+OK")
		first.ended()
		synctest.Wait()
		third.ask("USER ana", "+OK")
		third.ask("PASS device-2", "+OK") // so the refusal had let go of the view

		if err := o.SetLimits("ana", pop3mem.Limits{Sessions: 3}); err != nil {
			t.Fatal(err)
		}
		sign(0, "+OK") // the directory's limit counts
	})
}

func TestWrongCommandsInARow(t *testing.T) {
	opt := options(office(t))
	opt.Limits.WrongCommands = 3
	c := dial(t, serve(t, opt), "").signIn()
	for range 10 {
		c.ask("XTND", "-ERR")
		c.ask("XTND", "-ERR")
		c.ask("NOOP", "+OK")
	}
	c.ask("LIST 7", "-ERR") // no such message, but a good command
	c.ask("XTND", "-ERR")
	c.ask("XTND", "-ERR")
	c.ask("XTND", "-ERR")
	c.want("-ERR too many")
	c.ended()
}

func TestSessionsAndEnd(t *testing.T) {
	o := office(t, "a\n\n1\n")
	o.AddUser("bea", "secret")
	opt := withTLS(o)
	ends := make(chan pop3server.Summary, 10)
	opt.OnEnd = func(s pop3server.Summary) { ends <- s }
	s := serve(t, opt)
	ana := dial(t, s, "").signIn()
	ana.ask("RETR 1", "+OK")
	ana.text()
	ana.ask("DELE 1", "+OK")
	bea, _ := overTLS(t, s, 0)
	bea.ask("AUTH PLAIN AGJlYQBzZWNyZXQ=", "+OK")
	list := s.Sessions()
	if len(list) != 2 || list[0].User != "ana" || list[0].Retrieved != 1 || list[0].Deleted != 1 || list[0].Out == 0 ||
		list[1].User != "bea" || list[1].TLS != "TLS 1.3" || list[1].Mechanism != "PLAIN" || list[1].Remote.String() != "192.0.2.1" {
		t.Errorf("sessions: %+v", list)
	}
	words := ana.lastWords()
	if n := s.End(func(i pop3server.SessionInfo) bool { return i.User == "ana" }); n != 1 {
		t.Errorf("%d sessions were ended", n)
	}
	if list := s.Sessions(); len(list) != 1 || list[0].User != "bea" {
		t.Errorf("after the end: %+v", list)
	}
	if end := <-ends; end.End != pop3server.EndRevoked || end.User != "ana" || end.Deleted != 0 || end.Left != 1 {
		t.Errorf("summary: %+v", end)
	}
	if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
		t.Errorf("it was told %q", got)
	}
	if len(o.Messages("ana")) != 1 {
		t.Error("a message was deleted")
	}
	bea.ask("NOOP", "+OK")
}

// A sign-in that was checked before a revocation and would become a session
// after it is not let in.
func TestEndCatchesWhoIsSigningIn(t *testing.T) {
	opening, goOn := make(chan struct{}), make(chan struct{})
	o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
		if op == pop3mem.OpOpen {
			opening <- struct{}{}
			<-goOn
		}
		return nil
	}})
	o.AddUser("ana", "secret")
	s := serve(t, options(o))
	c := dial(t, s, "")
	c.want("+OK")
	c.ask("USER ana", "+OK")
	c.send("PASS secret")
	<-opening
	s.End(func(pop3server.SessionInfo) bool { return true })
	close(goOn)
	c.want("-ERR [SYS/TEMP]")
	c.ask("USER ana", "+OK")
	c.send("PASS secret")
	<-opening
	c.want("+OK")
}

// A view that is dropped ends its session at the next command.
func TestRevokedByTheStore(t *testing.T) {
	o := office(t, "a\n\n1\n")
	if err := o.AddView(t.Context(), "ana", "phone", time.Time{}); err != nil {
		t.Fatal(err)
	}
	c := dial(t, serve(t, options(o)), "").signIn()
	c.ask("DELE 1", "+OK")
	if err := o.DropView(t.Context(), "ana", maildrop.Classic); err != nil {
		t.Fatal(err)
	}
	c.ask("QUIT", "-ERR [SYS/TEMP]")
	c.ended()
	if len(o.MessagesIn("ana", "phone")) != 1 {
		t.Error("a message was deleted")
	}
}

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
	c.ask("AUTH PLAIN", "+ ")
	c.ask("AGFuYQBzZWNyZXQ=", "+OK")
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
		`msg="session ended" conn=c1 user=ana view="" remote=192.0.2.9 tls="" mechanism=PLAIN retrieved=1 top=0 deleted=1 left=0`,
		`msg=trace conn=c1 from=C line="AUTH PLAIN"`, `msg=trace conn=c1 from=C line=****`,
		`msg=trace conn=c1 from=C line="LIST 1"`, `msg=trace conn=c1 from=S line="+OK 22 octets"`, `end=quit`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %s", want)
		}
	}
	for _, secret := range []string{"hunter2", "secret", "AGFuYQ", "hidden", "from=C line=\"USER bea"} {
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
