// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/daemon"
)

type userRetain struct {
	userName
	Age     *config.Duration `placeholder:"30d" help:"How long a message may stay; 0s for ever."`
	Count   *int             `placeholder:"N" help:"How many messages may stay, the oldest going first; 0 for any number."`
	Octets  *config.Size     `placeholder:"SIZE" help:"How much may stay, such as 500MB; 0 for any size."`
	Default bool             `help:"What holds for everybody holds for this user again."`
}

// Help is shown below the flags.
func (userRetain) Help() string {
	return `What is given replaces all of [retention] of the configuration for this user, and what is not given is no
bound. Messages that it lets go are removed within the hour, whether they were collected or not.

Example: restanted user retention ana --age 30d --data ~/mail`
}

// Run changes the rules of a user.
func (u *userRetain) Run(ctx context.Context, c *console) error {
	given := u.Age != nil || u.Count != nil || u.Octets != nil
	if given == u.Default {
		return c.fail(exitUsage, "name the rules of the user with --age, --count or --octets, or use --default")
	}
	args := daemon.RetentionArgs{Name: u.Name}
	if given {
		args.Rules = &daemon.UserRetention{}
		if u.Age != nil {
			// Rounded up, so that no message goes before its time.
			args.Rules.Age = int64((time.Duration(*u.Age) + time.Second - 1) / time.Second)
		}
		if u.Count != nil {
			args.Rules.Messages = *u.Count
		}
		if u.Octets != nil {
			args.Rules.Octets = int64(*u.Octets)
		}
	}
	if err := c.said(u.call(ctx, c, daemon.OpUserRetention, args, nil), u.Name); err != nil {
		return err
	}
	if u.Default {
		c.say("The mail of %s is kept as everybody's is.", u.Name)
	} else {
		c.say("How long the mail of %s is kept has been changed.", u.Name)
	}
	return nil
}
