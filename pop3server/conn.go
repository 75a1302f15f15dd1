// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"restante.example/internal/wire"
	"restante.example/pop3"
)

// readBuffer is what a connection keeps while it is idle: a command line fits.
const readBuffer = 512

// conn is one connection. All but what is marked belongs to its goroutine.
type conn struct {
	server   *Server
	opt      *settings
	rules    *rules // of the listener
	ctx      context.Context
	cancel   context.CancelFunc
	number   uint64 // set by the table
	remote   netip.Addr
	local    bool // this machine, see ClearTextLoopback
	shielded bool // under TLS as far as a proxy, see Proxied
	began    time.Time
	meter    meter
	tls      *tls.Conn       // nil in clear text
	raw      syscall.RawConn // the socket below TLS, where there is one
	r        *wire.Reader
	w        *wire.Writer

	lineBegan time.Time // when the first octet of the line came that is being read
	signIn    signIn
	wrong     int // wrong commands
	speech    speech
	tracing   bool
	end       Ending
	cut       bool // the end is in the middle of a reply: nothing more may be said

	checking atomic.Bool   // credentials are being checked
	secured  atomic.Uint32 // the TLS version, handshaking, or 0 in clear text
	counted  counted       // under the table's lock
	done     chan struct{} // closed at the end

	mu      sync.Mutex
	session *session // nil before sign-in; mu guards the pointer and what info tells of it
}

func newConn(ctx context.Context, s *Server, nc net.Conn, listener string, implicit bool) *conn {
	c := &conn{
		server: s, opt: s.settings.Load(), began: time.Now(), done: make(chan struct{}),
	}
	c.rules = c.opt.rulesOf(listener)
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.remote, c.local = remoteOf(nc)
	if p, ok := nc.(Proxied); ok {
		c.local, c.shielded = false, p.ProxiedTLS()
	}
	c.meter.Conn, c.meter.start = nc, s.start
	c.meter.slack, c.meter.rate = c.opt.Timeouts.Write, c.opt.Timeouts.MinimumRate
	c.meter.watch(c.opt.Timeouts.TakeOver)
	c.meter.touch()
	c.r = wire.NewReader(c, readBuffer)
	c.w = wire.NewWriter(&c.meter, s.writers)
	if implicit && c.rules.tls != nil {
		c.tls = tls.Server(&c.meter, c.rules.tls)
		c.w.Reset(c.records())
	} else if implicit {
		c.end = EndTLS
	}
	return c
}

// remoteOf returns the address of a peer and whether it is this machine.
func remoteOf(nc net.Conn) (netip.Addr, bool) {
	a := nc.RemoteAddr()
	if a == nil {
		return netip.Addr{}, false
	}
	switch a.Network() {
	case "unix", "pipe":
		return netip.Addr{}, true
	}
	if t, ok := a.(*net.TCPAddr); ok {
		addr := t.AddrPort().Addr().Unmap()
		return addr, addr.IsLoopback()
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}, false
	}
	addr := p.Addr().Unmap()
	return addr, addr.IsLoopback()
}

// id names the connection in the log.
func (c *conn) id() string { return "c" + strconv.FormatUint(c.number, 36) }

// run serves the connection to its end.
func (c *conn) run() {
	refusal := c.server.table.admit(c)
	if c.end == "" {
		c.end = refusal
	}
	defer close(c.done)
	defer c.finish()
	defer func() {
		if fault := recover(); fault != nil {
			c.end, c.cut = EndServerError, true
			c.log(slog.LevelError, "internal error; the connection is closed",
				slog.Any("error", fault), slog.String("stack", string(debug.Stack())))
		}
	}()
	if c.end == "" {
		c.end = c.converse()
	}
	c.letGo()
	if !c.cut {
		c.farewell()
	}
}

// converse greets the client and answers commands until the end.
func (c *conn) converse() Ending {
	if c.opt.Trace != nil {
		c.tracing = c.opt.Trace("")
	}
	if c.tls != nil {
		if end := c.handshake(); end != "" {
			return end
		}
	}
	c.greet()
	for {
		if why := c.meter.interrupted(); why != "" {
			return why
		}
		line, err := c.readLine(c.lineLimit())
		if errors.Is(err, wire.ErrLineTooLong) {
			if end := c.wrongCommand("the line is too long"); end != "" {
				return end
			}
			continue
		}
		if err != nil {
			return c.readFailed(err)
		}
		if why := c.meter.interrupted(); why != "" {
			return why
		}
		if end := c.command(line); end != "" {
			return end
		}
		if err := c.w.Err(); err != nil {
			return c.writeFailed(err)
		}
	}
}

// handshake does the TLS handshake, within the time for signing in.
func (c *conn) handshake() Ending {
	c.secured.Store(handshaking)
	if err := c.meter.readBy(c.signInBy()); err != nil {
		return c.readFailed(err)
	}
	// The deadline ends it, and so does an interruption. A context that can be
	// cancelled would cost a goroutine.
	err := c.tls.HandshakeContext(context.WithoutCancel(c.ctx))
	if err == nil {
		c.secured.Store(uint32(c.tls.ConnectionState().Version))
		c.raw = rawOf(c.meter.Conn)
		c.noteClient()
		return ""
	}
	c.cut = true
	if why := c.meter.interrupted(); why != "" {
		return why
	}
	c.log(slog.LevelDebug, "TLS handshake failed", slog.String("remote", c.remoteText()), slog.Any("error", err))
	return EndTLS
}

// Read gives the next octets from the client to the line reader. Before it
// waits it sends what was answered so far: so pipelined answers share a write,
// and a client that does not take them is not read from.
func (c *conn) Read(p []byte) (int, error) {
	if c.w.Buffered() > 0 {
		if err := c.w.Flush(); err != nil {
			return 0, &outputError{err}
		}
	}
	by := c.deadline()
	until := by
	if c.raw != nil {
		until = soon(by)
	}
	var n int
	err := c.meter.readBy(until)
	switch {
	case err != nil:
	case c.tls == nil:
		n, err = c.meter.Read(p)
	case c.raw == nil:
		n, err = c.tls.Read(p)
	default:
		// Package tls waits deep down. A session that is idle for longer waits here
		// instead, which takes half the stack; a deadline makes tls come back, with
		// what it has read so far kept.
		for err == nil {
			n, err = c.tls.Read(p)
			if n > 0 || until.Equal(by) || !errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err = c.meter.readBy(by); err == nil {
				err = await(c.raw)
			}
			if err == nil {
				until = soon(by)
				err = c.meter.readBy(until)
			}
		}
	}
	if n > 0 && c.lineBegan.IsZero() {
		c.lineBegan = time.Now()
	}
	return n, err
}

// restless is for how long a session under TLS waits in the ordinary way.
const restless = 200 * time.Millisecond

// soon is the end of that, or by if that is earlier.
func soon(by time.Time) time.Time {
	if t := time.Now().Add(restless); t.Before(by) {
		return t
	}
	return by
}

// outputError tells a failure to write from one to read.
type outputError struct{ error }

func (e *outputError) Unwrap() error { return e.error }

// readLine reads a line of at most limit octets.
func (c *conn) readLine(limit int) ([]byte, error) {
	c.lineBegan = time.Time{}
	if c.r.Buffered() > 0 {
		c.lineBegan = time.Now()
	}
	return c.r.ReadLine(limit)
}

func (c *conn) signInBy() time.Time { return c.began.Add(c.opt.Timeouts.Auth) }

// deadline returns until when the next octet must have come.
func (c *conn) deadline() time.Time {
	var by time.Time
	if c.lineBegan.IsZero() {
		by = time.Now().Add(c.opt.Timeouts.Idle)
	} else {
		by = c.lineBegan.Add(c.opt.Timeouts.Line)
	}
	if auth := c.signInBy(); c.session == nil && auth.Before(by) {
		return auth
	}
	return by
}

// readFailed says what it means that no line could be read.
func (c *conn) readFailed(err error) Ending {
	if why := c.meter.interrupted(); why != "" {
		return why
	}
	out, isOutput := errors.AsType[*outputError](err)
	switch {
	case isOutput:
		return c.writeFailed(out)
	case errors.Is(err, wire.ErrLineEndless):
		return EndWrong
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return EndClosed
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return EndLost
	case c.session == nil && !time.Now().Before(c.signInBy()):
		return EndAuthTime
	case c.lineBegan.IsZero():
		return EndIdle
	}
	return EndLineTime
}

// writeFailed says what it means that a reply could not be sent.
func (c *conn) writeFailed(err error) Ending {
	c.cut = true
	if why := c.meter.interrupted(); why != "" {
		return why
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return EndWriteTime
	}
	return EndLost
}

// farewell tells the client why it is being left, where that is not known to it.
func (c *conn) farewell() {
	if c.tls != nil && !c.tls.ConnectionState().HandshakeComplete {
		return // a handshake for the sake of a refusal is what a limit is there to save
	}
	// What was answered before has the time that answers have.
	if c.w.Buffered() > 0 && c.w.Flush() != nil {
		return
	}
	c.meter.part(partingTime)
	switch c.end {
	case EndQuit, EndQuitFailed, EndClosed, EndLost, EndFailures, EndTLS:
	case EndWrong:
		c.refuse("", "too many commands that are wrong")
	case EndForeign:
		c.refuse("", "this is a POP3 server")
	case EndInjection:
		c.refuse("", "nothing may follow STLS before TLS has begun")
	case EndRefused:
		c.refuse(pop3.CodeSysTemp, "too many connections; try again later")
	default:
		c.refuse(pop3.CodeSysTemp, farewells[c.end])
	}
	// The client may be gone: then there is nobody to tell.
	_ = c.w.Flush()
}

// farewells are the last words at the endings that the client did not cause.
// Nothing was deleted at any of them.
var farewells = map[Ending]text{
	EndIdle:      "no command came for too long; nothing was deleted",
	EndAuthTime:  "signing in took too long",
	EndLineTime:  "the line took too long; nothing was deleted",
	EndEvicted:   "too many connections; try again later",
	EndTakenOver: "another session has taken over; nothing was deleted",
	EndRevoked:   "the session was ended; nothing was deleted",
	EndShutdown:  "the server is going down; nothing was deleted, try again later",
}

// finish closes everything and tells that the connection has ended.
func (c *conn) finish() {
	c.cancel()
	c.letGo()
	c.w.Release()
	c.meter.part(partingTime)
	// Errors of closing: the client is gone, and nothing is left to be told.
	if c.tls != nil && !c.cut {
		_ = c.tls.Close()
	}
	_ = c.meter.Conn.Close()
	c.summarise()
	c.server.table.leave(c)
}

// letGo gives the maildrop back. It comes before the last answer, so that a
// client that signs in again at once does not find it in use.
func (c *conn) letGo() {
	s := c.session
	if s == nil || s.gone {
		return
	}
	c.count(func() { s.gone = true })
	if err := s.snap.Close(); err != nil {
		c.log(slog.LevelError, "cannot close the maildrop", slog.String("user", s.principal.Name), slog.Any("error", err))
	}
	c.server.table.exit(c, s.key)
}

// interrupt ends the connection from another goroutine; see meter.interrupt.
func (c *conn) interrupt(why Ending, hard bool) {
	c.meter.interrupt(why, hard)
	if hard {
		c.cancel()
	}
}

// revoke takes the maildrop away from the session and ends it.
func (c *conn) revoke(why Ending) {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s != nil {
		s.snap.Revoke() // waits for a QUIT that is being committed
	}
	c.interrupt(why, true)
}
