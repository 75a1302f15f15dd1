// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"time"

	"restante.example/internal/accounts"
	"restante.example/internal/collector"
)

type runCommand struct {
	placeFlags
	LogFormat string `enum:"text,json" default:"text" help:"text or json."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
}

// Help is shown below the flags.
func (*runCommand) Help() string {
	return "SIGHUP reads the accounts again. Example: restante run --config accounts.toml"
}

// Run polls until it is told to stop.
func (r *runCommand) Run(ctx context.Context, c *console) error {
	state, err := r.state(c)
	if err != nil {
		return err
	}
	if _, err := r.load(c); err != nil {
		return err
	}
	log := r.logger(c)
	var told sync.Map // warnings are given once, not with every poll
	listener, err := collector.Listen(ctx, state)
	if errors.Is(err, collector.ErrRunning) {
		return c.fail(exitTempfail, "another restante run is up with the state in %s", state)
	}
	if err != nil {
		return c.fail(exitIO, "the socket for passwords cannot be opened: %v", err)
	}
	p := &collector.Poller{
		Collector: &collector.Collector{
			State: state, Home: c.home(), Log: log, Output: c.err, Now: time.Now,
			Source: accounts.Source{Getenv: c.getenv, Warn: func(err error) {
				if _, again := told.LoadOrStore(err.Error(), true); !again {
					log.Warn(err.Error())
				}
			}},
		},
		Load: func() ([]*accounts.Account, error) { return r.load(c) },
	}
	reload := make(chan struct{}, 1)
	var around sync.WaitGroup
	around.Go(func() { p.ServeUnlock(listener) })
	ctx, cancel := context.WithCancel(ctx)
	around.Go(func() { r.reloads(ctx, c, log, reload) })
	around.Go(func() {
		<-ctx.Done()
		r.notify(c, log, "STOPPING=1")
		log.Info("stopping when what is being filed is filed; a second signal ends it at once")
	})
	err = p.Run(ctx, reload, func(reloaded bool) {
		if !reloaded {
			log.Info("polling", "state", state)
		}
		r.notify(c, log, "READY=1")
	})
	cancel()
	err = errors.Join(err, listener.Close())
	around.Wait()
	return err
}

// reloads passes SIGHUP on.
func (r *runCommand) reloads(ctx context.Context, c *console, log *slog.Logger, reload chan<- struct{}) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, hangUp...)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			r.notify(c, log, "RELOADING=1")
			select {
			case reload <- struct{}{}:
			default: // one is on its way
			}
		}
	}
}

func (r *runCommand) notify(c *console, log *slog.Logger, state string) {
	if err := collector.Notify(c.getenv, state); err != nil {
		log.Warn("the service manager could not be told", "state", state, "error", err)
	}
}

func (r *runCommand) logger(c *console) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	opt := &slog.HandlerOptions{Level: level[r.LogLevel]}
	if r.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(c.err, opt))
	}
	return slog.New(slog.NewTextHandler(c.err, opt))
}
