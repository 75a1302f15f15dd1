// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

func TestWaitingAndEndWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checking, goOn := make(chan struct{}), make(chan struct{})
		var hold atomic.Bool
		o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
			if op == pop3mem.OpSignIn && hold.Load() {
				checking <- struct{}{}
				<-goOn
			}
			return nil
		}})
		o.AddUser("ana", "secret")
		opt := options(o)
		opt.TLSConfig = serverTLS()
		s := serve(t, opt)

		ana := dial(t, s, "192.0.2.1").startSession()
		silent := dial(t, s, "192.0.2.2")
		silent.want("+OK")
		time.Sleep(5 * time.Second)
		shaking := dialTLS(t, s, "192.0.2.3") // says nothing of its handshake
		synctest.Wait()                       // it comes before the next
		safe := dial(t, s, "192.0.2.4")
		safe.want("+OK")
		safe.ask("STLS", "+OK")
		safe.startTLS(clientTLS())
		hold.Store(true)
		safe.send("AUTH PLAIN AGFuYQBzZWNyZXQ=")
		<-checking
		synctest.Wait()

		list := s.Waiting()
		want := []struct {
			remote string
			tls    string
			stage  pop3server.Stage
			age    time.Duration
		}{
			{"192.0.2.2", "", pop3server.StageWaiting, 5 * time.Second},
			{"192.0.2.3", "", pop3server.StageHandshake, 0},
			{"192.0.2.4", "TLS 1.3", pop3server.StageChecking, 0},
		}
		if len(list) != len(want) {
			t.Fatalf("waiting: %+v", list)
		}
		for i, w := range want {
			got := list[i]
			if got.Remote.String() != w.remote || got.TLS != w.tls || got.Stage != w.stage || time.Since(got.Since) != w.age || got.Idle != w.age {
				t.Errorf("connection %d: %+v, want %+v", i, got, w)
			}
		}

		words := silent.lastWords()
		from := func(address string) func(pop3server.WaitingInfo) bool {
			return func(i pop3server.WaitingInfo) bool { return i.Remote == netip.MustParseAddr(address) }
		}
		if n := s.EndWaiting(from("192.0.2.2")); n != 1 {
			t.Errorf("%d connections were ended", n)
		}
		if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
			t.Errorf("it was told %q", got)
		}
		if n := s.EndWaiting(from("192.0.2.3")); n != 1 {
			t.Errorf("%d connections were ended in their handshake", n)
		}
		shaking.ended()
		// Credentials that are being checked are checked to the end.
		last := safe.lastWords()
		done := make(chan int)
		go func() { done <- s.EndWaiting(from("192.0.2.4")) }()
		synctest.Wait()
		close(goOn)
		if n := <-done; n != 1 {
			t.Errorf("%d connections were ended that were signing in", n)
		}
		if got := <-last; strings.Contains(got, "+OK 0 messages") {
			t.Errorf("it was let in: %q", got)
		}
		if n := s.EndWaiting(func(pop3server.WaitingInfo) bool { return true }); n != 0 {
			t.Errorf("%d more were ended: a session is not one of them", n)
		}
		ana.ask("NOOP", "+OK")
	})
}

// startSession is signIn over TLS, for a client that is not on this machine.
func (c *client) startSession() *client {
	c.t.Helper()
	c.want("+OK")
	c.ask("STLS", "+OK")
	c.startTLS(clientTLS())
	c.ask("USER ana", "+OK")
	c.ask("PASS secret", "+OK")
	return c
}

// dialTLS connects where TLS begins at once, and says nothing yet.
func dialTLS(t testing.TB, s *pop3server.Server, from string) *client {
	t.Helper()
	mine, theirs := net.Pipe()
	go s.ServeConn(t.Context(), addressed{theirs, netip.MustParseAddr(from)}, true)
	return newClient(t, mine)
}
