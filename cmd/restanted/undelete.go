// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"restante.example/internal/daemon"
)

// ago is a time, given as a date or as how long ago it was.
type ago struct{ time.Time }

// UnmarshalText reads 2h, 7d, a date or a time.
func (a *ago) UnmarshalText(text []byte) error {
	word := string(text)
	if days, ok := strings.CutSuffix(word, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			a.Time = time.Now().AddDate(0, 0, -int(n))
			return nil
		}
	}
	if d, err := time.ParseDuration(word); err == nil && d >= 0 {
		a.Time = time.Now().Add(-d)
		return nil
	}
	for _, form := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(form, word, time.Local); err == nil {
			a.Time = t
			return nil
		}
	}
	return fmt.Errorf("%q is neither a time ago such as 2h or 7d nor a date such as 2026-11-23", word)
}

type undeleteCommand struct {
	userArg
	Since   ago    `placeholder:"2h|DATE" help:"Only what was removed since then."`
	Device  string `placeholder:"NAME" help:"For one device only; main is the user's own password."`
	Message string `placeholder:"UID" help:"Only this message."`
	DryRun  bool   `help:"List what would come back, and change nothing."`
	JSON    bool   `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (undeleteCommand) Help() string {
	return `What a device has removed and others still have comes back for that device. What nobody has any more comes
back where the server keeps removed mail (setting keep_removed). Mail programs see new messages.

Example: restanted undelete ana --since 2h --dry-run --data ~/mail`
}

// Run brings removed messages back.
func (u *undeleteCommand) Run(ctx context.Context, c *console) error {
	var list []daemon.Undeleted
	a := daemon.UndeleteArgs{User: u.User, Since: u.Since.Time, Device: u.Device, UID: u.Message, DryRun: u.DryRun}
	if err := u.call(ctx, c, daemon.OpUndelete, a, &list); err != nil {
		return c.saidOfDevice(err, daemon.DeviceArgs{User: u.User, Name: u.Device})
	}
	if u.JSON {
		return writeJSON(c, list)
	}
	if len(list) == 0 {
		c.say("There is nothing to bring back for %s.", u.User)
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, c.text("REMOVED\tBY\tARRIVED\tSIZE\tMESSAGE"))
	for _, m := range list {
		by := m.Device
		if by == "" {
			by = c.text("retention")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", when(m.Removed), by, when(m.Arrived), m.Octets, m.UID)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if u.DryRun {
		c.say("Messages that would come back: %d. Nothing was changed.", len(list))
		return nil
	}
	c.say("Messages that are back: %d. Mail programs get them as new the next time that they ask.", len(list))
	return nil
}

func when(t time.Time) string { return t.Local().Format(time.DateTime) }
