// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command torture shows whether restanted and restante keep their promise under
// everything that can be done to them on one machine: a server is killed,
// stopped, starved of disk and of descriptors, given errors by the kernel,
// crowded, guessed at and talked to in nonsense, while mail is delivered to it
// and collected from it by several programs.
//
//	go run ./bench/torture -time 3m
//	go run ./bench/torture -time 10m -seed 7 -out report.md
//
// What the clients here were told is compared, by content, with what is there.
// The report says what was tried and what was lost. The exit status is 1 when
// the promise was broken, 2 when the run could not be made.
//
// It listens on 127.0.0.1 only, in a temporary folder, ends after its time,
// and ends only what it has started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const (
	exitBroken   = 1
	exitNoResult = 2
	exitUsage    = 64
)

// options are the flags.
type options struct {
	time   time.Duration
	seed   uint64
	out    string
	only   string
	fs     string
	crowd  int
	faults string
	race   bool
	first  bool
	keep   bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 1 && (args[0] == clockTracer || args[0] == clockStage) {
		return ownProcess(args[0], args[1:], stderr)
	}
	var o options
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.time, "time", 3*time.Minute, "how long it lasts; the checks at the end take some seconds more")
	flags.Uint64Var(&o.seed, "seed", 0, "the order of what happens; 0 takes one from the clock")
	flags.StringVar(&o.out, "out", "", "a file for the report, beside standard output")
	flags.StringVar(&o.only, "only", "", "only the troubles whose names begin with one of these words, separated by commas")
	flags.StringVar(&o.fs, "fs", "ext4", "the file system of the server's disk: "+strings.Join(fileSystems, ", "))
	flags.IntVar(&o.crowd, "crowd", crowdSize, "how many slow connections make a crowd")
	flags.StringVar(&o.faults, "faults", "", "a build of restanted that is wrong on purpose, by its name: "+strings.Join(wrongBuilds, ", "))
	flags.BoolVar(&o.race, "race", false, "build restanted with the race detector")
	flags.BoolVar(&o.first, "first", false, "end at the first broken promise")
	flags.BoolVar(&o.keep, "keep", false, "leave the folder with the mail and the logs, and say where it is")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 || o.time <= 0 || o.crowd < 0 {
		fmt.Fprintln(stderr, "torture: it takes no arguments, and its numbers are positive")
		return exitUsage
	}
	if !slices.Contains(fileSystems, o.fs) {
		fmt.Fprintf(stderr, "torture: -fs is one of %s\n", strings.Join(fileSystems, ", "))
		return exitUsage
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	fmt.Fprintln(stderr, "torture: seed", o.seed)
	broken, report, err := torment(ctx, o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "torture:", err)
		return exitNoResult
	}
	fmt.Fprint(stdout, report)
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(report), 0o644); err != nil {
			fmt.Fprintln(stderr, "torture:", err)
			return exitNoResult
		}
	}
	if broken {
		return exitBroken
	}
	return 0
}

// ownProcess is what this program does where it has started itself.
func ownProcess(as string, args []string, stderr io.Writer) (status int) {
	var err error
	if as == clockTracer {
		status, err = traceClock(args)
	} else {
		err = enterClock(args) // it returns only where it fails
	}
	if err != nil {
		fmt.Fprintln(stderr, "torture: the clock of the server:", err)
		return exitNoResult
	}
	return status
}

// fileSystems are what the server's disk can be.
var fileSystems = []string{"ext4", "xfs", "btrfs"}

// wrongBuilds are the faults that a build with the tag of this name knows.
var wrongBuilds = []string{"early-accept", "early-quit", "drop-deletes", "numbered-uids", "torn", "no-flush", "no-directory-flush"}

// torment is the whole of a run.
func torment(ctx context.Context, o options, stderr io.Writer) (broken bool, text string, err error) {
	dir, err := os.MkdirTemp("", "restante-torture-")
	if err != nil {
		return false, "", err
	}
	defer func() {
		if o.keep {
			fmt.Fprintln(stderr, "torture: everything is left in", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	r := &report{options: o, began: time.Now(), counts: map[string]int{}, log: stderr}
	bin := filepath.Join(dir, "bin")
	if err := build(ctx, bin, o); err != nil {
		return false, "", err
	}
	disk, err := smallDisk(ctx, dir, o.fs, r)
	if disk != nil {
		defer func() { err = errors.Join(err, disk.Unmount()) }()
	}
	if err != nil {
		return false, "", err
	}
	f, err := newOffice(ctx, dir, filepath.Join(disk.dir, "data"), bin, o, r)
	if err != nil {
		return false, "", err
	}
	defer f.close()
	t := &torture{options: o, report: r, office: f, disk: disk, dir: dir, bin: bin, rng: rand.New(rand.NewPCG(o.seed, 1))}
	if err := t.live(ctx); err != nil {
		return false, "", err
	}
	f.close()
	return r.isBroken(), r.markdown(), nil
}

// build makes both programs.
func build(ctx context.Context, bin string, o options) error {
	for _, name := range []string{"restanted", "restante"} {
		args := []string{"build", "-o", filepath.Join(bin, name)}
		if o.race {
			args = append(args, "-race")
		}
		if o.faults != "" && name == "restanted" {
			args = append(args, "-tags", "faults")
		}
		if out, err := exec.CommandContext(ctx, "go", append(args, "restante.example/cmd/"+name)...).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}
