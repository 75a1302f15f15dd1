// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/daemon"
)

// place says which server, or which data directory, a command is about.
type place struct {
	Config string `placeholder:"FILE" help:"Read the settings from FILE (TOML)."`
	Data   string `placeholder:"DIR" help:"Work on the data directory DIR."`
}

// systemConfig is read by root when nothing is named and it is there.
const systemConfig = "/etc/restante/restanted.toml"

// file returns the configuration file to read, or none.
func (p *place) file() string {
	if p.Config == "" && p.Data == "" && os.Geteuid() == 0 {
		if _, err := os.Stat(systemConfig); err == nil {
			return systemConfig
		}
	}
	return p.Config
}

// load reads the configuration.
func (p *place) load(c *console, flags config.Flags) (*config.Config, error) {
	flags.Data = p.Data
	conf, err := config.Load(p.file(), flags, c.getenv)
	var problems config.Problems
	if errors.As(err, &problems) {
		return nil, &exitError{exitConfig, c.text("the configuration cannot be used:") + "\n" + problems.Error()}
	}
	if err != nil {
		return nil, c.fail(exitConfig, "the configuration cannot be read: %v; name a file that is there with --config", err)
	}
	return conf, nil
}

// settings reads the configuration for a command that a running server can be
// asked for. Where it is wrong, that is returned, and beside it what can be read of
// it if that says where the server is: a server runs on while its file is wrong,
// and must not be out of reach then.
func (p *place) settings(c *console) (*config.Config, error) {
	conf, wrong := p.load(c, config.Flags{})
	if wrong == nil {
		return conf, nil
	}
	conf = config.Partly(p.file(), config.Flags{Data: p.Data}, c.getenv)
	if conf == nil {
		return nil, c.fail(exitConfig, "%v\na server that runs can be asked all the same: name its data directory with --data, without --config", wrong)
	}
	return conf, wrong
}

// askedAllTheSame says that a wrong configuration did not keep a command from the server.
func (c *console) askedAllTheSame(wrong error, data string) {
	c.warn("restanted: %v\nthe server that runs on %s is asked all the same; it keeps to the configuration that it has", wrong, data)
}

// quietLog is what a command logs when no server runs: only what went wrong.
func quietLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelError}))
}

// patience is how long a command waits for a server that starts or stops, or
// for another command.
const patience = 30 * time.Second

// reach runs work with the server of the place, or with its files when none
// runs. A process of root becomes the owner of the files before.
func (p *place) reach(ctx context.Context, c *console, work func(control.Caller, *config.Config) error) error {
	conf, wrong := p.settings(c)
	if conf == nil {
		return wrong
	}
	if _, err := os.Stat(conf.Data); errors.Is(err, fs.ErrNotExist) {
		if wrong != nil {
			return wrong
		}
		return c.fail(exitFailed, "there is no data directory %s; name another one with --data, or make it by adding a user", conf.Data)
	}
	if err := daemon.BecomeOwner(conf.Data); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	caller, closer, err := control.Reach(wait, conf.Data, func() (control.Caller, io.Closer, error) {
		if wrong != nil {
			return nil, nil, wrong // the files are not worked on by half a configuration
		}
		office, err := daemon.OpenOffice(ctx, conf, quietLog(c.err))
		if err != nil {
			return nil, nil, err
		}
		return office.Mux(), office, nil
	})
	switch {
	case errors.Is(err, control.ErrOwned):
		return c.fail(exitTempfail, "another command works on %s and does not come to its end; try again later", conf.Data)
	case errors.Is(err, fs.ErrPermission):
		return c.fail(exitFailed, "%v; run the command as the owner of %s, or as root", err, conf.Data)
	case err != nil:
		return err
	}
	if wrong != nil {
		c.askedAllTheSame(wrong, conf.Data)
	}
	return errors.Join(work(caller, conf), closer.Close())
}

// make makes the data directory if there is none.
func (p *place) make(c *console) error {
	conf, wrong := p.settings(c)
	switch {
	case conf == nil:
		return wrong
	case wrong != nil:
		return nil // a server runs on it, or reach says what is wrong
	}
	return daemon.MakeData(conf.Data)
}

// call asks for one operation without a message.
func (p *place) call(ctx context.Context, c *console, op string, args, result any) error {
	return p.reach(ctx, c, func(caller control.Caller, _ *config.Config) error {
		return caller.Call(ctx, op, args, nil, result)
	})
}
