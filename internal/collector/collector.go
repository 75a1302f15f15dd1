// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package collector runs accounts: it opens their journals and destinations,
// collects, and keeps a status of each that others can read. Poller does so
// for ever, on a schedule.
package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"restante.example/collect"
	"restante.example/collect/sqlitejournal"
	"restante.example/internal/accounts"
	"restante.example/internal/destinations"
	"restante.example/pop3client"
)

// Collector collects for accounts. Its fields are set before the first use;
// then Collect may be called by several goroutines, for different accounts.
type Collector struct {
	// State is the directory of journals and statuses.
	State string
	// Home stands for ~ in the paths of destinations.
	Home string
	// Source has the passwords.
	Source accounts.Source
	// Log gets what is of interest; Output what programs write.
	Log    *slog.Logger
	Output io.Writer
	// Observe is told what happens; it may be nil. It is called by several
	// goroutines, for different accounts.
	Observe func(account string, e collect.Event)
	// Trace shows the conversations; it may be nil.
	Trace func(account string) func(pop3client.Event)
	// Dialer makes the connections of accounts without a proxy, if not nil.
	Dialer pop3client.Dialer
	// MaxWait is how long to wait for a further session; see collect.Account.
	MaxWait time.Duration
	// DryRun looks and changes nothing.
	DryRun bool
	// Now is the clock.
	Now func() time.Time

	locks destinations.Locks // of all accounts
}

// DestinationError is one that could not be opened.
type DestinationError struct {
	Spec string
	Err  error
}

func (e *DestinationError) Error() string { return e.Spec + ": " + e.Err.Error() }
func (e *DestinationError) Unwrap() error { return e.Err }

// JournalError is a journal that could not be opened.
type JournalError struct{ Err error }

func (e *JournalError) Error() string { return e.Err.Error() }
func (e *JournalError) Unwrap() error { return e.Err }

// Collect collects for one account and keeps its status. The report is never nil.
func (c *Collector) Collect(ctx context.Context, a *accounts.Account) (*collect.Report, error) {
	report, err := c.collect(ctx, a)
	if report == nil {
		report = &collect.Report{}
	}
	if !c.DryRun && !errors.Is(err, sqlitejournal.ErrLocked) {
		note := c.note
		if err != nil && ctx.Err() != nil {
			note = c.noteInterrupted
		}
		if e := note(a, report, err); e != nil {
			c.Log.Warn("the status could not be written", "account", a.Name, "error", e)
		}
	}
	return report, err
}

func (c *Collector) collect(ctx context.Context, a *accounts.Account) (report *collect.Report, err error) {
	journal, closeJournal, err := c.journal(ctx, a)
	if err != nil {
		return nil, &JournalError{err}
	}
	defer func() { err = errors.Join(err, closeJournal()) }()
	opt, err := a.Options()
	if err != nil {
		return nil, err
	}
	if c.Dialer != nil && opt.Dialer == nil {
		opt.Dialer = c.Dialer
	}
	if c.Trace != nil {
		opt.Trace = c.Trace(a.Name)
	}
	places, err := c.destinations(a)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := closeAll(places); e != nil {
			c.Log.Info("closing the destinations", "account", a.Name, "error", e)
		}
	}()
	account := collect.Account{
		ID:           a.Name,
		Dial:         a.Dial(),
		Credentials:  func(ctx context.Context) (pop3client.Credentials, error) { return a.Credentials(ctx, c.Source) },
		Options:      opt,
		Destinations: places,
		Keep:         a.Policy(),
		MaxSize:      int64(a.MaxSize),
		HeaderOnly:   a.TooLarge == "headers",
		UntilDry:     a.UntilDry,
		MaxWait:      c.MaxWait,
		DryRun:       c.DryRun,
		Log:          c.Log,
		Now:          c.Now,
	}
	if c.Observe != nil {
		account.Observe = func(e collect.Event) { c.Observe(a.Name, e) }
	}
	return collect.Run(ctx, account, journal)
}

// journal opens the account's journal. A dry run makes none.
func (c *Collector) journal(ctx context.Context, a *accounts.Account) (collect.Journal, func() error, error) {
	name := a.Journal(c.State)
	if c.DryRun {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return new(collect.Memory), func() error { return nil }, nil
		}
	}
	j, err := sqlitejournal.Open(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	return j, j.Close, nil
}

// destinations opens them. One that cannot be opened keeps no other from its
// mail; the error is that of the first where none can. mail-safety.md,
// Collecting 8.
func (c *Collector) destinations(a *accounts.Account) ([]collect.Destination, error) {
	open := destinations.Open
	if c.DryRun {
		open = destinations.Placeholder
	}
	var list []collect.Destination
	var first error
	good := 0
	for _, spec := range a.To {
		opt := destinations.Options{CRLF: a.CRLF, Recipient: a.Recipient, Home: c.Home, Output: c.Output, Locks: &c.locks}
		d, err := open(spec, opt)
		if err != nil {
			first = cmp.Or[error](first, &DestinationError{spec, err})
			d, err = destinations.Broken(spec, opt, err)
		} else {
			good++
		}
		if err != nil {
			return nil, errors.Join(first, closeAll(list))
		}
		list = append(list, d)
	}
	if good == 0 {
		return nil, first
	}
	return list, nil
}

func closeAll(list []collect.Destination) (err error) {
	for _, d := range list {
		if closer, ok := d.(io.Closer); ok {
			err = errors.Join(err, closer.Close())
		}
	}
	return err
}

// Collected returns what the journal of an account knows, without waiting for
// a collection that is under way: then it is ErrLocked.
func (c *Collector) Collected(ctx context.Context, a *accounts.Account) (entries []collect.Entry, err error) {
	name := a.Journal(c.State)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	j, err := sqlitejournal.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	return j.Entries(ctx)
}
