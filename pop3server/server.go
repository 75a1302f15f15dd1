// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"restante.example/internal/wire"
)

// ErrServerClosed is returned by Serve and ServeTLS after Shutdown or Close.
var ErrServerClosed = errors.New("pop3server: server closed")

// errNoTLS is returned where TLS is asked for and there is no certificate.
var errNoTLS = errors.New("pop3server: TLS from the first octet needs a TLSConfig")

// Server serves POP3 to any number of connections. All methods may be called
// by any number of goroutines.
type Server struct {
	settings atomic.Pointer[settings]
	start    time.Time // what activity is measured from
	writers  *wire.Pool
	table    table
}

// Replies are written from buffers of writeBuffer octets, longer ones from up to
// longBuffers of longBuffer octets: so a message takes an eighth of the writes.
const (
	writeBuffer = 16 << 10
	longBuffer  = 128 << 10
	longBuffers = 128
)

// New returns a server. Options may be nil; they are copied.
func New(options *Options) *Server {
	s := &Server{start: time.Now(), writers: wire.NewGrowingPool(writeBuffer, longBuffer, longBuffers)}
	s.settings.Store(newSettings(options))
	s.table.init()
	return s
}

// Reconfigure replaces the options for new connections; those that are there
// go on with what they began with. Nil stands for the defaults.
func (s *Server) Reconfigure(options *Options) { s.settings.Store(newSettings(options)) }

// Serve accepts connections that begin in clear text, port 110, and offers
// STLS where there is a TLSConfig. It closes the listener and returns
// ErrServerClosed after Shutdown or Close, or else what Accept failed with.
func (s *Server) Serve(l net.Listener) error { return s.ServeListener(l, "", false) }

// ServeTLS accepts connections that begin with TLS, port 995; a client that
// offers protocols by ALPN must offer "pop3" among them. It ends as Serve
// does. RFC 8314 section 3.
func (s *Server) ServeTLS(l net.Listener) error { return s.ServeListener(l, "", true) }

// ServeListener is ServeTLS, or Serve where implicit is false, with the rules
// that Options.Listeners has for the name, or else those of Options. A new
// connection has the rules that hold since the latest Reconfigure.
func (s *Server) ServeListener(l net.Listener, name string, implicit bool) error {
	defer l.Close()
	if implicit && s.settings.Load().rulesOf(name).tls == nil {
		return errNoTLS
	}
	if !s.table.addListener(l) {
		return ErrServerClosed
	}
	defer s.table.removeListener(l)

	ctx := context.Background()
	if base := s.settings.Load().BaseContext; base != nil {
		ctx = base(l)
	}
	var wait time.Duration
	for {
		nc, err := l.Accept()
		if err == nil {
			wait = 0
			go s.serveConn(ctx, nc, name, implicit)
			continue
		}
		if s.table.closing() {
			return ErrServerClosed
		}
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() && !isTemporary(ne) {
			return err
		}
		// Out of file descriptors, mostly: the others need time to end.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		s.settings.Load().Logger.Error("cannot accept connections; trying again",
			slog.Any("error", err), slog.Duration("in", wait))
		select {
		case <-time.After(wait):
		case <-s.table.down:
		}
	}
}

// isTemporary reports what the system says of running out of resources.
func isTemporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// ServeConn serves one connection to its end and closes it. With implicit it
// begins with TLS, for which there must be a TLSConfig. When ctx is cancelled,
// what the store and the directory are doing for the connection is cancelled;
// the connection itself is ended by Shutdown, Close or End.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn, implicit bool) {
	s.serveConn(ctx, nc, "", implicit)
}

// serveConn serves a connection under the rules of a listener. It does all of it,
// so that Accept waits for nothing: a net.Conn may have to read until it knows
// its RemoteAddr.
func (s *Server) serveConn(ctx context.Context, nc net.Conn, listener string, implicit bool) {
	newConn(ctx, s, nc, listener, implicit).run()
}

// Shutdown stops listening, tells every session [SYS/TEMP] at its next command
// or at once where it is idle, and returns when all have ended. Messages that
// were marked deleted stay, but a QUIT that is being committed is finished. When
// ctx is done before, it returns its error; Close ends the rest.
func (s *Server) Shutdown(ctx context.Context) error {
	s.table.shut(EndShutdown, false)
	select {
	case <-s.table.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops listening and ends every session now, also in the middle of a
// reply; it removes nothing, but a QUIT that is being committed is finished. It
// returns when all have ended.
func (s *Server) Close() error {
	s.table.shut(EndShutdown, true)
	<-s.table.drained
	return nil
}

// Connections returns how many connections there are, and how many of them
// have not signed in.
func (s *Server) Connections() (all, unauthenticated int) { return s.table.counts() }

// Sessions returns the sessions that are signed in, in the order in which they
// connected.
func (s *Server) Sessions() []SessionInfo {
	var list []SessionInfo
	for _, c := range s.table.signedIn() {
		if info, ok := c.info(); ok {
			list = append(list, info)
		}
	}
	return list
}

// End ends every session that which reports true for, without removing
// anything, and returns how many when they have ended: it is how a revoked
// credential stops working. A QUIT that is being committed is finished before.
// Somebody who is signing in meanwhile is told to try again. It must not be
// called from a callback of the session that it ends.
func (s *Server) End(which func(SessionInfo) bool) int {
	s.table.revoke()
	var ended []*conn
	for _, c := range s.table.signedIn() {
		if info, ok := c.info(); ok && which(info) {
			c.revoke(EndRevoked)
			ended = append(ended, c)
		}
	}
	for _, c := range ended {
		<-c.done
	}
	return len(ended)
}
