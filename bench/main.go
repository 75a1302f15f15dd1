// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures restanted, and other POP3 servers where they are
// installed, side by side in one run: the same mail, the same load, one server
// after the other within each round. It prints a table of medians; what counts
// in it are CPU seconds per unit of work and the ratios between the columns,
// because the machine may be busy with other things.
//
//	go run ./bench                      every scenario, three rounds
//	go run ./bench -rounds 5 -only poll,signin
//
// The other side is restante, and other programs that collect mail into a
// Maildir, from the same servers and in the same way:
//
//	go run ./bench -side collect
//	go run ./bench -side collect -only far -from restanted
//
// Servers and load run in separate processes, on loopback, in temporary
// folders, and stop by themselves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 2 && args[0] == measuredCommand {
		if err := runMeasured(args[1], args[2], args[3:]); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 1
		}
		return 0
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	side := flags.String("side", "server", "what is measured: server or collect")
	rounds := flags.Int("rounds", 3, "how often each scenario runs on each server")
	only := flags.String("only", "", "scenarios whose names begin with one of these words, separated by commas")
	out := flags.String("out", "", "a file for the table, beside standard output")
	from := flags.String("from", "restanted,dovecot", "with -side collect: the servers to collect from")
	limit := flags.Duration("limit", 2*time.Minute, "with -side collect: how long a program may take")
	if err := flags.Parse(args); err != nil {
		return 64
	}
	if *side != "server" && *side != "collect" {
		fmt.Fprintln(stderr, "bench: -side is server or collect")
		return 64
	}
	dir, err := os.MkdirTemp("", "restante-bench")
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()

	var text string
	if *side == "collect" {
		text, err = benchCollect(ctx, dir, collectOptions{rounds: *rounds, only: *only, servers: *from, limit: *limit}, stderr)
	} else {
		text, err = benchServers(ctx, dir, *rounds, *only, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	fmt.Fprint(stdout, text)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 1
		}
	}
	return 0
}

// benchServers measures the servers and returns the table.
func benchServers(ctx context.Context, dir string, rounds int, only string, stderr io.Writer) (string, error) {
	var chosen []scenario
	for _, s := range scenarios {
		if only == "" || matches(s.name, strings.Split(only, ",")) {
			chosen = append(chosen, s)
		}
	}
	servers, notes, err := findServers(ctx, dir)
	if err != nil {
		return "", err
	}
	t := newTable(servers, notes)
	for round := range rounds {
		for _, s := range chosen {
			for _, srv := range servers {
				if ctx.Err() != nil {
					return "", errors.New("stopped")
				}
				fmt.Fprintf(stderr, "round %d of %d: %s, %s\n", round+1, rounds, s.name, srv.name)
				work := filepath.Join(dir, fmt.Sprintf("%d-%s-%s", round, s.name, srv.name))
				m, err := runScenario(ctx, s, srv, work)
				if err != nil {
					t.fail(s, srv, err)
					fmt.Fprintf(stderr, "  %v\n", err)
				} else {
					t.add(s, srv, m)
				}
				_ = os.RemoveAll(work)
			}
		}
	}
	return t.markdown(chosen, rounds), nil
}

func matches(name string, words []string) bool {
	for _, w := range words {
		if w != "" && strings.HasPrefix(name, w) {
			return true
		}
	}
	return false
}
