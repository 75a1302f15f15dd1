// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"fmt"
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
	synctest.Test(t, func(t *testing.T) {
		opt := options(office(t))
		opt.Limits.PerAddress = 2
		opt.ClearText = pop3server.InsecureClearTextEverywhere
		s := serve(t, opt)
		open := func(from string) *client {
			t.Helper()
			time.Sleep(time.Second) // so that one is idle for longer than another
			c := dial(t, s, from)
			c.want("+OK")
			return c
		}
		gone := func(words <-chan string) {
			t.Helper()
			if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
				t.Errorf("the one that made room was told %q", got)
			}
		}
		first, second := open("192.0.2.1"), open("192.0.2.1")
		time.Sleep(time.Second)
		first.ask("NOOP", "-ERR") // a word, so that the second is idle for longer
		other := open("192.0.2.2")
		words := second.lastWords()
		open("192.0.2.1")
		gone(words)
		first.ask("USER ana", "+OK")
		first.ask("PASS secret", "+OK")    // signed in, it counts no more
		fourth := open("::ffff:192.0.2.1") // the same by another name
		first.ask("NOOP", "+OK")
		fourth.ask("NOOP", "-ERR")
		other.ask("NOOP", "-ERR")

		third := open("2001:db8::1")
		open("2001:db8::2")
		words = third.lastWords()
		open("2001:db8::3") // one host has a whole /64
		gone(words)
		open("2001:db8:0:1::1").ask("NOOP", "-ERR")
	})
}

// TestLocalConnectionsAreManyPeoples: they may come by way of a proxy.
func TestLocalConnectionsAreManyPeoples(t *testing.T) {
	opt := options(office(t))
	opt.Limits.PerAddress = 2
	s := serve(t, opt)
	var all []*client
	for range 5 {
		c := dial(t, s, "127.0.0.1")
		c.want("+OK")
		all = append(all, c)
	}
	for _, c := range all {
		c.ask("NOOP", "-ERR")
	}
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

// Who is being signed in just now is the last to make room.
func TestSigningInIsTheLastToMakeRoom(t *testing.T) {
	guard := slowGuard{10 * time.Second, make(chan bool, 1)}
	inTime(t, func(opt *pop3server.Options) { opt.Limits.Unauthenticated = 2; opt.Guard = guard }, func(t timed) {
		busy := dial(t, t.server, "")
		busy.want("+OK")
		busy.ask("USER ana", "+OK")
		busy.send("PASS secret")
		time.Sleep(5 * time.Second)
		idle := dial(t, t.server, "")
		idle.want("+OK")
		words := idle.lastWords()
		dial(t, t.server, "").want("+OK")
		if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
			t.Errorf("the idle one was told %q", got)
		}
		busy.want("+OK")
	})
}
