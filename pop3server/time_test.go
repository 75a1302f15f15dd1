// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"errors"
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

func TestSilentSessionIsTakenOver(t *testing.T) {
	inTime(t, everywhere, func(t timed) {
		old := dial(t, t.server, "192.0.2.1").signIn()
		old.ask("DELE 1", "+OK")
		time.Sleep(59 * time.Second)
		early := dial(t, t.server, "192.0.2.1")
		early.want("+OK")
		early.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "-ERR [IN-USE]")
		early.ask("QUIT", "+OK")
		<-t.ends
		time.Sleep(2 * time.Second)

		elsewhere := dial(t, t.server, "192.0.2.2")
		elsewhere.want("+OK")
		elsewhere.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "-ERR [IN-USE]")
		elsewhere.ask("QUIT", "+OK")
		<-t.ends

		began := time.Now()
		words := old.lastWords()
		next := dial(t, t.server, "192.0.2.1").signIn()
		if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
			t.Errorf("the old session was told %q", got)
		}
		t.endsAfter(began, 0, pop3server.EndTakenOver)
		next.ask("STAT", "+OK 2 ")
		t.holds(2)

		time.Sleep(30 * time.Second)
		next.ask("NOOP", "+OK") // is a sign of life
		time.Sleep(45 * time.Second)
		third := dial(t, t.server, "192.0.2.1")
		third.want("+OK")
		third.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "-ERR [IN-USE]")
	})
}

// A session that is taken over does not count among the user's any more.
func TestTakeOverAtTheUsersLimit(t *testing.T) {
	inTime(t, func(opt *pop3server.Options) { opt.Limits.PerUser = 1 }, func(t timed) {
		dial(t, t.server, "").signIn()
		time.Sleep(time.Hour / 10)
		dial(t, t.server, "").signIn().ask("STAT", "+OK 2 ")
	})
}

// Take-over can be switched off, and its time be set.
func TestTakeOverIsSettable(t *testing.T) {
	for after, want := range map[time.Duration]string{-1: "-ERR [IN-USE]", 9 * time.Minute: "-ERR [IN-USE]", 7 * time.Minute: "+OK"} {
		inTime(t, func(opt *pop3server.Options) { opt.Timeouts.TakeOver = after }, func(t timed) {
			dial(t, t.server, "").signIn()
			time.Sleep(8 * time.Minute)
			c := dial(t, t.server, "")
			c.want("+OK")
			c.ask("USER ana", "+OK")
			c.ask("PASS secret", want)
		})
	}
}

// A device's own view is taken over from any address: phones change theirs.
func TestNamedViewIsTakenOverFromAnywhere(t *testing.T) {
	inTime(t, everywhere, func(t timed) {
		if err := t.office.AddView(t.Context(), "ana", "phone", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := t.office.AddPassword("ana", "phonepass", "phone"); err != nil {
			t.Fatal(err)
		}
		classic := dial(t, t.server, "192.0.2.1").signIn()
		sign := func(from string) *client {
			c := dial(t, t.server, from)
			c.want("+OK")
			c.ask("USER ana", "+OK")
			c.send("PASS phonepass")
			return c
		}
		first := sign("192.0.2.1")
		first.want("+OK") // another view, so not in use
		time.Sleep(61 * time.Second)
		words := first.lastWords()
		sign("198.51.100.1").want("+OK")
		if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
			t.Errorf("the old session was told %q", got)
		}
		classic.ask("STAT", "+OK 2 ")
	})
}

// A QUIT that is being committed is finished before a view is taken over, and
// what it removed is gone for the next session.
func TestTakeOverWaitsForQuit(t *testing.T) {
	inTime(t, nil, func(t timed) {
		opt := options(t.office)
		opt.Store = storeOf(t.office, func(s maildrop.Snapshot) maildrop.Snapshot {
			return slowRemove{s, make(chan struct{}, 1)}
		})
		t.server.Reconfigure(opt)
		old := dial(t, t.server, "").signIn()
		old.ask("DELE 1", "+OK")
		old.send("QUIT")
		words := old.lastWords()
		time.Sleep(90 * time.Second)
		next := dial(t, t.server, "").signIn()
		if got := <-words; got != "+OK bye\r\n" {
			t.Errorf("the old session was told %q", got)
		}
		next.ask("STAT", "+OK 1 ")
	})
}

// slowRemove has a slow disk: its commit takes two minutes, and Revoke waits
// for it as the contract says.
type slowRemove struct {
	maildrop.Snapshot
	busy chan struct{}
}

func (s slowRemove) Remove(ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	time.Sleep(2 * time.Minute)
	return s.Snapshot.Remove(ctx, numbers)
}

func (s slowRemove) Revoke() {
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	s.Snapshot.Revoke()
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

// Shutdown tells idle sessions at once, lets a committing QUIT and a reply that
// is being taken finish, and removes nothing.
func TestShutdownSpeaksPOP3(t *testing.T) {
	inTime(t, nil, func(t timed) {
		t.office.AddUser("bea", "secret")
		idle := dial(t, t.server, "").signIn()
		idle.ask("DELE 1", "+OK")
		waiting := dial(t, t.server, "")
		waiting.want("+OK")
		reading := dial(t, t.server, "")
		reading.want("+OK")
		reading.ask("USER bea", "+OK")
		reading.ask("PASS secret", "+OK")
		put(t, t.office, "bea", "x\n")
		done := make(chan error)
		go func() { done <- t.server.Shutdown(context.Background()) }()
		for _, c := range []*client{idle, waiting, reading} {
			c.want("-ERR [SYS/TEMP]")
			c.ended()
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		t.holds(2)
		if all, _ := t.server.Connections(); all != 0 {
			t.Errorf("%d connections are left", all)
		}
		late := dial(t, t.server, "")
		late.want("-ERR [SYS/TEMP]")
		late.ended()
	})
}

func TestShutdownLetsAReplyFinish(t *testing.T) {
	inTime(t, nil, func(t timed) {
		c := dial(t, t.server, "").signIn()
		c.ask("RETR 2", "+OK")
		done := make(chan error)
		go func() { done <- t.server.Shutdown(context.Background()) }()
		synctest.Wait()
		if n := len(c.text()); n < 1_200_000 {
			t.Errorf("%d octets came", n)
		}
		c.want("-ERR [SYS/TEMP]")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	inTime(t, nil, func(t timed) {
		c := dial(t, t.server, "").signIn()
		c.ask("RETR 2", "+OK") // and does not read it
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := t.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		began := time.Now()
		t.server.Close()
		t.endsAfter(began, 0, pop3server.EndShutdown)
	})
}

// Close finishes a QUIT that is being committed, and its answer.
func TestCloseFinishesQuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
			if op == pop3mem.OpRemove {
				time.Sleep(10 * time.Second)
			}
			return nil
		}})
		o.AddUser("ana", "secret")
		put(t, o, "ana", "a\n\n1\n")
		s := serve(t, options(o))
		c := dial(t, s, "").signIn()
		c.raw("DELE 1\r\nQUIT\r\n")
		synctest.Wait()
		go s.Close()
		c.want("+OK")
		c.want("+OK bye")
		s.Close()
		if len(o.Messages("ana")) != 0 {
			t.Error("the message stayed")
		}
	})
}
