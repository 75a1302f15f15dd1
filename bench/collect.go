// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// collection is one kind of work for programs that collect.
type collection struct {
	name     string
	what     string
	messages int
	// trip is the time from a command to its answer that the network adds.
	trip   time.Duration
	remove bool
	// polls is how often a program looks again, and finds nothing new.
	polls int
}

var collections = []collection{
	{name: "far-500", what: "500 messages, kept, 20 ms round trip", messages: 500, trip: 20 * time.Millisecond, polls: 3},
	{name: "far-500-delete", what: "500 messages, deleted, 20 ms round trip", messages: 500, trip: 20 * time.Millisecond, remove: true},
	{name: "near-3000", what: "3,000 messages, kept, local", messages: 3000, polls: 3},
	{name: "near-3000-delete", what: "3,000 messages, deleted, local", messages: 3000, remove: true},
	{name: "near-10000", what: "10,000 messages, kept, local", messages: 10_000, polls: 3},
}

// again names the row of the polls that find nothing new.
func (c collection) again() string {
	if c.trip > 0 {
		return fmt.Sprintf("nothing new, %d kept, %v round trip", c.messages, c.trip)
	}
	return fmt.Sprintf("nothing new, %d kept, local", c.messages)
}

// messageSize is about that of a short letter, in octets.
const messageSize = 2 << 10

// collectOptions are the flags that concern this side.
type collectOptions struct {
	rounds  int
	only    string
	servers string
	limit   time.Duration
}

// benchCollect measures the programs and returns the table.
func benchCollect(ctx context.Context, dir string, opt collectOptions, stderr io.Writer) (string, error) {
	servers, notes, err := findServers(ctx, dir)
	if err != nil {
		return "", err
	}
	programs, more, err := findPrograms(ctx, dir)
	if err != nil {
		return "", err
	}
	t := newCollectTable(programs, append(notes, more...))
	b := &collectBench{opt: opt, dir: dir, programs: programs, table: t, stderr: stderr, slow: map[string]bool{}}
	for round := range opt.rounds {
		for _, c := range collections {
			if opt.only != "" && !matches(c.name, strings.Split(opt.only, ",")) {
				continue
			}
			for _, srv := range servers {
				if !matches(srv.name, strings.Split(opt.servers, ",")) || srv.name == "dovecot max" {
					continue
				}
				fmt.Fprintf(stderr, "round %d of %d: %s, from %s\n", round+1, opt.rounds, c.name, srv.name)
				if err := b.round(ctx, round, c, srv); err != nil {
					return "", fmt.Errorf("%s, %s: %w", c.name, srv.name, err)
				}
			}
		}
	}
	return t.markdown(opt.rounds), nil
}

type collectBench struct {
	opt      collectOptions
	dir      string
	programs []collectProgram
	table    *collectTable
	stderr   io.Writer
	slow     map[string]bool // that took too long once
}

// round has every program do the work once, beginning with another one each
// round. Each has a maildrop of its own where it deletes.
func (b *collectBench) round(ctx context.Context, round int, c collection, srv server) error {
	work, err := os.MkdirTemp(b.dir, "collect")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := openPath(work); err != nil {
		return err
	}
	users := 1
	if c.remove {
		users = len(b.programs)
	}
	in, err := srv.start(ctx, work, users)
	if err != nil {
		return err
	}
	defer in.stop()
	for user := range users {
		maildir := in.maildir(user)
		if err := os.MkdirAll(filepath.Dir(maildir), 0o700); err != nil {
			return err
		}
		if err := fill(maildir, c.messages, flat(messageSize), true); err != nil {
			return err
		}
		if err := warm(ctx, in, user, c.messages); err != nil {
			return err
		}
	}
	address := in.pop3
	if c.trip > 0 {
		far, end, err := startProxy(in.pop3, c.trip/2)
		if err != nil {
			return err
		}
		defer end()
		address = far
	}
	for i := range b.programs {
		n := (i + round) % len(b.programs)
		p := b.programs[n]
		row := srv.name + ": " + c.what
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if b.slow[row+p.name] {
			continue
		}
		from, err := mailboxAt(address, n%users)
		if err != nil {
			return err
		}
		err = b.measure(ctx, c, row, srv.name+": "+c.again(), p, from, filepath.Join(work, p.name))
		if errors.Is(err, errTooLong) {
			b.slow[row+p.name] = true
		}
		if err != nil {
			b.table.fail(row, p, err)
			fmt.Fprintf(b.stderr, "  %v\n", err)
		}
	}
	return nil
}

// warm has the server look at its mail and hash the password once, which is not
// what is measured.
func warm(ctx context.Context, in *instance, user, want int) error {
	c, err := signIn(ctx, in, user, false)
	if err != nil {
		return err
	}
	if err := c.poll(want); err != nil {
		c.close()
		return err
	}
	return c.quit()
}

// measure has one program collect, and then look again.
func (b *collectBench) measure(ctx context.Context, c collection, row, again string, p collectProgram, from mailbox, home string) error {
	maildir := filepath.Join(home, "Mail")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(maildir, sub), 0o700); err != nil {
			return err
		}
	}
	args, err := p.prepare(home, maildir, from, c.remove)
	if err != nil {
		return err
	}
	spent, err := p.run(ctx, home, args, b.opt.limit)
	if errors.Is(err, errTooLong) {
		files, e := os.ReadDir(filepath.Join(maildir, "new"))
		return errors.Join(fmt.Errorf("%w, with %d messages", err, len(files)), e)
	}
	if err != nil {
		return err
	}
	if err := check(maildir, c.messages); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	b.table.add(row, p, spent)
	fmt.Fprintf(b.stderr, "  %-10s %.3f s, CPU %.3f s, %.1f MB\n", p.name, spent.Wall.Seconds(), spent.CPU.Seconds(), float64(spent.Memory)/1e6)
	for range c.polls {
		spent, err := p.run(ctx, home, args, b.opt.limit)
		if err != nil {
			return err
		}
		b.table.add(again, p, spent)
	}
	if err := check(maildir, c.messages); err != nil {
		return fmt.Errorf("%s, again: %w", p.name, err)
	}
	return nil
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
