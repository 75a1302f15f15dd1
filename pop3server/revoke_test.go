// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"strings"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

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

// A QUIT that is being committed is finished before End returns, and counts.
func TestEndWaitsForQuit(t *testing.T) {
	inTime(t, nil, func(t timed) {
		busy := make(chan struct{}, 1)
		opt := options(t.office)
		opt.Store = storeOf(t.office, func(s maildrop.Snapshot) maildrop.Snapshot { return slowRemove{s, busy} })
		t.server.Reconfigure(opt)
		c := dial(t, t.server, "").signIn()
		c.ask("DELE 1", "+OK")
		c.send("QUIT")
		words := c.lastWords()
		time.Sleep(time.Second)
		began := time.Now()
		if n := t.server.End(func(pop3server.SessionInfo) bool { return true }); n != 1 {
			t.Errorf("%d sessions were ended", n)
		}
		if waited := time.Since(began); waited < time.Minute {
			t.Errorf("it returned after %v, before the commit was done", waited)
		}
		if got := <-words; got != "+OK bye\r\n" {
			t.Errorf("the session was told %q", got)
		}
		t.holds(1)
	})
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
