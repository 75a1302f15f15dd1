// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/pop3"
	"restante.example/pop3server/pop3fault"
)

// silent returns a client, signed in, at a server that answers nothing more
// and reads nothing more.
func silent(t *testing.T, opt *Options) *Client {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		if err := play(server, signedIn); err != nil {
			_ = server.Close()
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	c, err := New(t.Context(), client, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDeadlines: a server that neither reads nor answers holds nobody longer
// than Timeout, whatever is asked.
func TestDeadlines(t *testing.T) {
	one := slices.Values([]Want{{Number: 1}})
	for name, ask := range map[string]func(context.Context, *Client) error{
		"STAT": func(ctx context.Context, c *Client) error { _, _, err := c.Stat(ctx); return err },
		"QUIT": func(ctx context.Context, c *Client) error { return c.Quit(ctx) },
		"RETR": func(ctx context.Context, c *Client) error { _, err := c.Retr(ctx, Want{Number: 1}); return err },
		"UIDL": func(ctx context.Context, c *Client) (err error) {
			for _, err = range c.UIDL(ctx) {
			}
			return err
		},
		"RETR, pipelined": func(ctx context.Context, c *Client) (err error) {
			for _, err = range c.RetrAll(ctx, one) {
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opt := *clear
				opt.Timeout = 7 * time.Second
				c := silent(t, &opt)
				begin := time.Now()
				err := ask(t.Context(), c)
				if took := time.Since(begin); took != opt.Timeout || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%v after %v", err, took)
				}
				if name == "QUIT" && !errors.Is(err, ErrQuitLost) {
					t.Error(err)
				}
			})
			// A cancelled context ends it at once.
			synctest.Test(t, func(t *testing.T) {
				c := silent(t, clear)
				ctx, cancel := context.WithCancelCause(t.Context())
				reason := errors.New("the user has left")
				time.AfterFunc(3*time.Second, func() { cancel(reason) })
				begin := time.Now()
				err := ask(ctx, c)
				if took := time.Since(begin); took != 3*time.Second || !errors.Is(err, reason) {
					t.Errorf("%v after %v", err, took)
				}
				if err := c.Noop(t.Context()); !errors.Is(err, ErrBroken) {
					t.Errorf("after cancellation: %v", err)
				}
			})
		})
	}
}

// TestCancelInMessage: a context holds as long as the message that was asked
// for under it, and not longer.
func TestCancelInMessage(t *testing.T) {
	c := scripted(t, clear, `
		C: RETR 1
		S: +OK
		S: one
		S: .
		C: RETR 2
		S: +OK
		S: half of
		X: the client leaves`)
	ctx, cancel := context.WithCancel(t.Context())
	m, err := c.Retr(ctx, Want{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(m); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := c.Retr(ctx, Want{Number: 2}); !errors.Is(err, context.Canceled) || c.Err() != nil {
		t.Fatalf("nothing should have been sent: %v, %v", err, c.Err())
	}
	ctx, cancel = context.WithCancel(t.Context())
	if m, err = c.Retr(ctx, Want{Number: 2}); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("half of\r\n"))
	if _, err := io.ReadFull(m, first); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(m); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error("a broken message is closed already:", err)
	}
	if err := c.Noop(t.Context()); !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
}

// TestCloseEndsReading: Close from another goroutine ends what is going on.
func TestCloseEndsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := silent(t, clear)
		time.AfterFunc(time.Second, func() { _ = c.Close() })
		begin := time.Now()
		if err := c.Noop(t.Context()); err == nil || time.Since(begin) != time.Second {
			t.Error(err, time.Since(begin))
		}
	})
}

// TestGreetings: what is no welcome is an error, and the connection closed.
func TestGreetings(t *testing.T) {
	for _, test := range []struct {
		said string
		is   func(error) bool
	}{
		{`s: -ERR [SYS/TEMP] too many connections\r\n`, func(err error) bool {
			refusal, ok := errors.AsType[*pop3.Error](err)
			return ok && refusal.Command == "" && refusal.Temporary()
		}},
		{`s: * OK IMAP4rev1\r\n`, func(err error) bool { return errors.Is(err, ErrProtocol) }},
		{`s: +OK without end`, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{``, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"S: +OK " + strings.Repeat("x", maxStatus), func(err error) bool { return errors.Is(err, ErrLimit) }},
	} {
		conn := script(t, test.said)
		if _, err := New(t.Context(), conn, nil); err == nil || !test.is(err) {
			t.Errorf("%.60q: %v", test.said, err)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%.60q: the connection is still open: %v", test.said, err)
		}
	}
}

// TestCapabilities: asked once in each state, and refused without harm.
func TestCapabilities(t *testing.T) {
	c, err := New(t.Context(), script(t, `
		S: +OK
		C: CAPA
		S: +OK
		S: sasl plain
		S: USER
		S:
		S: LOGIN-DELAY 300
		S: .
		C: USER u1
		S: +OK
		C: PASS secret
		S: +OK
		C: CAPA
		S: +OK
		S: PIPELINING
		S: EXPIRE 0
		S: .
		C: NOOP
		S: +OK`), &Options{InsecurePassword: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		caps, err := c.Capabilities(t.Context())
		if err != nil || !caps.Has("SASL", "PLAIN") || caps.LoginDelay() != 300*time.Second {
			t.Fatal(caps, err)
		}
	}
	if err := c.UserPass(t.Context(), "u1", "secret"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		caps, err := c.Capabilities(t.Context())
		if days, _, ok := caps.Expire(); err != nil || caps.Has("SASL") || !caps.Has("PIPELINING") || days != 0 || !ok {
			t.Fatal(caps, err)
		}
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err = New(t.Context(), script(t, "S: +OK\nC: CAPA\nS: -ERR what?\nC: QUIT\nS: +OK"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if caps, err := c.Capabilities(t.Context()); caps != nil || err != nil {
			t.Fatal(caps, err)
		}
	}
	if err := c.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestEndlessCapabilities(t *testing.T) {
	c, err := New(t.Context(), script(t, "S: +OK\nC: CAPA\nS: +OK"+strings.Repeat("\nS: X", maxCapa+1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Capabilities(t.Context()); !errors.Is(err, ErrLimit) || c.Err() == nil {
		t.Error(err)
	}
}

// TestUnixSocket: a socket on this machine may be trusted with the password
// apart from the rest.
func TestUnixSocket(t *testing.T) {
	server, err := pop3fault.New(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	path := filepath.Join(t.TempDir(), "pop3")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go server.Serve(conn)
		}
	}()
	for _, opt := range []*Options{nil, {InsecureLocalPassword: true}} {
		c, err := DialUnix(t.Context(), path, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), u1); errors.Is(err, ErrClearText) != (opt == nil) || opt != nil && err != nil {
			t.Error(err)
		}
		_ = c.Close()
	}
}

// TestLoopback: InsecureLocalPassword means this machine, not a proxy on it.
func TestLoopback(t *testing.T) {
	server, err := pop3fault.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, test := range []struct {
		address string
		dialer  Dialer
		works   bool
	}{
		{server.Address(), nil, true},
		{strings.Replace(server.Address(), "127.0.0.1", "localhost", 1), nil, true},
		{"mail.example.org:110", redirect(server.Address()), false},
	} {
		c, err := DialInsecure(t.Context(), test.address, &Options{Dialer: test.dialer, InsecureLocalPassword: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), u1); (err == nil) != test.works || err != nil && !errors.Is(err, ErrClearText) {
			t.Errorf("%s: %v", test.address, err)
		}
		_ = c.Close()
	}
}

// redirect dials one address, whatever is asked for.
type redirect string

func (r redirect) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, string(r))
}

// TestSOCKS5: the proxy is given the name, and does not make a far server local.
func TestSOCKS5(t *testing.T) {
	server, err := pop3fault.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	proxy, asked := socksProxy(t, server.Address())
	dialer, err := SOCKS5(proxy, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := DialInsecure(t.Context(), "127.0.0.1:1110", &Options{Dialer: dialer, InsecureLocalPassword: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-asked; got != "127.0.0.1:1110" {
		t.Errorf("the proxy was asked for %s", got)
	}
	if caps, err := c.Capabilities(t.Context()); err != nil || !caps.Has("UIDL") {
		t.Error(caps, err)
	}
	if err := c.SignIn(t.Context(), u1); !errors.Is(err, ErrClearText) {
		t.Errorf("the proxy's loopback was taken for ours: %v", err)
	}
}

// socksProxy is a SOCKS5 proxy for one connection, which it leads to target.
// RFC 1928.
func socksProxy(t *testing.T, target string) (address string, asked <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	names := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		hello, request := make([]byte, 3), make([]byte, 10) // one method; CONNECT to an IPv4 address
		if _, err := io.ReadFull(conn, hello); err != nil {
			return
		}
		if _, err := conn.Write([]byte{5, 0}); err != nil {
			return
		}
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		to := net.TCPAddr{IP: net.IP(request[4:8]), Port: int(request[8])<<8 | int(request[9])}
		names <- to.String()
		if _, err := conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
			return
		}
		far, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer far.Close()
		go func() { _, _ = io.Copy(far, conn) }()
		_, _ = io.Copy(conn, far)
	}()
	return listener.Addr().String(), names
}

// TestSilentProxy: a proxy that accepts and says nothing holds nobody.
func TestSilentProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		dialer, err := SOCKS5("127.0.0.1:1080", nil, given{near})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err = DialTLS(t.Context(), "mail.example.org", &Options{Dialer: dialer, Timeout: 5 * time.Second})
		if took := time.Since(begin); err == nil || took != 5*time.Second {
			t.Error(err, took)
		}
	})
}

// given is a dialer of one connection.
type given struct{ conn net.Conn }

func (g given) DialContext(context.Context, string, string) (net.Conn, error) { return g.conn, nil }
