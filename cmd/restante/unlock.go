// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/zalando/go-keyring"

	"restante.example/internal/accounts"
	"restante.example/internal/collector"
	"restante.example/pop3"
	"restante.example/sasl"
)

type unlockCommand struct {
	Account string `arg:"" help:"The account, or USER@HOST for the keyring."`
	placeFlags
	Keyring       bool `help:"Keep the password in the system's keyring."`
	PasswordStdin bool `help:"Read the password from standard input, one line."`
}

// Help is shown below the flags.
func (*unlockCommand) Help() string {
	return "restante run keeps the password in memory only. Example: restante unlock work"
}

// maxPassword is how many octets a line with a password may have.
const maxPassword = 4096

// Run asks for a password and hands it on.
func (u *unlockCommand) Run(ctx context.Context, c *console) error {
	password, err := u.password(ctx, c)
	if err != nil {
		return err
	}
	if u.Keyring {
		if err := keyring.Set(accounts.KeyringService, u.Account, string(password)); err != nil {
			return c.fail(exitFailed, "the keyring does not take the password: %v", err)
		}
		c.say("The keyring has the password of %s.", u.Account)
		return nil
	}
	state, err := u.state(c)
	if err != nil {
		return err
	}
	err = collector.SendUnlock(ctx, state, u.Account, password)
	switch {
	case errors.Is(err, collector.ErrNotRunning):
		return c.fail(exitUnavailable, "no restante run is up with the state in %s", state)
	case errors.Is(err, collector.ErrUnknown):
		return c.fail(exitUsage, "there is no account %s; restante status shows which there are", u.Account)
	case err != nil:
		return err
	}
	c.say("restante run has the password of %s and signs in now.", u.Account)
	return nil
}

func (u *unlockCommand) password(ctx context.Context, c *console) (sasl.Secret, error) {
	if u.PasswordStdin {
		line, err := bufio.NewReader(io.LimitReader(c.in, maxPassword)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" {
			return "", c.fail(exitUsage, "no password was given")
		}
		return sasl.Secret(line), nil
	}
	password, err := c.askPassword(ctx, c.text("Password of %s: ", pop3.Printable(u.Account)))
	if errors.Is(err, accounts.ErrNoPassword) {
		return "", c.fail(exitUsage, "no password was given")
	}
	return password, err
}
