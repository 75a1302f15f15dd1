// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bench measures restanted and restante beside the POP3 servers and the
// collectors of others in one run: the same mail, the same load, one after the
// other within each round. What counts in its tables are CPU per unit of work
// and the ratios between the columns, because a machine may be busy with other
// things.
//
//	go run ./bench -all
//
// installs the others from Debian's packages (as root), measures everything in
// five rounds, and writes docs/benchmarks: tables, plots, settings, and all
// figures in JSON. The following write those pages again from the JSON: as they
// are, or with more rounds of some scenarios, of the same versions.
//
//	go run ./bench -redraw
//	go run ./bench -add -rounds 4 -only signin,retr
//
// Without these, it prints the tables of one side with what is installed:
//
//	go run ./bench -rounds 3 -only poll,signin
//	go run ./bench -side collect -only far -from Dovecot
//
// Servers and load run in separate processes, on loopback, in temporary folders,
// and stop by themselves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"restante.example/bench/report"
	"restante.example/bench/volume"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const exitUsage = 64

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	if len(args) == 3 && args[0] == keeperCommand {
		err = runKeeper(args[1], args[2])
	} else {
		err = runBench(ctx, args, stdout, stderr)
	}
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// errUsage: the flags are wrong, and the user has been told.
var errUsage = errors.New("usage")

func runBench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	all := flags.Bool("all", false, "install the programs of others, measure both sides, and write the pages")
	add := flags.Bool("add", false, "add rounds of one side, or of its scenarios of -only, to the results that are kept beside the pages")
	redraw := flags.Bool("redraw", false, "write the pages again from the results that are kept beside them")
	flags.StringVar(&o.side, "side", "server", "what is measured: server or collect")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each scenario runs on each program")
	flags.StringVar(&o.only, "only", "", "scenarios whose names begin with one of these words, separated by commas")
	flags.StringVar(&o.from, "from", "restanted", "with -side collect: the server to collect from")
	flags.DurationVar(&o.patience, "patience", time.Minute, "a scenario on a program that takes longer is not repeated in further rounds")
	flags.DurationVar(&o.limit, "limit", time.Minute, "a scenario on a server that takes longer is ended")
	flags.DurationVar(&o.collect, "collect-limit", 20*time.Second, "a program that collects for longer is ended")
	flags.DurationVar(&o.within, "within", 0, "begin no round that would not be over by then; 0 is no bound")
	flags.BoolVar(&o.quick, "quick", false, "one small round, to see that everything works: its figures mean nothing")
	out := flags.String("out", filepath.Join("docs", "benchmarks"), "the folder of the pages")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	if o.side != "server" && o.side != "collect" || flags.NArg() > 0 || o.rounds < 1 {
		fmt.Fprintln(stderr, "bench: -side is server or collect, -rounds is 1 at least, and there are no arguments")
		return errUsage
	}
	if *redraw {
		return report.Redraw(*out)
	}
	if o.quick {
		o.rounds = 1
	}
	dir, done, err := workDir(ctx, stderr)
	if err != nil {
		return err
	}
	defer done()
	command := strings.Join(append([]string{"go", "run", "./bench"}, args...), " ")
	if *add {
		return addRounds(ctx, dir, o, command, *out, stderr)
	}
	if !*all {
		results, err := measure(ctx, dir, o, command, func(*report.Results) error { return nil }, stderr)
		if err != nil {
			return err
		}
		fmt.Fprint(stdout, results.Text())
		return nil
	}
	if !o.quick {
		if err := install(ctx, stderr); err != nil {
			return err
		}
	}
	return measureAll(ctx, dir, o, command, *out, stderr)
}

// volumeSize is how many octets the mail of a run may take up, and much more than
// it does.
const volumeSize = 16 << 30

// workDir makes the folder for everything that a run writes: on a file system of
// its own, as Debian makes them, so that what is measured depends neither on
// which one this machine has nor on what was removed from it lately. Without the
// right to mount one it is a folder like any other.
func workDir(ctx context.Context, stderr io.Writer) (dir string, done func(), err error) {
	top, err := openDir("", "restante-bench")
	if err != nil {
		return "", nil, err
	}
	var mounts volume.Mounts
	done = func() {
		if err := errors.Join(mounts.Unmount(), os.RemoveAll(top)); err != nil {
			fmt.Fprintln(stderr, "bench: tidying up:", err)
		}
	}
	dir = filepath.Join(top, "volume")
	if err := os.Mkdir(dir, 0o755); err != nil {
		done()
		return "", nil, err
	}
	if err := mounts.Make(ctx, filepath.Join(top, "image"), "ext4", volumeSize, dir); err != nil {
		fmt.Fprintf(stderr, "no file system of its own for the mail, so what this machine's one does counts too: %v\n", err)
		return dir, done, nil
	}
	// What makes temporary folders of its own makes them there too.
	before := os.Getenv("TMPDIR")
	unmount := done
	done = func() {
		_ = os.Setenv("TMPDIR", before)
		unmount()
	}
	return dir, done, os.Setenv("TMPDIR", dir)
}

// install runs the script that installs the programs of others.
func install(ctx context.Context, stderr io.Writer) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("finding this repository: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(strings.TrimSpace(string(root)), "internal", "peers", "install.sh"))
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("internal/peers/install.sh: %w", err)
	}
	return nil
}

// measureAll measures both sides and writes the pages. What there is so far is
// kept after each round.
func measureAll(ctx context.Context, dir string, o options, command, out string, stderr io.Writer) error {
	began := time.Now()
	for _, side := range []string{"collect", "server"} {
		o.side = side
		work := filepath.Join(dir, side)
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
		if o.within > 0 && side == "server" {
			o.within = max(time.Second, o.within-time.Since(began))
		}
		_, err := measure(ctx, work, o, command, func(r *report.Results) error { return r.Write(out, side) }, stderr)
		if err != nil {
			return err
		}
	}
	return nil
}

// addRounds measures more rounds of one side, and writes the pages of what is kept
// and those together.
func addRounds(ctx context.Context, dir string, o options, command, out string, stderr io.Writer) error {
	kept, err := report.Kept(out, o.side)
	if err != nil {
		return fmt.Errorf("there is nothing to add to: %w", err)
	}
	_, err = measure(ctx, dir, o, command, func(more *report.Results) error {
		sum, err := kept.With(more)
		if err != nil {
			return err
		}
		return sum.Write(out, o.side)
	}, stderr)
	return err
}

// measure measures one side. After each round it hands what it has to keep.
func measure(ctx context.Context, dir string, o options, command string, keep func(*report.Results) error, stderr io.Writer) (*report.Results, error) {
	z := fullSizes
	if o.quick {
		z = quickSizes
	}
	m, err := thisMachine(dir)
	if err != nil {
		return nil, err
	}
	var results *report.Results
	var steps []step
	if o.side == "collect" {
		results, steps, err = collectSteps(ctx, dir, o, z)
	} else {
		results, steps, err = serverSteps(ctx, dir, o, m, z)
	}
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("no scenario begins with %q", o.only)
	}
	results.Made, results.Command, results.Machine = time.Now().UTC().Truncate(time.Second), command, m.lines
	results.Patience, results.Limit = o.patience.Seconds(), o.limit.Seconds()
	if o.side == "collect" {
		results.Limit = o.collect.Seconds()
	}
	_, err = rounds(ctx, o, steps, func(samples []report.Sample, finished int) error {
		results.Samples, results.Rounds = samples, finished
		results.Took = time.Since(results.Made).Seconds()
		return keep(results)
	}, stderr)
	return results, err
}
