// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"restante.example/internal/control"
	"restante.example/pop3server"
)

// Status is what a running server says of itself.
type Status struct {
	Version   string      `json:"version"`
	PID       int         `json:"pid"`
	Data      string      `json:"data"`
	Started   time.Time   `json:"started"`
	Uptime    float64     `json:"uptime_seconds"`
	Listening []Listening `json:"listening"`
	// Fingerprint is the SHA-256 of the certificate in hex; SelfSigned names the
	// file that clients can be told to trust, or is empty.
	Fingerprint string `json:"fingerprint"`
	SelfSigned  string `json:"self_signed,omitempty"`
	Users       int    `json:"users"`
	// Connections are those of POP3 in all, Unauthenticated those of them that
	// have not signed in.
	Connections     int           `json:"connections"`
	Unauthenticated int           `json:"unauthenticated"`
	Sessions        []SessionInfo `json:"sessions"`
	Counts          Counts        `json:"counts"`
}

// Counts are what happened since the server started.
type Counts struct {
	// Sessions that were signed in and have ended, and messages that they
	// retrieved and removed.
	Sessions  int64 `json:"sessions"`
	Retrieved int64 `json:"retrieved"`
	Removed   int64 `json:"removed"`
	// Failed are connections that ended without a sign-in.
	Failed int64 `json:"failed"`
}

// counters are Counts that many goroutines add to.
type counters struct{ sessions, retrieved, removed, failed atomic.Int64 }

func (c *counters) note(s pop3server.Summary) {
	if s.User == "" {
		c.failed.Add(1)
		return
	}
	c.sessions.Add(1)
	c.retrieved.Add(int64(s.Retrieved))
	c.removed.Add(int64(s.Deleted))
}

func (s *Server) status(ctx context.Context, _ Nothing, _ io.Reader) (Status, error) {
	users, err := s.office.directory.List(ctx)
	if err != nil {
		return Status{}, err
	}
	all, unauthenticated := s.pop3.Connections()
	st := Status{
		Version: s.version, PID: os.Getpid(), Data: s.office.config.Data,
		Started: s.started, Uptime: time.Since(s.started).Seconds(),
		Listening: s.Listening(), Fingerprint: s.reception.Load().Fingerprint(), SelfSigned: s.caFile(),
		Users: len(users), Connections: all, Unauthenticated: unauthenticated, Sessions: s.sessions(everySession),
		Counts: Counts{s.counts.sessions.Load(), s.counts.retrieved.Load(), s.counts.removed.Load(), s.counts.failed.Load()},
	}
	return st, nil
}

// TraceArgs switch the trace of a user on or off.
type TraceArgs struct {
	User string `json:"user"`
	On   bool   `json:"on"`
}

// trace switches the trace of a user until the configuration is read again.
func (s *Server) trace(ctx context.Context, a TraceArgs, _ io.Reader) (Nothing, error) {
	u, err := s.office.directory.Get(ctx, a.User)
	if err != nil {
		return Nothing{}, refusal(err)
	}
	s.reloading.Lock() // two at once would lose one of them
	defer s.reloading.Unlock()
	names := slices.Clone(*s.traced.Load())
	names = slices.DeleteFunc(names, func(name string) bool { return name == u.Name })
	if a.On {
		names = append(names, u.Name)
	}
	s.traced.Store(&names)
	return Nothing{}, nil
}

// serverOperations adds what only a running server can answer.
func (s *Server) serverOperations(m control.Mux) {
	control.Handle(m, OpStatus, s.status)
	control.Handle(m, OpTrace, s.trace)
	control.Handle(m, OpAlive, s.alive)
	control.Handle(m, OpSessions, s.listSessions)
	control.Handle(m, OpKick, s.kick)
	control.Handle(m, OpLogLevel, s.logLevel)
}
