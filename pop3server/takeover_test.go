// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
)

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

// Who takes a message slowly is not silent.
func TestSlowReaderIsNotTakenOver(t *testing.T) {
	inTime(t, nil, func(t timed) {
		slow := dial(t, t.server, "").signIn()
		slow.ask("RETR 2", "+OK")
		p := make([]byte, 1500)
		for range 200 {
			time.Sleep(time.Second)
			if _, err := slow.r.Read(p); err != nil {
				t.Fatal(err)
			}
			early := dial(t, t.server, "")
			early.want("+OK")
			early.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "-ERR [IN-USE]")
			early.ask("QUIT", "+OK")
			<-t.ends
		}
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
