// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// inBubble runs a test with a server on connections in memory and a clock that
// leaps to whatever is waited for.
func inBubble(t *testing.T, change func(*Options), test func(*testing.T, *Server, *pop3mem.Store, *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		office := newOffice(nil)
		opts := optionsFor(office, 0)
		if change != nil {
			change(opts)
		}
		s, l := New(opts), newPipes()
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		test(t, s, office, l)
		s.Close()
		if err := <-served; err != ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// trickle sends text a piece at a time until it cannot.
func (c *client) trickle(piece string, every time.Duration) {
	for {
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
		time.Sleep(every)
	}
}

func TestSlowClients(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(t *testing.T, c *client) // until nothing more comes
		want time.Duration
	}{
		{"says nothing", func(t *testing.T, c *client) { c.want(t, "220 ") }, 5 * time.Minute},
		{"stays within", func(t *testing.T, c *client) {
			c.hello(t)
			for range 10 {
				time.Sleep(4 * time.Minute)
				c.say(t, "NOOP", "250")
			}
		}, 45 * time.Minute},
		{"one octet of a command a second", func(t *testing.T, c *client) {
			c.hello(t)
			go c.trickle("N", time.Second)
		}, time.Minute},
		{"one octet of an over-long command a second", func(t *testing.T, c *client) {
			c.hello(t)
			c.send(t, strings.Repeat("x", maxLine+1))
			go c.trickle("N", time.Second)
		}, time.Minute},
		{"stops in the middle of a message", func(t *testing.T, c *client) {
			c.hello(t, "ana")
			c.say(t, "DATA", "354")
			c.send(t, "half")
		}, 3 * time.Minute},
		// 3 minutes of grace, and a second for each 1,000 of the 48,000 octets.
		{"a message too slowly", func(t *testing.T, c *client) {
			c.hello(t, "ana")
			c.say(t, "DATA", "354")
			go c.trickle(strings.Repeat("x", 12_000), time.Minute)
		}, 3*time.Minute + 48*time.Second},
		{"a message too long", func(t *testing.T, c *client) {
			c.hello(t, "ana")
			c.say(t, "DATA", "354")
			go c.trickle(strings.Repeat("x", 70_000), time.Minute)
		}, 2 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *Server, office *pop3mem.Store, l *pipes) {
				conn := l.dial()
				begin := time.Now()
				c.does(t, conn)
				conn.want(t, "421 4.4.2")
				if got := conn.line(); got != "EOF" {
					t.Errorf("behind 421 came %q", got)
				}
				if took := time.Since(begin).Truncate(time.Second); took != c.want {
					t.Errorf("it took %v, want %v", took, c.want)
				}
				time.Sleep(2 * time.Minute) // for what is still being sent
				synctest.Wait()
				if n := len(office.Messages("ana")); n != 0 {
					t.Errorf("%d messages are stored", n)
				}
			})
		})
	}
}

// TestSlowDiskIsNotTheClientsFault: the time that the store takes does not
// count against the client's rate.
func TestSlowDiskIsNotTheClientsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		office := newOffice(func(op pop3mem.Op, _ maildrop.ID) error {
			if op == pop3mem.OpWrite || op == pop3mem.OpStore {
				time.Sleep(time.Hour)
			}
			return nil
		})
		s, l := New(optionsFor(office, 0)), newPipes()
		go s.Serve(l)
		c := l.dial()
		c.hello(t, "ana")
		c.say(t, "DATA", "354")
		for range 5 {
			c.send(t, "a line\r\n")
		}
		c.send(t, ".\r\n")
		c.want(t, "250 2.1.5")
		s.Close()
	})
}

func TestClientThatDoesNotRead(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server, _ *pop3mem.Store, l *pipes) {
		begin := time.Now()
		c := l.dial()
		// It has the greeting and sends commands for ever, but reads no reply.
		c.want(t, "220 ")
		c.trickle("NOOP\r\n", 0)
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("it was borne for %v, want 1m", took)
		}
	})
}

func TestWrongCommands(t *testing.T) {
	office := newOffice(nil)
	opts := optionsFor(office, 0)
	opts.Limits.WrongCommands = 3
	_, dial := start(t, opts)
	c := dial()
	c.hello(t)
	for range 3 {
		c.say(t, "FROB", "500 ")
	}
	c.say(t, "FROB", "421 4.7.0")
	if got := c.line(); got != "EOF" {
		t.Errorf("behind 421 came %q", got)
	}
}

func TestTooManyRecipients(t *testing.T) {
	office := newOffice(nil)
	opts := optionsFor(office, 0)
	opts.Limits.Recipients = 5 // less than 100 is not possible
	_, dial := start(t, opts)
	c := dial()
	c.hello(t)
	c.say(t, "MAIL FROM:<>", "250")
	for i := range 100 {
		c.say(t, fmt.Sprintf("RCPT TO:<ana+%d@example.org>", i), "250 2.1.5")
	}
	c.say(t, "RCPT TO:<ana>", "452 4.5.3")
	c.say(t, "DATA", "354")
	c.send(t, "x\r\n.\r\n")
	for range 100 {
		c.want(t, "250 2.1.5")
	}
	if n := len(office.Messages("ana")); n != 100 {
		t.Errorf("%d copies are stored, want 100", n)
	}
	// Unknown ones are bounded as well.
	c.say(t, "MAIL FROM:<>", "250")
	for range 100 {
		c.say(t, "RCPT TO:<nobody>", "550 5.1.1")
	}
	c.say(t, "RCPT TO:<nobody>", "452 4.5.3")
}

func TestTooManySessions(t *testing.T) {
	opts := optionsFor(newOffice(nil), 0)
	opts.Limits.Sessions = 2
	s, dial := start(t, opts)
	a, b := dial(), dial()
	a.hello(t)
	b.hello(t)
	dial().want(t, "421 4.3.2")
	// More are allowed from now on, for connections that come now.
	more := optionsFor(newOffice(nil), 4242)
	more.Limits.Sessions = 3
	s.Reconfigure(more)
	dial().hello(t)
	// And a session that is there sees it at its next LHLO.
	a.send(t, "LHLO again\r\n")
	var seen bool
	for line := ""; !strings.HasPrefix(line, "250 "); {
		line = a.line()
		seen = seen || line == "250-SIZE 4242"
	}
	if !seen {
		t.Error("the new size limit was not announced")
	}
}

func TestShutdown(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server, office *pop3mem.Store, l *pipes) {
		idle, busy := l.dial(), l.dial()
		idle.hello(t)
		busy.hello(t, "ana")
		busy.say(t, "DATA", "354")
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(t.Context()) }()
		idle.want(t, "421 4.3.2")
		synctest.Wait()
		// The message that has begun is taken in, and more time is given for it.
		time.Sleep(2 * time.Minute)
		busy.send(t, "x\r\n.\r\n")
		busy.want(t, "250 2.1.5")
		busy.want(t, "421 4.3.2")
		if err := <-down; err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if n := len(office.Messages("ana")); n != 1 {
			t.Errorf("%d messages are stored, want 1", n)
		}
		if err := s.Serve(newPipes()); err != ErrServerClosed {
			t.Errorf("Serve after Shutdown returned %v", err)
		}
	})
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server, office *pop3mem.Store, l *pipes) {
		c := l.dial()
		c.hello(t, "ana")
		c.say(t, "DATA", "354")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown returned %v", err)
		}
		if n := len(office.Messages("ana")); n != 0 {
			t.Errorf("%d messages are stored", n)
		}
	})
}

// failing is a listener that fails some times before it works.
type failing struct {
	net.Listener
	times int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.times--; f.times >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptErrorsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := New(optionsFor(newOffice(nil), 0)), newPipes()
		served := make(chan error, 1)
		go func() { served <- s.Serve(&failing{l, 20}) }()
		l.dial().want(t, "220 ")
		l.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v when its listener had gone", err)
		}
		s.Close()
	})
}

func TestPanicEndsOneSession(t *testing.T) {
	office := newOffice(func(op pop3mem.Op, id maildrop.ID) error {
		if op == pop3mem.OpDeliver {
			panic("a mistake")
		}
		return nil
	})
	log := &syncBuffer{}
	opts := optionsFor(office, 0)
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	s, dial := start(t, opts)
	other, c := dial(), dial()
	other.hello(t)
	c.hello(t, "ana")
	c.say(t, "DATA", "EOF")
	other.say(t, "NOOP", "250")
	other.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "a mistake") || !strings.Contains(log.String(), "stack=") {
		t.Errorf("the log is %q", log)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestLogLines(t *testing.T) {
	log := &syncBuffer{}
	office := newOffice(func(op pop3mem.Op, id maildrop.ID) error {
		if op == pop3mem.OpStore && id == "bob" {
			return errors.New("disk of the inside")
		}
		return nil
	})
	opts := optionsFor(office, 0)
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	_, dial := start(t, opts)
	c := dial()
	c.hello(t)
	c.say(t, `MAIL FROM:<"a b=c"@example.net>`, "250")
	c.say(t, "RCPT TO:<ana@example.org>", "250")
	c.say(t, "RCPT TO:<bob@example.org>", "250")
	c.say(t, "RCPT TO:<nobody@example.org>", "550")
	c.say(t, "DATA", "354")
	c.send(t, "Subject: secret\r\n.\r\n")
	c.want(t, "250")
	c.want(t, "451")
	c.say(t, "QUIT", "221")
	got := log.String()
	for _, want := range []string{
		`msg="lmtp: delivered" conn=l1 remote=unix from="\"a b=c\"@example.net" to=ana@example.org maildrop=ana octets=17 result=delivered`,
		`msg="lmtp: not delivered" conn=l1 remote=unix from="\"a b=c\"@example.net" to=bob@example.org maildrop=bob octets=17 result="temporary failure"`,
		`error="intake: temporary failure: disk of the inside"`,
		`msg="lmtp: recipient refused" conn=l1 remote=unix from="\"a b=c\"@example.net" to=nobody@example.org result="no such user"`,
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("the log has not once %s\n%s", want, got)
		}
	}
	if strings.Contains(got, "secret") {
		t.Errorf("the log tells of the message: %s", got)
	}
}
