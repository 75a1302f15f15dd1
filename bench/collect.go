// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"restante.example/bench/report"
)

// messageSize is about that of a short letter, in octets.
const messageSize = 2 << 10

// collection is one kind of work for programs that collect.
type collection struct {
	id, title string
	messages  int
	// trip is the time from a command to its answer that the network adds.
	trip   time.Duration
	remove bool
	// polls is how often a program looks again, and finds nothing new.
	polls int
}

func collections(z sizes) []collection {
	const far = 20 * time.Millisecond
	return []collection{
		{id: "far", title: count(z.far) + " messages, kept, 20 ms round trip", messages: z.far, trip: far, polls: z.looks},
		{id: "far-delete", title: count(z.far) + " messages, deleted, 20 ms round trip", messages: z.far, trip: far, remove: true},
		{id: "near", title: count(z.near) + " messages, kept, local", messages: z.near},
		{id: "near-delete", title: count(z.near) + " messages, deleted, local", messages: z.near, remove: true},
		{id: "many", title: count(z.many) + " messages, kept, local", messages: z.many},
		{id: "again", title: count(z.again) + " messages, kept, local", messages: z.again, polls: z.looks},
	}
}

var collectShows = []string{report.Wall, report.CPU, report.Memory}

func (c collection) row() report.Row {
	return report.Row{ID: "collect/" + c.id, Title: c.title, Unit: "collection", Shows: collectShows}
}

// pollRow is the row of the polls that find nothing new.
func (c collection) pollRow() report.Row {
	trip := "local"
	if c.trip > 0 {
		trip = "20 ms round trip"
	}
	return report.Row{ID: "again/" + c.id, Title: fmt.Sprintf("nothing new among %s kept, %s", count(c.messages), trip), Unit: "poll", Shows: collectShows}
}

func (c collection) rows() []report.Row {
	if c.polls == 0 {
		return []report.Row{c.row()}
	}
	return []report.Row{c.row(), c.pollRow()}
}

// collectBench is what all collections share.
type collectBench struct {
	dir    string
	limit  time.Duration
	source server // of the mail
	stock  *stock
	// measured is the command that runs a program and tells what it took.
	measured string
}

// collectSteps finds the programs, and returns what is to be done with them.
func collectSteps(ctx context.Context, dir string, o options, z sizes) (*report.Results, []step, error) {
	id, err := newIdentity(dir)
	if err != nil {
		return nil, nil, err
	}
	servers, _, err := findServers(ctx, dir, id)
	if err != nil {
		return nil, nil, err
	}
	b := &collectBench{dir: dir, limit: o.collect, stock: newStock(filepath.Join(dir, "mail"), flat(messageSize))}
	for _, s := range servers {
		if s.Name == o.from {
			b.source = s
		}
	}
	if b.source.start == nil {
		return nil, nil, fmt.Errorf("no server is called %q", o.from)
	}
	if b.measured, err = build(ctx, dir, "measured", "restante.example/bench/measured"); err != nil {
		return nil, nil, err
	}
	programs, err := findPrograms(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	results := &report.Results{Goals: collectGoals()}
	for _, p := range programs {
		results.Subjects = append(results.Subjects, p.Subject)
	}
	section := report.Section{ID: "collect", Side: "collector", Title: "Collecting",
		Text: fmt.Sprintf("Messages of 2 KB, from %s, by POP3 without TLS, into an empty Maildir. With *20 ms round trip* a proxy holds every octet back for 10 ms "+
			"in each direction and limits nothing else. Time is from start to end of the program.", b.source.Name)}
	polls := report.Section{ID: "again", Side: "collector", Title: "Looking again",
		Text: "The same program looks again at mail that it has left there, and finds nothing new."}
	var steps []step
	for _, c := range collections(z) {
		section.Rows = append(section.Rows, c.row())
		if c.polls > 0 {
			polls.Rows = append(polls.Rows, c.pollRow())
		}
		if !o.wants(c.id) && !o.wants("collect") {
			continue
		}
		for _, p := range programs {
			steps = append(steps, step{c.id + ", " + p.Name, func(ctx context.Context, round int) ([]report.Sample, error) {
				return b.runCollection(ctx, c, p, round)
			}})
		}
	}
	results.Sections = []report.Section{section, polls}
	return results, steps, nil
}

// runCollection has one program collect from a server of its own. Every row of
// the collection gets a sample.
func (b *collectBench) runCollection(ctx context.Context, c collection, p collectProgram, round int) ([]report.Sample, error) {
	values, err := b.collect(ctx, c, p)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var list []report.Sample
	for _, row := range c.rows() {
		s := report.Sample{Row: row.ID, Subject: p.Name, Round: round, Values: values[row.ID]}
		switch {
		case s.Values != nil:
		case isAbsent(err):
			s.Outcome, s.Reason = report.NotRun, "it "+err.Error()
		case errors.Is(err, errTooLong):
			s.Outcome, s.Reason = report.Over, err.Error()
		default:
			s.Outcome, s.Reason = report.Failed, err.Error()
		}
		list = append(list, s)
	}
	return list, nil
}

// collect returns the values of the rows as far as it came.
func (b *collectBench) collect(ctx context.Context, c collection, p collectProgram) (map[string]map[string]float64, error) {
	found := map[string]map[string]float64{}
	if p.absent != nil {
		return found, p.absent
	}
	dir, err := openDir(b.dir, "collect")
	if err != nil {
		return found, err
	}
	defer tidy(dir)
	in, err := b.source.start(ctx, dir, crowd{n: 1})
	if err != nil {
		return found, err
	}
	defer in.stop()
	if err := b.stock.fill(in, 0, c.messages, true); err != nil {
		return found, err
	}
	if err := warm(ctx, in, c.messages); err != nil {
		return found, fmt.Errorf("a session before the collection: %w", err)
	}
	address := in.pop3
	if c.trip > 0 {
		far, end, err := startProxy(in.pop3, c.trip/2)
		if err != nil {
			return found, err
		}
		defer end()
		address = far
	}
	from, err := mailboxAt(address, 0)
	if err != nil {
		return found, err
	}
	home := filepath.Join(dir, "home")
	maildir := filepath.Join(home, "Mail")
	if err := os.Mkdir(home, 0o700); err != nil {
		return found, err
	}
	if err := makeMaildir(maildir, os.Getuid()); err != nil {
		return found, err
	}
	args, err := p.prepare(home, maildir, from, c.remove)
	if err != nil {
		return found, err
	}
	if err := giveToNobody(home); err != nil {
		return found, err
	}
	spent, err := b.run(ctx, p, home, args)
	if errors.Is(err, errTooLong) {
		files, errRead := os.ReadDir(filepath.Join(maildir, "new"))
		return found, errors.Join(fmt.Errorf("%w, with %s messages filed", err, count(len(files))), errRead)
	}
	if err != nil {
		return found, err
	}
	if err := check(maildir, c.messages); err != nil {
		return found, err
	}
	found[c.row().ID] = measured(1, spent.Wall, spent.CPU, spent.Memory)
	if c.polls == 0 {
		return found, nil
	}
	var polls cost
	for range c.polls {
		spent, err := b.run(ctx, p, home, args)
		if err != nil {
			return found, err
		}
		polls.Wall, polls.CPU, polls.Memory = polls.Wall+spent.Wall, polls.CPU+spent.CPU, max(polls.Memory, spent.Memory)
	}
	if err := check(maildir, c.messages); err != nil {
		return found, fmt.Errorf("after looking again: %w", err)
	}
	found[c.pollRow().ID] = measured(c.polls, polls.Wall, polls.CPU, polls.Memory)
	return found, nil
}

// warm has the server look at its mail and hash the password once, which is not
// what is measured.
func warm(ctx context.Context, in *instance, want int) error {
	c, err := signIn(ctx, in, 0, false)
	if err != nil {
		return err
	}
	if err := c.poll(want); err != nil {
		c.close()
		return err
	}
	return c.quit()
}

// check looks whether a Maildir holds so many messages, none of them cut.
func check(maildir string, want int) error {
	found := 0
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(maildir, sub))
		if err != nil {
			return err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return err
			}
			if info.Size() < messageSize {
				return fmt.Errorf("%s has %d octets, want %d at least", e.Name(), info.Size(), messageSize)
			}
		}
		found += len(entries)
	}
	if found != want {
		return fmt.Errorf("%d messages in the Maildir, want %d", found, want)
	}
	return nil
}
