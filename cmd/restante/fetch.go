// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"restante.example/collect"
	"restante.example/internal/accounts"
	"restante.example/internal/collector"
	"restante.example/pop3client"
)

// atOnce is how many accounts are collected for at the same time.
const atOnce = 8

// maxWait is how long fetch waits where a server shows part of its mail in a
// session and wants time between sessions, such as Gmail's 300 seconds.
const maxWait = 6 * time.Minute

type fetchCommand struct {
	Accounts []string `arg:"" optional:"" name:"account" help:"Accounts to collect for. Default: all."`

	serverFlags `group:"One server, without a file:"`

	To         []string      `sep:"none" placeholder:"DEST" group:"Where mail goes, and what stays:" help:"maildir:PATH, mbox:PATH, eml:DIR, pipe:COMMAND, lmtp:HOST:PORT or lmtp:unix:PATH; may be repeated."`
	Keep       keepFlag      `xor:"keep" group:"Where mail goes, and what stays:" help:"Leave mail on the server (that is the default), or with --keep=30d for so long."`
	Delete     bool          `xor:"keep" group:"Where mail goes, and what stays:" help:"Delete from the server what is safely filed."`
	CRLF       bool          `name:"crlf" group:"Where mail goes, and what stays:" help:"Keep CRLF line ends in files."`
	Recipient  string        `placeholder:"ADDRESS" group:"Where mail goes, and what stays:" help:"Whom LMTP delivers to. Default: the user."`
	MaxSize    accounts.Size `placeholder:"25MB" group:"Where mail goes, and what stays:" help:"Leave larger messages on the server."`
	HeaderOnly bool          `group:"Where mail goes, and what stays:" help:"File the header of larger messages."`

	placeFlags `group:"General:"`
	DryRun     bool `group:"General:" help:"Look, and change nothing anywhere."`
	Quiet      bool `short:"q" group:"General:" help:"Say nothing unless something is wrong."`
	JSON       bool `name:"json" group:"General:" help:"Say what happens as JSON, a line an event."`
	Trace      bool `group:"General:" help:"Show the conversations, without passwords."`
}

// Help is shown below the flags.
func (*fetchCommand) Help() string {
	return "Examples: restante fetch work; restante fetch --server pop.example.org --user ana --to maildir:Mail"
}

// list returns the accounts to collect for.
func (f *fetchCommand) list(c *console) ([]*accounts.Account, error) {
	adHoc, err := f.adHoc(c, f.Accounts)
	if err != nil {
		return nil, err
	}
	if !adHoc {
		if len(f.To) > 0 || f.Keep.set || f.Delete || f.CRLF || f.Recipient != "" || f.MaxSize > 0 || f.HeaderOnly {
			return nil, c.fail(exitUsage, "where mail goes and what stays is written in the file for its accounts; with --server the flags say it")
		}
		return f.choose(c, f.Accounts)
	}
	s := f.settings()
	s.To, s.Keep, s.Delete, s.CRLF, s.Recipient, s.MaxSize = f.To, f.Keep.age, f.Delete, f.CRLF, f.Recipient, f.MaxSize
	if f.HeaderOnly {
		s.TooLarge = "headers"
	}
	a, err := accounts.FromFlags(s, accounts.ToCollect)
	if err != nil {
		return nil, c.fail(exitUsage, "%v", err)
	}
	return []*accounts.Account{a}, nil
}

// Run collects.
func (f *fetchCommand) Run(ctx context.Context, c *console) error {
	list, err := f.list(c)
	if err != nil {
		return err
	}
	state, err := f.state(c)
	if err != nil {
		return err
	}
	show := newReporter(c, f.Quiet, f.JSON, list)
	ask := &prompter{c: c, hold: show.hold, release: show.release}
	col := &collector.Collector{
		State: state, Home: c.home(), Source: f.source(c, list, ask), Log: slog.New(slog.DiscardHandler), Output: io.Discard,
		Observe: show.event, MaxWait: maxWait, DryRun: f.DryRun, Now: time.Now,
	}
	if f.Trace {
		col.Trace = func(string) func(pop3client.Event) { return pop3client.TraceTo(c.err) }
	}
	codes := make([]int, len(list))
	slots := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, a := range list {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			report, err := col.Collect(ctx, a)
			codes[i] = show.done(a, report, err)
		})
	}
	settled := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { show.awaitStop(ctx, settled) })
	running.Wait()
	close(settled)
	watching.Wait()
	if err := show.end(); err != nil {
		codes = append(codes, exitFailed)
	}
	if code := overall(codes); code != 0 {
		return &exitError{code: code} // all has been said
	}
	return nil
}

func (f *fetchCommand) source(c *console, list []*accounts.Account, ask *prompter) accounts.Source {
	return accounts.Source{Getenv: c.getenv, Single: len(list) == 1, Ask: ask.ask, Warn: func(err error) {
		if !f.Quiet {
			c.warn("restante: %v", err)
		}
	}}
}

// overall is the exit status for several accounts: what they have in common,
// or a temporary failure, because some of it may pass by itself.
func overall(codes []int) int {
	result := 0
	for _, code := range codes {
		switch {
		case code == 0 || code == result:
		case result == 0:
			result = code
		default:
			result = exitTempfail
		}
	}
	return result
}

// incomplete is the status of a report without an error.
func incomplete(r *collect.Report) int {
	if r.Complete() {
		return 0
	}
	return exitTempfail
}
