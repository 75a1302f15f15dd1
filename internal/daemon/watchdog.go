// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/control"
)

const (
	// startStep is how often a start that goes on asks for more time, and
	// startPatience how long a start may take in all.
	startStep     = 20 * time.Second
	startPatience = 30 * time.Minute
	// stopSlack is what closing takes at most when the sessions have ended.
	stopSlack = 20 * time.Second
)

// OpAlive asks whether the server can still answer.
const OpAlive = "alive"

// openPatiently is Open, for which it asks the service manager for time.
func openPatiently(ctx context.Context, c *config.Config, o *RunOptions) (*Server, error) {
	opened := make(chan struct{})
	defer close(opened)
	go func() {
		tick := time.NewTicker(startStep)
		defer tick.Stop()
		for began := time.Now(); time.Since(began) < startPatience; {
			select {
			case <-opened:
				return
			case <-tick.C:
				states := notifyExtend(2*startStep) + "\n" + notifyStatus("opening "+c.Data)
				if err := notify(o.Getenv, states); err != nil {
					o.Log.Warn("the service manager does not listen", "error", err)
				}
			}
		}
	}()
	return Open(ctx, c, o.Log, o.Version)
}

// statusLine is what `systemctl status` shows of a server that answers.
func (s *Server) statusLine() string {
	var where []string
	for _, l := range s.Listening() {
		where = append(where, l.Service+" "+l.Address)
	}
	return notifyStatus("serving " + strings.Join(where, ", "))
}

// watchdogEvery returns how often the service manager wants to hear that the
// server is alive, 0 for never: half of what it allows, sd_watchdog_enabled(3).
func watchdogEvery(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}

// watch tells the service manager that the server is alive, each time that it
// has answered.
func (s *Server) watch(ctx context.Context, o *RunOptions, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.askItself(ctx, every); err == nil {
			s.tell(o, notifyWatchdog)
		} else if ctx.Err() == nil && !s.draining.Load() {
			s.log.Error("the server does not answer itself; the service manager is not told that it is alive", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// askItself asks as a command does: a connection is accepted, and what every
// session needs is touched. A full disk or a directory that is broken is no
// reason to be killed; only what hangs is.
func (s *Server) askItself(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return control.NewClient(s.config.Load().Data).Call(ctx, OpAlive, Nothing{}, nil, nil)
}

// alive answers when the tables of the connections and the directory do.
func (s *Server) alive(ctx context.Context, _ Nothing, _ io.Reader) (Nothing, error) {
	s.pop3.Connections()
	s.lmtp.Connections()
	answered, users := make(chan struct{}), s.office.directory
	go func() {
		defer close(answered)
		_, _ = users.Recipient(ctx, probeUser) // any answer is one
	}()
	select {
	case <-answered:
		return Nothing{}, nil
	case <-ctx.Done():
		return Nothing{}, fmt.Errorf("the directory of users does not answer: %w", ctx.Err())
	}
}
