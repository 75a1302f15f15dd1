// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/pop3server"
)

// A client that reads steadily, above the minimum rate, gets what it deletes,
// also when it has said QUIT before it read anything.
func TestSlowReaderSaysQuitAhead(t *testing.T) {
	for _, rate := range []int{2000, 5000, 10_000} {
		for _, size := range []int{20_000, 110_000, 1_000_000} {
			synctest.Test(t, func(t *testing.T) {
				o := office(t, "a\n\n"+strings.Repeat("012345678\n", size/11))
				c := dial(t, serve(t, options(o)), "").signIn()
				c.raw("RETR 1\r\nDELE 1\r\nQUIT\r\n")
				p := make([]byte, rate)
				last := ""
				for {
					time.Sleep(time.Second)
					n, err := c.r.Read(p)
					if err != nil {
						break
					}
					last = last[max(0, len(last)-40):] + string(p[:n])
				}
				if want := "012345678\r\n.\r\n+OK marked deleted\r\n+OK bye\r\n"; !strings.HasSuffix(last, want) {
					t.Errorf("at %d octets a second, of %d octets, the end was %q", rate, size, last[max(0, len(last)-60):])
				}
			})
		}
	}
}

// A client that reads nothing of what it deletes loses no mail, even where all
// of it fits into a buffer.
func TestDeadReaderSaysQuitAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := office(t, "a\n\n"+strings.Repeat("012345678\n", 10_000))
		opt := options(o)
		ends := make(chan pop3server.Ending, 1)
		opt.OnEnd = func(s pop3server.Summary) { ends <- s.End }
		c := dial(t, serve(t, opt), "").signIn()
		c.raw("RETR 1\r\nDELE 1\r\nQUIT\r\n")
		if end := <-ends; end != pop3server.EndWriteTime || len(o.Messages("ana")) != 1 {
			t.Errorf("it ended as %q and %d messages are left", end, len(o.Messages("ana")))
		}
	})
}

// A slow reader is not taken for silent where silence is short, over connections
// of all kinds.
func TestSlowReaderWhereSilenceIsShort(t *testing.T) {
	for _, kind := range []string{"a pipe", "a foreign connection"} {
		inTime(t, func(opt *pop3server.Options) { opt.Timeouts.TakeOver = 15 * time.Second }, func(t timed) {
			mine, theirs := net.Pipe()
			if kind != "a pipe" {
				theirs = &tally{Conn: theirs}
			}
			go t.server.ServeConn(context.Background(), theirs, false)
			slow := newClient(t, mine).signIn()
			slow.ask("RETR 2", "+OK")
			p := make([]byte, 1500)
			for range 60 {
				time.Sleep(time.Second)
				if _, err := slow.r.Read(p); err != nil {
					t.Fatal(kind, err)
				}
				early := dial(t, t.server, "")
				early.want("+OK")
				early.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "-ERR [IN-USE]")
				early.ask("QUIT", "+OK")
				<-t.ends
			}
		})
	}
}

// tally counts writes.
type tally struct {
	net.Conn
	writes atomic.Int64
}

func (c *tally) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// A connection of package tls, which is of no use after a deadline for writing,
// serves a slow reader to the end.
func TestSlowReaderOfAForeignConnection(t *testing.T) {
	inTime(t, nil, func(t timed) {
		mine, theirs := net.Pipe()
		below := &tally{Conn: tls.Server(theirs, serverTLS())}
		go t.server.ServeConn(context.Background(), below, false)
		secured := tls.Client(mine, clientTLS())
		c := newClient(t, secured).signIn()
		c.ask("RETR 2", "+OK")
		before := below.writes.Load()
		p := make([]byte, 4000)
		for got := 0; got < 500_000; got += len(p) {
			time.Sleep(time.Second)
			if _, err := io.ReadFull(c.r, p); err != nil {
				t.Fatalf("after %d octets: %v", got, err)
			}
		}
		if n := below.writes.Load() - before; n > 100 {
			t.Errorf("%d writes", n)
		}
		mine.Close()
		<-t.ends
	})
}

// wrapped is a socket that says more in its errors.
type wrapped struct{ *net.TCPConn }

func (w wrapped) Read(p []byte) (int, error) {
	n, err := w.TCPConn.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("reading: %w", err)
	}
	return n, err
}

// A session under TLS over such a socket goes on after it was idle.
func TestIdleOverAWrappedSocket(t *testing.T) {
	s := serve(t, withTLS(office(t)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go s.ServeConn(context.Background(), wrapped{theirs.(*net.TCPConn)}, true)
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	secured := tls.Client(conn, clientTLS())
	r := bufio.NewReader(secured)
	for _, say := range []string{"", "USER ana\r\n", "PASS secret\r\n"} {
		io.WriteString(secured, say)
		wantOK(t, r)
	}
	time.Sleep(300 * time.Millisecond) // idle, by the time of a real socket
	io.WriteString(secured, "NOOP\r\n")
	wantOK(t, r)
}

// A connection that is reset is lost, not closed by the client, however long it
// has been idle.
func TestReset(t *testing.T) {
	for _, secure := range []bool{false, true} {
		opt := withTLS(office(t))
		ends := make(chan pop3server.Ending, 10)
		opt.OnEnd = func(s pop3server.Summary) { ends <- s.End }
		s := pop3server.New(opt)
		serve := s.Serve
		if secure {
			serve = s.ServeTLS
		}
		address := listen(t, serve)
		t.Cleanup(func() { s.Close() })
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		both := net.Conn(conn)
		if secure {
			both = tls.Client(conn, clientTLS())
		}
		r := bufio.NewReader(both)
		for _, say := range []string{"", "USER ana\r\n", "PASS secret\r\n"} {
			io.WriteString(both, say)
			wantOK(t, r)
		}
		time.Sleep(300 * time.Millisecond) // idle, by the time of a real socket
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		if end := <-ends; end != pop3server.EndLost {
			t.Errorf("TLS %v: it ended as %q", secure, end)
		}
	}
}
