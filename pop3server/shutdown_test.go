// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

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
