// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/daemon"
)

type userAPOP struct {
	userName
	State string `arg:"" enum:"on,off" help:"on or off."`
	passwordFlags
}

// Help is shown below the flags.
func (userAPOP) Help() string {
	return `APOP is for programs that know nothing newer. The server has to know the password itself for it: it is
stored encrypted, with the key beside it in the data directory. So let it be one of its own.

Example: restanted user apop ana on --generate --data ~/mail`
}

// Run sets the password for APOP, or removes it.
func (u *userAPOP) Run(ctx context.Context, c *console) error {
	if u.State == "off" {
		if err := u.call(ctx, c, daemon.OpUserAPOP, daemon.UserArgs{Name: u.Name}, nil); err != nil {
			return c.said(err, u.Name)
		}
		c.say("%s can no longer sign in by APOP.", u.Name)
		return nil
	}
	password, err := u.get(c, u.Name)
	if err != nil {
		return err
	}
	if password == "" {
		return c.fail(exitFailed, "no password was given; nothing was changed")
	}
	return u.reach(ctx, c, func(caller control.Caller, conf *config.Config) error {
		if err := caller.Call(ctx, daemon.OpUserAPOP, daemon.UserArgs{Name: u.Name, Password: password}, nil, nil); err != nil {
			return c.said(err, u.Name)
		}
		c.say("%s can sign in by APOP now, with a password of its own.", u.Name)
		u.show(c, u.Name, password)
		if conf.Mechanisms.APOP != config.OfferOn && conf.Mechanisms.APOP != config.OfferRequired {
			c.say("The server offers APOP where the configuration says so: APOP = \"on\" in [mechanisms].")
		}
		return nil
	})
}
