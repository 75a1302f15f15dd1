// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package lmtp is the counter where mail comes in: a server for the Local Mail
// Transfer Protocol (RFC 2033), with SIZE (RFC 1870), 8BITMIME (RFC 6152),
// SMTPUTF8 (RFC 6531), PIPELINING (RFC 2920) and ENHANCEDSTATUSCODES (RFC 2034).
// A message of any size, with lines of any length, costs the same memory; a
// positive answer is given when the message is durable, and not before.
package lmtp

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"restante.example/internal/wire"
)

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = errors.New("lmtp: server closed")

// Server serves any number of listeners. Its methods may be called by any
// number of goroutines.
type Server struct {
	opts   atomic.Pointer[Options]
	pool   *wire.Pool
	ctx    context.Context // ended by Close
	cancel context.CancelFunc
	ids    atomic.Uint64

	mu        sync.Mutex
	draining  bool
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	running   sync.WaitGroup // sessions and refusals
}

// New returns a server that listens nowhere yet. The options are copied.
func New(opts *Options) *Server {
	s := &Server{
		pool:      wire.NewPool(2048),
		listeners: make(map[net.Listener]struct{}),
		sessions:  make(map[*session]struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.Reconfigure(opts)
	return s
}

// Reconfigure replaces all options. Messages that have begun are taken in under
// the old ones.
func (s *Server) Reconfigure(opts *Options) { s.opts.Store(opts.withDefaults()) }

// Serve accepts connections from l until Shutdown or Close, and closes l. It
// returns ErrServerClosed then, or the error of a listener that failed.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		return ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	var wait time.Duration
	for {
		conn, err := l.Accept()
		if err == nil {
			wait = 0
			s.begin(conn)
			continue
		}
		s.mu.Lock()
		draining := s.draining
		s.mu.Unlock()
		if draining {
			return ErrServerClosed
		}
		// Too many open files and the like pass; a closed listener does not.
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		s.opts.Load().Logger.Error("lmtp: accept failed", "error", err, "wait", wait)
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

// begin starts a session, or refuses it when there are too many.
func (s *Server) begin(conn net.Conn) {
	sess := newSession(s, conn)
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		conn.Close()
		return
	}
	full := len(s.sessions) >= s.opts.Load().Limits.Sessions
	if !full {
		s.sessions[sess] = struct{}{}
	}
	s.running.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.running.Done()
		defer conn.Close()
		if full {
			sess.refuse()
			return
		}
		defer func() {
			s.mu.Lock()
			delete(s.sessions, sess)
			s.mu.Unlock()
		}()
		sess.serve()
	}()
}

// Connections returns how many connections there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Shutdown stops listening, lets each message that is coming in end and be
// answered, tells clients that wait to come back later, and returns when every
// session has ended. When ctx ends first, the rest are closed and its error is
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain(func(sess *session) { sess.wake() })
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		s.cancel()
		return nil
	case <-ctx.Done():
		s.Close()
		return ctx.Err()
	}
}

// Close stops listening and closes every connection; messages that have not
// come in whole are dropped. It returns when the sessions have ended.
func (s *Server) Close() error {
	s.cancel()
	s.drain(func(sess *session) { sess.conn.Close() })
	s.running.Wait()
	return nil
}

func (s *Server) drain(each func(*session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for l := range s.listeners {
		l.Close() // Serve sees the error
	}
	for sess := range s.sessions {
		each(sess)
	}
}
