// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/daemon"
)

type deviceCommands struct {
	Add     deviceAdd     `cmd:"" help:"Add a device and show its password."`
	List    deviceList    `cmd:"" help:"List the devices of a user, and what is waiting for each."`
	Remove  deviceRemove  `cmd:"" help:"Remove a device; its sessions are ended."`
	Rename  deviceRename  `cmd:"" help:"Give a device another name."`
	Passwd  devicePasswd  `cmd:"" help:"Give a device another password; its sessions are ended."`
	Disable deviceDisable `cmd:"" help:"Bar a device from signing in; its mail waits."`
	Enable  deviceEnable  `cmd:"" help:"Let a disabled device sign in again."`
	Reset   deviceReset   `cmd:"" help:"Let a device see everything again."`
	Main    deviceMain    `cmd:"" help:"Whether the user's own password works beside devices."`
}

// since is the time from which on a device sees messages.
type since struct{ time.Time }

// UnmarshalText reads all, now, a date or a time.
func (s *since) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case "all":
		s.Time = time.Time{}
	case "now":
		s.Time = time.Now()
	default:
		for _, form := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
			if t, err := time.ParseInLocation(form, word, time.Local); err == nil {
				s.Time = t
				return nil
			}
		}
		return fmt.Errorf("%q is neither all nor now nor a date such as 2026-11-23", word)
	}
	return nil
}

// userArg names the user of a device.
type userArg struct {
	place
	User string `arg:"" help:"The user."`
}

// deviceArg names a device of a user.
type deviceArg struct {
	userArg
	Name string `arg:"" help:"The device, such as phone."`
}

func (d *deviceArg) do(ctx context.Context, c *console, op string, a daemon.DeviceArgs, result any) error {
	a.User, a.Name = d.User, d.Name
	return c.saidOfDevice(d.call(ctx, c, op, a, result), a)
}

// saidOfDevice turns refusals into texts in the person's language.
func (c *console) saidOfDevice(err error, a daemon.DeviceArgs) error {
	switch {
	case control.HasCode(err, daemon.CodeNoDevice):
		return c.fail(exitNoUser, "%s has no device %s; restanted device list %s shows those there are", a.User, a.Name, a.User)
	case control.HasCode(err, daemon.CodeExists):
		name := a.Name
		if a.To != "" {
			name = a.To
		}
		return c.fail(exitFailed, "%s has a device %s already; nothing was changed", a.User, name)
	case control.HasCode(err, daemon.CodeNoDevices):
		return c.fail(exitFailed, "%s has no devices, and could not collect mail any more; add one first with: restanted device add %s NAME", a.User, a.User)
	case control.HasCode(err, daemon.CodeWouldLose):
		return c.fail(exitFailed, "%v. Add a device that starts with all of them (--since all), or repeat the command with --discard", err)
	}
	return c.said(err, a.User)
}

type deviceAdd struct {
	deviceArg
	Since   since `default:"all" placeholder:"all|now|DATE" help:"Start with all mail that is there (the default), with what comes from now on, or with what came from DATE on."`
	Discard bool  `help:"Do so even if mail is lost that no device gets."`
}

// Help is shown below the flags.
func (deviceAdd) Help() string {
	return `The password is made and shown once. Each device collects, and removes, for itself.

Example: restanted device add ana phone --since now --data ~/mail`
}

// Run adds a device.
func (d *deviceAdd) Run(ctx context.Context, c *console) error {
	return d.reach(ctx, c, func(caller control.Caller, conf *config.Config) error {
		var p daemon.DevicePassword
		a := daemon.DeviceArgs{User: d.User, Name: d.Name, Since: d.Since.Time, Discard: d.Discard}
		if err := caller.Call(ctx, daemon.OpDeviceAdd, a, nil, &p); err != nil {
			return c.saidOfDevice(err, a)
		}
		c.say("Device %s of %s has been added.", p.Name, p.User)
		c.showAppPassword(p)
		if err := c.showSettings(ctx, caller, conf, p.User); err != nil {
			return err
		}
		if p.Main {
			c.say("The password of %s itself works on, as one more device: mail stays until that one has removed it too.", p.User)
			c.say("Where nobody uses it any more: restanted device main %s refused", p.User)
		}
		return nil
	})
}

func (c *console) showAppPassword(p daemon.DevicePassword) {
	c.say("Its password is: %s", p.Password)
	c.say("It is shown only now, and only once.")
	c.say("Messages waiting for it: %d", p.Messages)
}

type deviceList struct {
	userArg
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (deviceList) Help() string { return "Example: restanted device list ana --data ~/mail" }

// Run lists the devices of a user.
func (d *deviceList) Run(ctx context.Context, c *console) error {
	var list daemon.DeviceList
	a := daemon.DeviceArgs{User: d.User}
	if err := d.call(ctx, c, daemon.OpDeviceList, a, &list); err != nil {
		return c.saidOfDevice(err, a)
	}
	if d.JSON {
		return writeJSON(c, list)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, c.text("DEVICE\tSTATE\tLAST SIGN-IN\tADDRESS\tWAITING\tSIZE"))
	row := func(i daemon.DeviceInfo, state string) {
		if i.Enabled {
			state = c.text("enabled")
		}
		last := c.text("never")
		if !i.LastSignIn.IsZero() {
			last = i.LastSignIn.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\n", i.Name, state, last, i.Address, i.Messages, i.Octets)
	}
	for _, i := range list.Devices {
		row(i, c.text("disabled"))
	}
	list.Main.Name = c.text("(own password)")
	row(list.Main, c.text("refused"))
	if err := w.Flush(); err != nil {
		return err
	}
	for _, i := range append(list.Devices, list.Main) {
		if i.Problem != "" {
			c.warn("what is waiting for %s cannot be told: %s", i.Name, i.Problem)
		}
	}
	return nil
}

type deviceRemove struct{ deviceArg }

// Help is shown below the flags.
func (deviceRemove) Help() string {
	return `When the command returns, the device's sessions have ended and its password opens nothing.

Example: restanted device remove ana phone --data ~/mail`
}

// Run removes a device.
func (d *deviceRemove) Run(ctx context.Context, c *console) error {
	var removed daemon.DeviceRemoved
	if err := d.do(ctx, c, daemon.OpDeviceRemove, daemon.DeviceArgs{}, &removed); err != nil {
		return err
	}
	c.say("Device %s of %s has been removed; its password opens nothing any more.", d.Name, d.User)
	if removed.Gone > 0 {
		c.say("Messages that only this device had still to remove, and that have gone with it: %d", removed.Gone)
	}
	return nil
}

type deviceRename struct {
	deviceArg
	To string `arg:"" help:"The new name."`
}

// Help is shown below the flags.
func (deviceRename) Help() string {
	return `The password stays, and what is waiting too.

Example: restanted device rename ana phone "old phone" --data ~/mail`
}

// Run renames a device.
func (d *deviceRename) Run(ctx context.Context, c *console) error {
	if err := d.do(ctx, c, daemon.OpDeviceRename, daemon.DeviceArgs{To: d.To}, nil); err != nil {
		return err
	}
	c.say("Device %s of %s is now called %s.", d.Name, d.User, d.To)
	return nil
}

type devicePasswd struct{ deviceArg }

// Help is shown below the flags.
func (devicePasswd) Help() string { return "Example: restanted device passwd ana phone --data ~/mail" }

// Run gives a device another password.
func (d *devicePasswd) Run(ctx context.Context, c *console) error {
	var p daemon.DevicePassword
	if err := d.do(ctx, c, daemon.OpDevicePassword, daemon.DeviceArgs{}, &p); err != nil {
		return err
	}
	c.say("Device %s of %s has another password.", p.Name, p.User)
	c.showAppPassword(p)
	return nil
}

type deviceDisable struct{ deviceArg }

// Help is shown below the flags.
func (deviceDisable) Help() string {
	return "Example: restanted device disable ana phone --data ~/mail"
}

// Run disables a device.
func (d *deviceDisable) Run(ctx context.Context, c *console) error {
	if err := d.do(ctx, c, daemon.OpDeviceDisable, daemon.DeviceArgs{}, nil); err != nil {
		return err
	}
	c.say("Device %s of %s can no longer sign in; its mail waits.", d.Name, d.User)
	return nil
}

type deviceEnable struct{ deviceArg }

// Help is shown below the flags.
func (deviceEnable) Help() string { return "Example: restanted device enable ana phone --data ~/mail" }

// Run enables a device.
func (d *deviceEnable) Run(ctx context.Context, c *console) error {
	if err := d.do(ctx, c, daemon.OpDeviceEnable, daemon.DeviceArgs{}, nil); err != nil {
		return err
	}
	c.say("Device %s of %s can sign in again.", d.Name, d.User)
	return nil
}

type deviceReset struct {
	deviceArg
	Since since `default:"all" placeholder:"all|now|DATE" help:"See again all mail that is there (the default), none of it, or what came from DATE on."`
}

// Help is shown below the flags.
func (deviceReset) Help() string {
	return `What the device had removed and is still there appears as new. Its sessions are ended.

Example: restanted device reset ana phone --data ~/mail`
}

// Run resets a device.
func (d *deviceReset) Run(ctx context.Context, c *console) error {
	var p daemon.DevicePassword
	if err := d.do(ctx, c, daemon.OpDeviceReset, daemon.DeviceArgs{Since: d.Since.Time}, &p); err != nil {
		return err
	}
	c.say("Device %s of %s sees again what is there. Messages waiting for it: %d", p.Name, p.User, p.Messages)
	return nil
}

type deviceMain struct {
	userArg
	State   string `arg:"" enum:"view,refused" help:"view: one more device. refused: by POP3 only the devices' passwords work."`
	Since   since  `default:"all" placeholder:"all|now|DATE" help:"With view: what it starts with, as of a new device."`
	Discard bool   `help:"With refused: do so even if mail is lost that no device gets."`
}

// Help is shown below the flags.
func (deviceMain) Help() string {
	return `While the user's own password works, mail stays until it has been removed with that one too.

Example: restanted device main ana refused --data ~/mail`
}

// Run settles what the user's own password does.
func (d *deviceMain) Run(ctx context.Context, c *console) error {
	a := daemon.DeviceArgs{User: d.User, Refused: d.State == "refused", Since: d.Since.Time, Discard: d.Discard}
	if err := d.call(ctx, c, daemon.OpDeviceMain, a, nil); err != nil {
		return c.saidOfDevice(err, a)
	}
	if a.Refused {
		c.say("The password of %s itself is refused by POP3; its devices collect the mail.", d.User)
	} else {
		c.say("The password of %s itself works, as one more device.", d.User)
	}
	return nil
}
