// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"restante.example/internal/daemon"
	"restante.example/maildrop"
)

type mailTraceCommand struct {
	userArg
	MessageID string `name:"message-id" xor:"which" placeholder:"M" help:"The message with this Message-ID, as long as its file is there."`
	UID       string `name:"uid" xor:"which" placeholder:"UID" help:"The message with this unique id (UIDL)."`
	Since     ago    `xor:"which" placeholder:"2h|DATE" help:"All that came, or to which something happened, since then; a day ago where nothing is said."`
	JSON      bool   `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (mailTraceCommand) Help() string {
	return `Says of each message when it came and from where, which device retrieved and removed it, and where it is now.
Nothing of the messages themselves is shown. Events are remembered for the time of the setting keep_trace.

Example: restanted trace ana --since 2d --data ~/mail`
}

// Run tells what happened to messages.
func (t *mailTraceCommand) Run(ctx context.Context, c *console) error {
	a := daemon.MailTraceArgs{User: t.User, UID: t.UID, Since: t.Since.Time,
		MessageID: strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(t.MessageID), "<"), ">")}
	if a.UID == "" && a.MessageID == "" && a.Since.IsZero() {
		a.Since = time.Now().Add(-24 * time.Hour)
	}
	var list []daemon.MailTrace
	if err := t.call(ctx, c, daemon.OpMailTrace, a, &list); err != nil {
		return c.said(err, t.User)
	}
	if t.JSON {
		return writeJSON(c, list)
	}
	if len(list) == 0 {
		c.say("Nothing is known of such a message of %s.", t.User)
		return nil
	}
	for i, m := range list {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		c.tellTrace(t.User, m)
	}
	return nil
}

// tellTrace tells the story of one message, so that it can be read aloud.
func (c *console) tellTrace(user string, m daemon.MailTrace) {
	name := m.UID
	if m.MessageID != "" {
		name = "<" + m.MessageID + ">, " + m.UID
	}
	c.say("Message %s:", name)
	came := false
	for _, e := range m.Events {
		came = came || e.Kind == maildrop.EventArrived
	}
	if !came && !m.Arrived.IsZero() {
		c.say("  On %s it came.", when(m.Arrived))
	}
	for _, e := range m.Events {
		c.tellEvent(e)
	}
	switch {
	case len(m.Waiting) > 0:
		c.say("  It is on the server and waits for: %s.", c.devices(m.Waiting))
	case m.Held:
		c.say("  No device has it waiting. It can be brought back: restanted undelete %s --message %s", user, m.UID)
	default:
		c.say("  It is no longer on the server under this name.")
	}
}

func (c *console) tellEvent(e daemon.MailEvent) {
	at, device := when(e.At), c.devices([]string{e.Device})
	switch e.Kind {
	case maildrop.EventArrived:
		if e.Origin != "" {
			c.say("  On %s it came from %s.", at, e.Origin)
		} else {
			c.say("  On %s it came.", at)
		}
	case maildrop.EventRetrieved:
		c.say("  On %s it was sent whole to: %s, at the address %s.", at, device, e.Address)
	case maildrop.EventRemoved:
		if e.Address != "" {
			c.say("  On %s it was removed by: %s, at the address %s. The server confirmed it.", at, device, e.Address)
		} else {
			c.say("  On %s it went because this device was taken away or had been silent for long: %s.", at, device)
		}
		if e.Final {
			c.say("  No other device had it waiting then.")
		}
	case maildrop.EventRetention:
		c.say("  On %s the rules of how long mail is kept removed it for all devices.", at)
	case maildrop.EventUndeleted:
		if e.Device != "" {
			c.say("  On %s it was brought back for: %s, under the name %s.", at, device, e.NewUID)
		} else {
			c.say("  On %s it was brought back under the name %s.", at, e.NewUID)
		}
	case maildrop.EventErased:
		c.say("  On %s it was erased for good.", at)
	}
}

// devices names devices in a sentence.
func (c *console) devices(names []string) string {
	said := make([]string, len(names))
	for i, n := range names {
		if said[i] = n; n == daemon.MainDevice {
			said[i] = c.text("the mail program with the user's own password")
		}
	}
	return strings.Join(said, ", ")
}
