// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"io"
	"time"

	"restante.example/internal/control"
)

// OpLogLevel changes what is logged, or tells it.
const OpLogLevel = "log-level"

// LogLevelArgs set a level; an empty one changes nothing.
type LogLevelArgs struct {
	Level string `json:"level,omitempty"`
	// For is after how many seconds the level of the configuration is in force
	// again; 0 is when the configuration is read again, or the server starts.
	For float64 `json:"for_seconds,omitempty"`
}

// LogLevel is what is logged.
type LogLevel struct {
	Level string `json:"level"`
	// Configured is the level of the configuration, and Until when it is in force
	// again; nil where no time is set.
	Configured string     `json:"configured"`
	Until      *time.Time `json:"until,omitempty"`
}

// reset puts the level of a configuration in force.
func (l *Log) reset(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.setLevel(name)
}

// override puts another level in force, for a time or until the next reset. A
// later override takes the place of an earlier one, its time included.
func (l *Log) override(name string, d time.Duration, configured func() string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.setLevel(name)
	if d <= 0 {
		return
	}
	l.until = time.Now().Add(d)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.timer == timer { // else somebody else has had a say since
			l.stop()
			l.setLevel(configured())
		}
	})
	l.timer = timer
}

func (l *Log) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timer, l.until = nil, time.Time{}
}

// current returns the level, and until when it holds where a time was set.
func (l *Log) current() (string, *time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, level := range logLevels {
		if level == l.level.Level() {
			if l.timer == nil {
				return name, nil
			}
			until := l.until
			return name, &until
		}
	}
	return l.level.Level().String(), nil
}

func (s *Server) logLevel(_ context.Context, a LogLevelArgs, _ io.Reader) (LogLevel, error) {
	configured := func() string { return s.config.Load().LogLevel }
	if a.Level != "" {
		if _, ok := logLevels[a.Level]; !ok {
			return LogLevel{}, &control.Error{Code: control.CodeArguments, Text: fmt.Sprintf("%q is no level; there are debug, info, warn and error", a.Level)}
		}
		if a.For < 0 {
			return LogLevel{}, &control.Error{Code: control.CodeArguments, Text: "a time for the level of the log must be more than nothing"}
		}
		// A warning, so that most logs tell of their gap.
		s.log.Warn("the level of the log is changed by command", "level", a.Level, "for", seconds(a.For).String())
		s.log.override(a.Level, seconds(a.For), configured)
	}
	level, until := s.log.current()
	return LogLevel{Level: level, Configured: configured(), Until: until}, nil
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
