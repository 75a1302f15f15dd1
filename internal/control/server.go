// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"
)

// SocketName is the name of the socket in the data directory.
const SocketName = "control.sock"

// atOnce is how many requests are worked on at once; others wait.
const atOnce = 64

// patience is how long a peer may take for the next octets.
const patience = time.Minute

// Server answers requests on the socket of a data directory.
type Server struct {
	mux      Mux
	log      *slog.Logger
	listener net.Listener
	path     string
	slots    chan struct{}
	running  sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	aborted bool
}

// Listen binds the socket of dir with mode 0600. The caller owns dir, so a
// socket that is there already is what a killed process left.
func Listen(dir string, mux Mux, log *slog.Logger) (*Server, error) {
	const fresh = ".control.new"
	short, release, err := ShortPath(dir)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer release()
	if err := os.Remove(filepath.Join(dir, fresh)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(short, fresh)})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // its name is another one by then
	// Nobody can connect to the name before it has its mode.
	path := filepath.Join(dir, SocketName)
	err = os.Chmod(filepath.Join(dir, fresh), 0o600)
	if err == nil {
		err = os.Rename(filepath.Join(dir, fresh), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return &Server{mux: mux, log: log, listener: l, path: path, slots: make(chan struct{}, atOnce),
		conns: make(map[net.Conn]struct{})}, nil
}

// Serve answers requests until ctx ends; then it takes no more, waits for those
// that run, and removes the socket. It returns nil, or why it had to stop.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	var failed error
	var wait time.Duration
	for {
		s.slots <- struct{}{}
		conn, err := s.listener.Accept()
		if err != nil {
			<-s.slots
			if ctx.Err() != nil {
				break
			}
			if errors.Is(err, net.ErrClosed) {
				failed = fmt.Errorf("control socket: %w", err)
				break
			}
			// Too many open files and the like pass; mail is served on meanwhile.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.log.Error("control socket: accept failed; trying again", "error", err, "in", wait)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			continue
		}
		wait = 0
		s.running.Go(func() {
			defer func() { <-s.slots }()
			if s.track(conn, true) {
				s.answer(ctx, conn)
			}
			s.track(conn, false)
		})
	}
	s.running.Wait()
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		failed = errors.Join(failed, err)
	}
	return failed
}

// track notes a connection, unless all have been aborted, or closes it.
func (s *Server) track(conn net.Conn, there bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there && !s.aborted {
		s.conns[conn] = struct{}{}
		return true
	}
	delete(s.conns, conn)
	_ = conn.Close() // the reply has been written or cannot be
	return false
}

// Abort cuts the connections of the requests that run, so that Serve need not
// wait for callers that send nothing.
func (s *Server) Abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted = true
	for conn := range s.conns {
		_ = conn.Close() // as above
	}
}

// answer serves one connection. A request that has begun is done to its end
// even while the server stops: its caller waits for the answer.
func (s *Server) answer(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("a control request panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	r := bufio.NewReaderSize(patientReader{conn}, 32<<10)
	var q request
	err := readJSON(r, kindRequest, maxRequest, &q)
	if err == io.EOF {
		return // somebody looked whether a server runs
	}
	if err != nil {
		s.log.Warn("a control request cannot be understood", "error", err)
		return
	}
	var body io.Reader = eofReader{}
	if q.Body {
		body = &bodyReader{r: r}
	}
	answer := s.mux.do(ctx, q, body)
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		s.log.Warn("a control reply was not sent", "operation", q.Op, "error", err)
		return
	}
	if err := writeJSON(conn, kindReply, maxReply, answer); err != nil {
		s.log.Warn("a control reply was not sent", "operation", q.Op, "error", err)
	}
}

// patientReader gives each read its own deadline.
type patientReader struct{ conn net.Conn }

func (p patientReader) Read(b []byte) (int, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}
