// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package proxyheader

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is written by a listener and read by a test.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// pipes is a listener of connections within the process.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn, 4), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects; from is the address that the listener sees.
func (p *pipes) dial(from string) net.Conn {
	mine, theirs := net.Pipe()
	p.conns <- addressed{theirs, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}
	return mine
}

type addressed struct {
	net.Conn
	from net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.from }

var fromProxy = Rules{Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	}
}

// A proxy that is slow with its header holds nobody up and is left after five
// seconds.
func TestSlowHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, inner := &log{}, newPipes()
		l := New(inner, fromProxy, slog.New(slog.NewTextHandler(out, nil)))
		got := make(chan net.Conn)
		go func() {
			defer close(got)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				got <- c
			}
		}()
		slow := inner.dial("10.0.0.1:1000")
		began := time.Now()
		go func() {
			for _, octet := range "PROXY TCP4 192.0.2.7 10.0.0.1 40000 110\r\n" {
				if _, err := slow.Write([]byte{byte(octet)}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
			t.Error("a header of 40 seconds was waited for")
		}()
		direct := inner.dial("192.0.2.9:1000")
		if c := <-got; c.RemoteAddr().String() != "192.0.2.9:1000" || time.Since(began) != 0 {
			t.Errorf("%v came after %v", c.RemoteAddr(), time.Since(began))
		}
		time.Sleep(headerTime)
		synctest.Wait()
		if !strings.Contains(out.String(), "refused") {
			t.Errorf("the log does not say that the proxy was refused: %s", out)
		}
		prompt := inner.dial("10.0.0.1:1001")
		go say(t, prompt, "PROXY TCP4 192.0.2.7 10.0.0.1 40000 110\r\n")
		c := <-got
		if c.RemoteAddr().String() != "192.0.2.7:40000" {
			t.Errorf("the client is %v", c.RemoteAddr())
		}
		// The time for the header is no time for the client.
		time.Sleep(time.Hour)
		go say(t, prompt, "USER")
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Errorf("after the header: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-got
		_, _, _ = slow.Close(), direct.Close(), prompt.Close()
	})
}

// What another source sends is the server's business, a header too.
func TestUntrustedHeaderIsData(t *testing.T) {
	inner := newPipes()
	l := New(inner, fromProxy, slog.New(slog.DiscardHandler))
	defer l.Close()
	const text = "PROXY TCP4 127.0.0.1 10.0.0.1 40000 110\r\n"
	go say(t, inner.dial("192.0.2.9:1000"), text)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
		t.Errorf("the server reads %q, %v", buf, err)
	}
	if _, ok := c.(*Conn); ok || c.RemoteAddr().String() != "192.0.2.9:1000" {
		t.Errorf("the client is %v, %T", c.RemoteAddr(), c)
	}
}

// What a proxy says of TLS counts only where the operator says so; rules can be
// changed while the listener is open.
func TestProxiedTLS(t *testing.T) {
	inner := newPipes()
	l := New(inner, fromProxy, slog.New(slog.DiscardHandler))
	defer l.Close()
	for _, believed := range []bool{false, true} {
		rules := fromProxy
		rules.TrustTLS = believed
		l.SetRules(rules)
		for _, test := range []struct {
			header string
			tls    bool
		}{
			{v2(proxy, tcp4, ipv4, overTLS), true}, {v2(proxy, tcp4, ipv4, inClear), false}, {v2(proxy, tcp4, ipv4), false},
			{v2(local, tcp4, ipv4, overTLS), false}, {"PROXY UNKNOWN\r\n", false},
		} {
			go say(t, inner.dial("10.0.0.1:1000"), test.header)
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if got := c.(*Conn).ProxiedTLS(); got != (test.tls && believed) {
				t.Errorf("%q, believed %v: TLS is %v", test.header, believed, got)
			}
		}
	}
}

// A listener that is closed leaves nothing behind: neither connections that owe
// a header nor those that nobody has accepted.
func TestCloseEndsWhatIsPending(t *testing.T) {
	inner := newPipes()
	l := New(inner, fromProxy, slog.New(slog.DiscardHandler))
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	first := inner.dial("10.0.0.1:999")
	say(t, first, "PROXY UNKNOWN\r\n")
	<-accepted
	owing := inner.dial("10.0.0.1:1000")
	unwanted := inner.dial("10.0.0.1:1001")
	say(t, unwanted, "PROXY UNKNOWN\r\n")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []net.Conn{owing, unwanted} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a pending connection: %v", err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	_ = first.Close()
}

// A flood of connections that owe their header is bounded, and the others come
// through.
func TestManyWithoutHeader(t *testing.T) {
	inner := newPipes()
	out := &log{}
	l := New(inner, fromProxy, slog.New(slog.NewTextHandler(out, nil)))
	got := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		got <- c
	}()
	for range maxPending {
		inner.dial("10.0.0.1:1000")
	}
	over := inner.dial("10.0.0.1:1001")
	if _, err := over.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one more: %v", err)
	}
	inner.dial("192.0.2.9:1000")
	if c := <-got; c.RemoteAddr().String() != "192.0.2.9:1000" {
		t.Errorf("got %v", c.RemoteAddr())
	}
	if !strings.Contains(out.String(), "too many") {
		t.Error("the log does not say so")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
