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
// Servers and load run in separate processes, on loopback, in temporary
// folders, and stop by themselves.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 3, "how often each scenario runs on each server")
	only := flags.String("only", "", "scenarios whose names begin with one of these words, separated by commas")
	out := flags.String("out", "", "a file for the table, beside standard output")
	if err := flags.Parse(args); err != nil {
		return 64
	}
	dir, err := os.MkdirTemp("", "restante-bench")
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()

	var chosen []scenario
	for _, s := range scenarios {
		if *only == "" || matches(s.name, strings.Split(*only, ",")) {
			chosen = append(chosen, s)
		}
	}
	servers, notes, err := findServers(ctx, dir)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	t := newTable(servers, notes)
	for round := range *rounds {
		for _, s := range chosen {
			for _, srv := range servers {
				if ctx.Err() != nil {
					fmt.Fprintln(stderr, "bench: stopped")
					return 1
				}
				fmt.Fprintf(stderr, "round %d of %d: %s, %s\n", round+1, *rounds, s.name, srv.name)
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
	text := t.markdown(chosen, *rounds)
	fmt.Fprint(stdout, text)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 1
		}
	}
	return 0
}

func matches(name string, words []string) bool {
	for _, w := range words {
		if w != "" && strings.HasPrefix(name, w) {
			return true
		}
	}
	return false
}
