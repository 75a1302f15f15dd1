// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

// everywhere lets the tests sign in from addresses without TLS.
func everywhere(opt *pop3server.Options) { opt.ClearText = pop3server.InsecureClearTextEverywhere }

// timed is a server in a bubble of time, and how its connections ended.
type timed struct {
	*testing.T
	office *pop3mem.Store
	server *pop3server.Server
	ends   chan pop3server.Ending
}

// inTime runs a test in a bubble, with letters in ana's maildrop.
func inTime(t *testing.T, change func(*pop3server.Options), test func(timed)) {
	synctest.Test(t, func(t *testing.T) {
		o := office(t, "a\n\n1\n", "b\n\n"+strings.Repeat("0123456789\n", 100_000))
		opt := options(o)
		ends := make(chan pop3server.Ending, 100)
		opt.OnEnd = func(s pop3server.Summary) { ends <- s.End }
		if change != nil {
			change(opt)
		}
		test(timed{t, o, serve(t, opt), ends})
	})
}

// endsAfter waits for the end of a connection, which must come at that time
// after began and for that reason.
func (t timed) endsAfter(began time.Time, d time.Duration, why pop3server.Ending) {
	t.Helper()
	end := <-t.ends
	if got := time.Since(began); end != why || got < d || got > d+2*time.Second {
		t.Errorf("ended after %v because of %q, want %v and %q", got, end, d, why)
	}
}

func (t timed) holds(n int) {
	t.Helper()
	if got := len(t.office.Messages("ana")); got != n {
		t.Errorf("the maildrop holds %d messages, want %d", got, n)
	}
}

func TestTenIdleMinutes(t *testing.T) {
	inTime(t, nil, func(t timed) {
		c := dial(t, t.server, "").signIn()
		c.ask("DELE 1", "+OK")
		for range 3 { // each command begins the ten minutes anew
			time.Sleep(9*time.Minute + 59*time.Second)
			c.ask("NOOP", "+OK")
		}
		began := time.Now()
		c.want("-ERR [SYS/TEMP]")
		c.ended()
		t.endsAfter(began, 10*time.Minute, pop3server.EndIdle)
		t.holds(2)
	})
}

func TestSignInTakesThirtySecondsAtMost(t *testing.T) {
	inTime(t, nil, func(t timed) {
		began := time.Now()
		c := dial(t, t.server, "")
		c.want("+OK")
		for range 7 { // what is said does not help
			time.Sleep(4 * time.Second)
			c.ask("CAPA", "+OK")
			c.text()
		}
		c.want("-ERR [SYS/TEMP]")
		c.ended()
		t.endsAfter(began, 30*time.Second, pop3server.EndAuthTime)
	})
}

func TestSignInTimeIncludesTheHandshake(t *testing.T) {
	inTime(t, func(opt *pop3server.Options) { opt.TLSConfig = serverTLS() }, func(t timed) {
		began := time.Now()
		mine, theirs := net.Pipe()
		go t.server.ServeConn(context.Background(), theirs, true)
		defer mine.Close()
		t.endsAfter(began, 30*time.Second, pop3server.EndTLS)
	})
}

func TestSlowLine(t *testing.T) {
	inTime(t, nil, func(t timed) {
		c := dial(t, t.server, "").signIn()
		time.Sleep(5 * time.Minute)
		began := time.Now()
		for range 10 { // an octet every few seconds keeps no line alive
			c.raw("N")
			time.Sleep(2900 * time.Millisecond)
		}
		c.want("-ERR [SYS/TEMP]")
		c.ended()
		t.endsAfter(began, 30*time.Second, pop3server.EndLineTime)
	})
}

func TestSlowLineInAuth(t *testing.T) {
	inTime(t, func(opt *pop3server.Options) { opt.Timeouts.Line = 5 * time.Second }, func(t timed) {
		c := dial(t, t.server, "")
		c.want("+OK")
		c.ask("AUTH PLAIN", "+ ")
		began := time.Now()
		c.raw("AGFu")
		c.want("-ERR [SYS/TEMP]")
		t.endsAfter(began, 5*time.Second, pop3server.EndLineTime)
	})
}

// A client that takes nothing is left after the slack and the time that the
// octets would need at the minimum rate.
func TestClientThatDoesNotRead(t *testing.T) {
	inTime(t, nil, func(t timed) {
		c := dial(t, t.server, "").signIn()
		began := time.Now()
		c.raw("DELE 1\r\nRETR 2\r\nQUIT\r\n")
		t.endsAfter(began, 62*time.Second, pop3server.EndWriteTime)
		t.holds(2)
	})
}

// A client that reads at a tenth of the minimum rate uses its slack up; one
// that reads at the rate gets the whole message, however long that takes.
func TestMinimumRate(t *testing.T) {
	read := func(c *client, rate int) (octets int) {
		p := make([]byte, rate)
		for {
			time.Sleep(time.Second)
			n, err := c.r.Read(p)
			octets += n
			if err != nil || strings.HasSuffix(string(p[:n]), "9\r\n.\r\n") {
				return octets
			}
		}
	}
	inTime(t, nil, func(t timed) {
		c := dial(t, t.server, "").signIn()
		c.ask("RETR 2", "+OK")
		began := time.Now()
		if n := read(c, 1100); n < 1_200_000 || time.Since(began) < 15*time.Minute {
			t.Errorf("%d octets in %v", n, time.Since(began))
		}
		c.ask("NOOP", "+OK")

		c.ask("RETR 2", "+OK")
		if n := read(c, 100); n > 100_000 {
			t.Errorf("%d octets were sent at a tenth of the rate", n)
		}
		if end := <-t.ends; end != pop3server.EndWriteTime {
			t.Errorf("ended because of %q", end)
		}
	})
}

// Output that the client does not read stops the reading of commands.
func TestUnreadOutputStopsReading(t *testing.T) {
	inTime(t, nil, func(t timed) {
		mine, theirs := net.Pipe()
		go t.server.ServeConn(context.Background(), theirs, false)
		c := newClient(t, mine).signIn()
		taken := 0
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			for range 100_000 {
				if _, err := mine.Write([]byte("NOOP\r\n")); err != nil {
					return
				}
				taken++
			}
		}()
		synctest.Wait()
		if taken > 200 {
			t.Errorf("%d commands were read while no answer was taken", taken)
		}
		c.conn.Close()
		<-stop
	})
}

// The time between two sign-ins of the same view. RFC 2449 section 6.5.
func TestLoginDelay(t *testing.T) {
	inTime(t, func(opt *pop3server.Options) { opt.LoginDelay = time.Minute }, func(t timed) {
		if err := t.office.SetLimits("ana", pop3mem.Limits{LoginDelay: 5 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		c := dial(t, t.server, "").signIn()
		if got := strings.Join(c.multi("CAPA"), "|"); !strings.Contains(got, "|LOGIN-DELAY 300|") {
			t.Errorf("announced %s", got)
		}
		c.ask("QUIT", "+OK")
		c.ended()
		time.Sleep(299 * time.Second)
		c = dial(t, t.server, "")
		c.want("+OK")
		c.ask("USER ana", "+OK")
		c.ask("PASS secret", "-ERR [LOGIN-DELAY]")
		time.Sleep(2 * time.Second)
		c.ask("USER ana", "+OK") // a refusal does not begin the delay anew
		c.ask("PASS secret", "+OK")
	})
}

// slowGuard delays every attempt, as one does after failures.
type slowGuard struct {
	wait time.Duration
	told chan bool
}

func (g slowGuard) Before(ctx context.Context, _ netip.Addr, _ string) error {
	select {
	case <-time.After(g.wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g slowGuard) After(_ netip.Addr, _ string, ok bool) { g.told <- ok }

// A delay by the guard cannot hold a connection beyond the time for signing in,
// and unknown users, wrong passwords and disabled users are refused after the
// same time with the same text.
func TestRefusalsLookTheSame(t *testing.T) {
	guard := slowGuard{3 * time.Second, make(chan bool, 10)}
	inTime(t, func(opt *pop3server.Options) { opt.Guard = guard; opt.Limits.Failures = 4 }, func(t timed) {
		t.office.AddUser("gone", "secret")
		if err := t.office.Disable("gone"); err != nil {
			t.Fatal(err)
		}
		c := dial(t, t.server, "")
		c.want("+OK")
		for _, try := range [][2]string{{"ana", "wrong"}, {"nobody", "secret"}, {"gone", "secret"}} {
			c.ask("USER "+try[0], "+OK send PASS")
			began := time.Now()
			if got := c.ask("PASS "+try[1], "-ERR"); got != "-ERR [AUTH] wrong name or password" || time.Since(began) != 3*time.Second {
				t.Errorf("%v: %q after %v", try, got, time.Since(began))
			}
			if <-guard.told {
				t.Errorf("%v: the guard was told that it was right", try)
			}
		}
		c.ask("USER ana", "+OK")
		c.ask("PASS secret", "+OK")
		if !<-guard.told {
			t.Error("the guard was told that the right password was wrong")
		}
	})
	inTime(t, func(opt *pop3server.Options) { opt.Guard = slowGuard{time.Hour, nil} }, func(t timed) {
		began := time.Now()
		c := dial(t, t.server, "")
		c.want("+OK")
		c.ask("USER ana", "+OK")
		c.ask("PASS secret", "-ERR [SYS/TEMP]")
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("answered after %v", d)
		}
	})
}

// Opening a large maildrop for the first time may take longer than a client
// has for signing in.
func TestSlowOpenIsNotTheClientsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
			if op == pop3mem.OpOpen {
				time.Sleep(time.Minute)
			}
			return nil
		}})
		o.AddUser("ana", "secret")
		dial(t, serve(t, options(o)), "").signIn().ask("STAT", "+OK 0 0")
	})
}
