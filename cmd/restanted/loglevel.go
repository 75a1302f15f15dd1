// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/daemon"
)

type logLevelCommand struct {
	Level string `arg:"" optional:"" help:"debug, info, warn or error; without it the level is shown."`
	place
	For config.Duration `placeholder:"10m" help:"Go back to the level of the configuration after that time."`
}

// Help is shown below the flags.
func (logLevelCommand) Help() string {
	return `It holds until the time of --for is over, the configuration is read again, or the server starts anew.

Example: restanted log-level debug --for 10m --data ~/mail`
}

// Run changes the level, or shows it.
func (l *logLevelCommand) Run(ctx context.Context, c *console) error {
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, l.Level) {
		return c.fail(exitUsage, "%s is no level; there are debug, info, warn and error", l.Level)
	}
	if l.Level == "" && l.For != 0 {
		return c.fail(exitUsage, "--for needs a level before it, as in: restanted log-level debug --for 10m")
	}
	var now daemon.LogLevel
	err := l.server(ctx, c, daemon.OpLogLevel, daemon.LogLevelArgs{Level: l.Level, For: time.Duration(l.For).Seconds()}, &now)
	if err != nil {
		return err
	}
	switch {
	case now.Until != nil:
		c.say("The server logs at the level %s until %s, then again at %s.", now.Level, when(*now.Until), now.Configured)
	case now.Level != now.Configured:
		c.say("The server logs at the level %s until the configuration is read again, then at %s.", now.Level, now.Configured)
	default:
		c.say("The server logs at the level %s, as the configuration says.", now.Level)
	}
	return nil
}
