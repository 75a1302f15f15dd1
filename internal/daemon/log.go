// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"restante.example/internal/config"
)

// Log is a logger whose level can be changed while it is in use.
type Log struct {
	*slog.Logger
	level *slog.LevelVar

	mu    sync.Mutex  // held by what changes the level
	timer *time.Timer // ends an override, or is nil
	until time.Time   // when it does
}

// NewLog returns a logger that writes to w in the format and at the level of a
// configuration.
func NewLog(w io.Writer, c *config.Config) *Log {
	l := &Log{level: new(slog.LevelVar)}
	options := &slog.HandlerOptions{Level: l.level}
	if c.LogFormat == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(w, options))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(w, options))
	}
	l.setLevel(c.LogLevel)
	return l
}

func (l *Log) setLevel(name string) {
	l.level.Set(logLevels[name])
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}
