// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"log/slog"
	"time"

	"restante.example/internal/intake"
)

// Options are the settings of a Server. The zero value of each field but Intake
// is the default that it names.
type Options struct {
	// Intake is where mail goes. It is required, and its MaxSize is announced.
	Intake *intake.Intake
	// Hostname is the name in the greeting; empty means "localhost".
	Hostname string
	// Logger gets a line per recipient of each message, one per session, and
	// failures; nil drops them.
	Logger *slog.Logger
	// Limits and Timeouts bound what one client can take.
	Limits   Limits
	Timeouts Timeouts
}

// Limits bound what clients can take.
type Limits struct {
	// Sessions is how many there may be at once; 0 means 200.
	Sessions int
	// Recipients is how many one message may have; 0 means 1,000, and no less
	// than 100 is possible. RFC 5321 section 4.5.3.1.8.
	Recipients int
	// WrongCommands is how many commands in one session may be wrong before it
	// is ended; 0 means 20.
	WrongCommands int
	// Drain is how many octets of a refused message are read to its end before
	// the connection is closed instead; 0 means 1 GiB.
	Drain int64
}

// Timeouts bound how long clients can take.
type Timeouts struct {
	// Command is how long the server waits for the next command; 0 means 5
	// minutes, which RFC 5321 section 4.5.3.2.7 asks for.
	Command time.Duration
	// Line is how long a command may take from its first octet to its end; 0
	// means 1 minute.
	Line time.Duration
	// Data is how long the server waits for the next octets of a message; 0
	// means 3 minutes, as in RFC 5321 section 4.5.3.2.5.
	Data time.Duration
	// DataWhole is how long a message may take in all; 0 means 2 hours.
	DataWhole time.Duration
	// DataRate is the least number of octets a second, over the time since the
	// message began less the time Data; 0 means 1,000.
	DataRate int64
	// Write is how long a reply may take; 0 means 1 minute.
	Write time.Duration
}

// withDefaults returns a copy in which every field is set.
func (o *Options) withDefaults() *Options {
	c := *o
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Limits.Sessions <= 0 {
		c.Limits.Sessions = 200
	}
	if c.Limits.Recipients <= 0 {
		c.Limits.Recipients = 1000
	}
	c.Limits.Recipients = max(c.Limits.Recipients, 100)
	if c.Limits.WrongCommands <= 0 {
		c.Limits.WrongCommands = 20
	}
	if c.Limits.Drain <= 0 {
		c.Limits.Drain = 1 << 30
	}
	def(&c.Timeouts.Command, 5*time.Minute)
	def(&c.Timeouts.Line, time.Minute)
	def(&c.Timeouts.Data, 3*time.Minute)
	def(&c.Timeouts.DataWhole, 2*time.Hour)
	def(&c.Timeouts.Write, time.Minute)
	if c.Timeouts.DataRate <= 0 {
		c.Timeouts.DataRate = 1000
	}
	return &c
}
