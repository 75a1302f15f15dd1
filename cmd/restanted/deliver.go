// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/daemon"
	"restante.example/pop3"
)

type deliverCommand struct {
	place
	From       string   `short:"f" placeholder:"SENDER" help:"The address that a failure goes to; empty or <> for none."`
	Recipients []string `arg:"" help:"Who gets the message."`
}

// Help is shown below the flags.
func (deliverCommand) Help() string {
	return `The exit status is 0 when the message is safe with every recipient, 67 when there is no such user,
65 when it is too large or an address is none, 69 when a maildrop is full and delivery.over_quota is "refuse",
75 when the mail server should try again (also when a maildrop or the disk is
full, or the configuration wrong), 64 when the command line is wrong.

Example: restanted deliver -f bob@example.net ana@example.org --data ~/mail < message.eml`
}

// Run takes one message in.
func (d *deliverCommand) Run(ctx context.Context, c *console) error {
	sender := d.From
	if sender == "<>" {
		sender = ""
	}
	// Some mail servers take any output for a failure, so what else there is to say
	// is said only beside one.
	var said bytes.Buffer
	quiet := *c
	quiet.err = &said
	var results []daemon.Delivered
	err := d.reach(ctx, &quiet, func(caller control.Caller, _ *config.Config) error {
		args := daemon.DeliverArgs{Sender: sender, Recipients: d.Recipients, Origin: "pipe"}
		return caller.Call(ctx, daemon.OpDeliver, args, c.in, &results)
	})
	if err != nil || slices.ContainsFunc(results, func(r daemon.Delivered) bool { return !r.Done }) {
		fmt.Fprint(c.err, said.String())
	}
	// Also when the configuration is wrong: mail waits until it is mended.
	if err != nil {
		return c.fail(exitTempfail, "the message was not taken in: %v; it can be delivered again later", err)
	}
	return d.outcome(c, results)
}

// outcome says what became of each recipient. A sender that is told to try
// again does so for all, so one temporary failure decides.
func (d *deliverCommand) outcome(c *console, results []daemon.Delivered) error {
	code := 0
	for _, r := range results {
		if r.Done {
			continue
		}
		c.warn("not delivered to %s: %s", pop3.Printable(r.Recipient), pop3.Printable(c.reason(r.Reason)))
		switch {
		case !r.Permanent:
			code = exitTempfail
		case code == 0 && r.NoUser:
			code = exitNoUser
		case code == 0 && r.OverQuota:
			code = exitFull
		case code == 0:
			code = exitData
		}
	}
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

// reason says in the person's language why a recipient was refused.
func (c *console) reason(class string) string {
	switch class {
	case "no such user":
		return c.text("no such user")
	case "bad address":
		return c.text("bad address")
	case "too large":
		return c.text("too large")
	case "over quota":
		return c.text("over quota")
	case "no space":
		return c.text("no space")
	case "too many recipients":
		return c.text("too many recipients")
	case "directory cannot answer":
		return c.text("directory cannot answer")
	case "temporary failure":
		return c.text("temporary failure")
	}
	return class
}
