// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package proxyheader

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// headerTime is how long a proxy may take for its header; it has it ready.
	headerTime = 5 * time.Second
	// maxPending is how many connections may be without their header at once.
	maxPending = 1000
)

// Listener accepts connections and knows their clients. A connection from a
// source that the rules name must begin with a header, and comes out of Accept
// as a *Conn when it has come; one that does not is closed and logged. Whatever
// another source sends is left to the server, a header too.
type Listener struct {
	net.Listener
	log   *slog.Logger
	rules atomic.Pointer[Rules]
	begun bool // run is at work; Accept alone knows
	out   chan accepted
	done  chan struct{} // closed by Close

	mu      sync.Mutex
	closed  bool
	pending map[net.Conn]struct{} // connections that owe a header
}

type accepted struct {
	conn net.Conn
	err  error
}

// New returns a listener above l, which it closes.
func New(l net.Listener, rules Rules, log *slog.Logger) *Listener {
	p := &Listener{Listener: l, log: log, out: make(chan accepted), done: make(chan struct{}), pending: make(map[net.Conn]struct{})}
	p.rules.Store(&rules)
	return p
}

// SetRules replaces the rules for new connections.
func (l *Listener) SetRules(r Rules) { l.rules.Store(&r) }

// Accept waits for the next connection whose client is known. It is for one
// goroutine.
func (l *Listener) Accept() (net.Conn, error) {
	// Where nobody is believed, nothing stands between the two.
	if !l.begun {
		conn, err := l.Listener.Accept()
		if err != nil || !l.rules.Load().trusts(conn.RemoteAddr()) {
			return conn, err
		}
		l.begun = true
		l.take(conn)
		go l.run()
	}
	select {
	case a := <-l.out:
		return a.conn, a.err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close stops listening and closes the connections that Accept has not returned.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	for c := range l.pending {
		_ = c.Close() // its reader finds out
	}
	return l.Listener.Close()
}

// run accepts until the listener is closed, so that a proxy which is slow with
// a header holds nobody up.
func (l *Listener) run() {
	for {
		conn, err := l.Listener.Accept()
		switch {
		case err != nil:
			l.give(nil, err)
			if errors.Is(err, net.ErrClosed) {
				return
			}
		case !l.rules.Load().trusts(conn.RemoteAddr()):
			l.give(conn, nil)
		default:
			l.take(conn)
		}
	}
}

// take waits elsewhere for the header of a connection.
func (l *Listener) take(conn net.Conn) {
	if l.expect(conn) {
		go l.receive(conn)
		return
	}
	l.log.Warn("a connection from a proxy is refused: too many owe their PROXY header", "proxy", conn.RemoteAddr().String())
	_ = conn.Close() // nothing was said yet
}

// give hands a connection or an error to Accept.
func (l *Listener) give(conn net.Conn, err error) {
	select {
	case l.out <- accepted{conn, err}:
	case <-l.done:
		if conn != nil {
			_ = conn.Close() // nothing was said yet
		}
	}
}

// expect notes that a connection owes its header; it reports false where there
// are too many of these, or the listener is closed.
func (l *Listener) expect(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.pending) >= maxPending {
		return false
	}
	l.pending[conn] = struct{}{}
	return true
}

// receive reads the header of a connection and hands it on.
func (l *Listener) receive(conn net.Conn) {
	rules := l.rules.Load()
	err := conn.SetReadDeadline(time.Now().Add(headerTime))
	var c client
	if err == nil {
		c, err = read(conn)
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	l.mu.Lock()
	delete(l.pending, conn)
	closed := l.closed
	l.mu.Unlock()
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, errSilent) {
			level = slog.LevelDebug // a proxy that looks whether somebody listens
		}
		if !closed {
			l.log.Log(context.Background(), level, "a connection from a proxy is refused", "proxy", conn.RemoteAddr().String(), "error", err)
		}
		_ = conn.Close() // what is wrong with it has been said
		return
	}
	l.give(&Conn{Conn: conn, client: c.addr, tls: c.tls && rules.TrustTLS}, nil)
}

// Conn is a connection whose client stands behind a proxy.
type Conn struct {
	net.Conn
	client net.Addr
	tls    bool
}

// RemoteAddr returns the address of the client; where the proxy knows none, or
// speaks for itself, that of the proxy.
func (c *Conn) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// ProxiedTLS implements pop3server.Proxied.
func (c *Conn) ProxiedTLS() bool { return c.tls }
