// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"restante.example/internal/control"
	"restante.example/internal/daemon"
)

type statusCommand struct {
	place
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (statusCommand) Help() string {
	return `The exit status is 1 when no server runs on the data directory.

Example: restanted status --data ~/mail`
}

// Run shows the state of the server.
func (s *statusCommand) Run(ctx context.Context, c *console) error {
	var st daemon.Status
	if err := s.server(ctx, c, daemon.OpStatus, daemon.Nothing{}, &st); err != nil {
		return err
	}
	if s.JSON {
		return writeJSON(c, st)
	}
	up := (time.Duration(st.Uptime) * time.Second).String()
	c.say("restanted %s, process %s, up for %s", st.Version, fmt.Sprint(st.PID), up)
	c.say("data directory %s, certificate SHA-256 %s", st.Data, st.Fingerprint)
	for _, l := range st.Listening {
		fmt.Fprintf(c.out, "%-7s %s\n", l.Service, l.Address)
	}
	c.say("users: %d; connections: %d, not signed in: %d", st.Users, st.Connections, st.Unauthenticated)
	c.say("since the start: sessions %d, messages retrieved %d, removed %d, connections without a sign-in %d",
		st.Counts.Sessions, st.Counts.Retrieved, st.Counts.Removed, st.Counts.Failed)
	if len(st.Sessions) == 0 {
		c.say("Nobody is signed in.")
		return nil
	}
	return c.sessionTable(st.Sessions)
}

// server asks the running server, which must be there.
func (p *place) server(ctx context.Context, c *console, op string, args, result any) error {
	conf, wrong := p.settings(c)
	if conf == nil {
		return wrong
	}
	// Nothing is touched but the socket, so root need not become anybody.
	err := control.NewClient(conf.Data).Call(ctx, op, args, nil, result)
	switch {
	case err == control.ErrNoServer && wrong != nil:
		return wrong
	case err == control.ErrNoServer:
		return c.fail(exitFailed, "no server runs on %s; start one with: restanted serve --data %s", conf.Data, conf.Data)
	case err == nil && wrong != nil:
		c.askedAllTheSame(wrong, conf.Data)
	}
	return err
}

type traceCommand struct {
	State string `arg:"" enum:"on,off" help:"on or off."`
	User  string `arg:"" help:"The user."`
	place
}

// Help is shown below the flags.
func (traceCommand) Help() string {
	return `The running server logs what new sessions of the user say and hear, passwords masked and mail left out,
until it is switched off or the configuration is read again.

Example: restanted trace-session on ana --data ~/mail`
}

// Run switches a trace.
func (t *traceCommand) Run(ctx context.Context, c *console) error {
	err := t.server(ctx, c, daemon.OpTrace, daemon.TraceArgs{User: t.User, On: t.State == "on"}, nil)
	if err != nil {
		return c.said(err, t.User)
	}
	if t.State == "on" {
		c.say("New sessions of %s are now written to the log of the server.", t.User)
	} else {
		c.say("New sessions of %s are no longer written to the log.", t.User)
	}
	return nil
}
