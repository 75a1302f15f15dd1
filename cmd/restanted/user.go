// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"text/tabwriter"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/daemon"
	"restante.example/maildrop"
)

type userCommands struct {
	Add     userAdd     `cmd:"" help:"Add a user."`
	Passwd  userPasswd  `cmd:"" help:"Change a password; sessions of the user are ended."`
	List    userList    `cmd:"" help:"List the users."`
	Disable userDisable `cmd:"" help:"Bar a user from signing in; mail is still taken in."`
	Enable  userEnable  `cmd:"" help:"Let a disabled user sign in again."`
	APOP    userAPOP    `cmd:"" name:"apop" help:"Give a user a password for APOP, or take it away."`
	Quota   userQuota   `cmd:"" help:"Show or change what a user may hold."`
	Retain  userRetain  `cmd:"" name:"retention" help:"Change how long a user's mail may stay."`
	Remove  userRemove  `cmd:"" help:"Remove a user; the mail stays on the disk."`
}

// quotaFlags limit what a user may hold.
type quotaFlags struct {
	Quota         config.Size `placeholder:"SIZE" help:"The most that the user may hold, such as 500MB; 0 for no limit of its own."`
	QuotaMessages int         `placeholder:"N" help:"The most messages that the user may hold; 0 for no limit of its own."`
}

func (q quotaFlags) quota() maildrop.Quota {
	return maildrop.Quota{Messages: q.QuotaMessages, Octets: int64(q.Quota)}
}

// said turns the refusals of the directory into texts in the person's language.
func (c *console) said(err error, name string) error {
	switch {
	case control.HasCode(err, daemon.CodeNoUser):
		return c.fail(exitNoUser, "there is no user %s; restanted user list shows who there is", name)
	case control.HasCode(err, daemon.CodeExists):
		return c.fail(exitFailed, "the name %s is taken; nothing was changed", name)
	case control.HasCode(err, daemon.CodeElsewhere):
		return c.fail(exitFailed, "the password of %s is kept in the passwd-file or by the helper; change it there", name)
	}
	return err
}

type userAdd struct {
	place
	Name string `arg:"" help:"A name such as u1, or an address such as u1@example.org."`
	passwordFlags
	SCRAM     bool `name:"scram" help:"Store keys for SCRAM-SHA-256 too, so that the password never travels."`
	SCRAMSHA1 bool `name:"scram-sha-1" help:"The same, and for SCRAM-SHA-1, for programs that know nothing newer."`
	quotaFlags
}

// Help is shown below the flags.
func (userAdd) Help() string {
	return `The password is asked for on the terminal unless a flag says otherwise.

Example: restanted user add ana@example.org --generate --data ~/mail`
}

// Run adds a user.
func (u *userAdd) Run(ctx context.Context, c *console) error {
	password, err := u.get(c, u.Name)
	if err != nil {
		return err
	}
	if err := u.make(c); err != nil {
		return err
	}
	return u.reach(ctx, c, func(caller control.Caller, conf *config.Config) error {
		var info daemon.UserInfo
		err := caller.Call(ctx, daemon.OpUserAdd, daemon.UserArgs{Name: u.Name, Password: password, SCRAM: &u.SCRAM, SCRAMSHA1: &u.SCRAMSHA1, Quota: u.quota()}, nil, &info)
		if err != nil {
			return c.said(err, u.Name)
		}
		c.say("User %s has been added.", info.Name)
		u.show(c, info.Name, password)
		c.say("  mail is kept in      %s", info.Maildir)
		if info.Messages > 0 {
			c.say("  which was there before; messages in it, which are the new user's now: %d", info.Messages)
		}
		return c.showSettings(ctx, caller, conf, info.Name)
	})
}

// showSettings says what to type into a mail program.
func (c *console) showSettings(ctx context.Context, caller control.Caller, conf *config.Config, name string) error {
	var st daemon.Status
	err := caller.Call(ctx, daemon.OpStatus, daemon.Nothing{}, nil, &st)
	if control.HasCode(err, control.CodeUnknown) { // no server runs
		for _, a := range conf.Listen.POP3S {
			st.Listening = append(st.Listening, daemon.Listening{Service: daemon.POP3S, Address: a})
		}
		for _, a := range conf.Listen.POP3 {
			st.Listening = append(st.Listening, daemon.Listening{Service: daemon.POP3, Address: a})
		}
	} else if err != nil {
		return err
	}
	c.say("Settings for the mail program (POP3):")
	for _, l := range st.Listening {
		host, port, err := net.SplitHostPort(l.Address)
		if err != nil || port == "0" || l.Service != daemon.POP3 && l.Service != daemon.POP3S {
			continue
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = conf.Hostname
		}
		if l.Service == daemon.POP3S {
			c.say("  server %s, port %s, SSL/TLS, normal password", host, port)
		} else {
			c.say("  server %s, port %s, STARTTLS, normal password", host, port)
		}
	}
	c.say("  user name %s", name)
	return nil
}

type userPasswd struct {
	place
	Name string `arg:"" help:"The user."`
	passwordFlags
	SCRAM     *bool `name:"scram" negatable:"" help:"Store keys for SCRAM-SHA-256 too, or none; without it, as before."`
	SCRAMSHA1 *bool `name:"scram-sha-1" negatable:"" help:"Store keys for SCRAM-SHA-1 too, or none; without it, as before."`
}

// Help is shown below the flags.
func (userPasswd) Help() string {
	return `The old password opens nothing any more when the command returns.

Example: restanted user passwd ana@example.org --data ~/mail`
}

// Run changes a password.
func (u *userPasswd) Run(ctx context.Context, c *console) error {
	password, err := u.get(c, u.Name)
	if err != nil {
		return err
	}
	var changed daemon.PasswordChanged
	err = u.call(ctx, c, daemon.OpUserPassword,
		daemon.UserArgs{Name: u.Name, Password: password, SCRAM: u.SCRAM, SCRAMSHA1: u.SCRAMSHA1}, &changed)
	if err != nil {
		return c.said(err, u.Name)
	}
	c.say("The password of %s has been changed.", u.Name)
	u.show(c, u.Name, password)
	if changed.APOP {
		c.say("The password for APOP has gone with the old one; for another: restanted user apop %s on", u.Name)
	}
	return nil
}

type userList struct {
	place
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (userList) Help() string { return "Example: restanted user list --data ~/mail" }

// Run lists the users.
func (u *userList) Run(ctx context.Context, c *console) error {
	var list []daemon.UserInfo
	if err := u.call(ctx, c, daemon.OpUserList, daemon.Nothing{}, &list); err != nil {
		return err
	}
	if u.JSON {
		return writeJSON(c, list)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, c.text("NAME\tSTATE\tMESSAGES\tSIZE\tMAILDIR"))
	for _, i := range list {
		state := c.text("enabled")
		if !i.Enabled {
			state = c.text("disabled")
		}
		if i.SCRAM || i.SCRAMSHA1 {
			state += ", SCRAM"
		}
		if i.APOP {
			state += ", APOP"
		}
		if i.Source != "" {
			state += ", " + i.Source
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", i.Name, state, i.Messages, i.Octets, i.Maildir)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, i := range list {
		if i.Problem != "" {
			c.warn("the mail of %s cannot be read: %s", i.Name, i.Problem)
		}
	}
	return nil
}

func writeJSON(c *console, v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

// userName is a command about one user.
type userName struct {
	place
	Name string `arg:"" help:"The user."`
}

func (u *userName) do(ctx context.Context, c *console, op string, result any) error {
	return c.said(u.call(ctx, c, op, daemon.UserArgs{Name: u.Name}, result), u.Name)
}

type userDisable struct{ userName }

// Help is shown below the flags.
func (userDisable) Help() string { return "Example: restanted user disable ana --data ~/mail" }

// Run disables a user.
func (u *userDisable) Run(ctx context.Context, c *console) error {
	if err := u.do(ctx, c, daemon.OpUserDisable, nil); err != nil {
		return err
	}
	c.say("%s can no longer sign in; mail is still taken in.", u.Name)
	return nil
}

type userEnable struct{ userName }

// Help is shown below the flags.
func (userEnable) Help() string { return "Example: restanted user enable ana --data ~/mail" }

// Run enables a user.
func (u *userEnable) Run(ctx context.Context, c *console) error {
	if err := u.do(ctx, c, daemon.OpUserEnable, nil); err != nil {
		return err
	}
	c.say("%s can sign in again.", u.Name)
	return nil
}

type userQuota struct {
	userName
	Quota         *config.Size `placeholder:"SIZE" help:"The most that the user may hold, such as 500MB; 0 for no limit of its own."`
	QuotaMessages *int         `placeholder:"N" help:"The most messages that the user may hold; 0 for no limit of its own."`
}

// Help is shown below the flags.
func (userQuota) Help() string {
	return `A limit that is not named stays as it is. Without any, the command shows what the user may hold and holds,
and changes nothing.

Example: restanted user quota ana --quota 500MB --data ~/mail`
}

// Run changes a quota, or shows it.
func (u *userQuota) Run(ctx context.Context, c *console) error {
	args := daemon.QuotaArgs{Name: u.Name, Messages: u.QuotaMessages, Octets: (*int64)(u.Quota)}
	var info daemon.UserInfo
	if err := c.said(u.call(ctx, c, daemon.OpUserQuota, args, &info), u.Name); err != nil {
		return err
	}
	if args.Messages != nil || args.Octets != nil {
		c.say("The quota of %s has been changed.", info.Name)
	}
	if info.Quota.Messages > 0 {
		c.say("messages  %d, limit %d", info.Messages, info.Quota.Messages)
	} else {
		c.say("messages  %d, no limit of its own", info.Messages)
	}
	if info.Quota.Octets > 0 {
		c.say("octets    %d, limit %d", info.Octets, info.Quota.Octets)
	} else {
		c.say("octets    %d, no limit of its own", info.Octets)
	}
	if info.Problem != "" {
		c.warn("the mail of %s cannot be read: %s", info.Name, info.Problem)
	}
	return nil
}

type userRemove struct{ userName }

// Help is shown below the flags.
func (userRemove) Help() string { return "Example: restanted user remove ana --data ~/mail" }

// Run removes a user.
func (u *userRemove) Run(ctx context.Context, c *console) error {
	var info daemon.UserInfo
	if err := u.do(ctx, c, daemon.OpUserRemove, &info); err != nil {
		return err
	}
	c.say("User %s has been removed.", info.Name)
	if info.Messages > 0 {
		c.say("The mail stays in %s; remove it if nobody wants it.", info.Maildir)
	}
	return nil
}
