// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A static program asks the kernel for the time without a system call, so its
// clock cannot be changed from outside, short of changing that of the machine. Here
// it runs under a tracer of ours, which takes the short way away from it and answers
// the system call that is left: see clock_amd64.go. Only what the program reads
// jumps. Files get their times from the kernel, and those stay true.

// The first arguments with which this program is its own tracer, and what comes
// between that and the program.
const (
	clockTracer = "under-another-clock"
	clockStage  = "into-another-clock"
)

// clock is that of one life.
type clock struct{ set io.WriteCloser }

// jump sets the clock to the time as it is, and so much.
func (c *clock) jump(by time.Duration) error {
	_, err := fmt.Fprintln(c.set, int64(by))
	return err
}

// underClock makes a command one under a clock of its own. What is returned tells
// the process id of the program, once the command has been started.
func underClock(cmd *exec.Cmd) (c *clock, pid func() (int, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd.Path, cmd.Args = self, append([]string{self, clockTracer}, cmd.Args...)
	set, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.ExtraFiles = []*os.File{tell}
	return &clock{set}, func() (int, error) {
		defer told.Close()
		if err := tell.Close(); err != nil {
			return 0, err
		}
		line, err := bufio.NewReader(told).ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("the tracer of the clock: %w", err)
		}
		return strconv.Atoi(strings.TrimSpace(line))
	}, nil
}

// jumps are what a clock does when somebody sets it, a battery is empty, or a
// virtual machine wakes up.
var jumps = []time.Duration{time.Second, time.Minute, time.Hour, 25 * time.Hour, 40 * 24 * time.Hour, 400 * 24 * time.Hour, 12 * 365 * 24 * time.Hour}

// clockJumps gives the server another clock and sets it, forth and back.
func (t *torture) clockJumps(ctx context.Context, rng *rand.Rand) error {
	t.office.end(syscall.SIGTERM)
	if err := t.office.startUnderClock(ctx); err != nil {
		return err
	}
	for range 3 + rng.IntN(4) {
		by := jumps[rng.IntN(len(jumps))]
		if rng.IntN(2) == 0 {
			by = -by
		}
		if err := t.office.current().clock.jump(by); err != nil {
			return err
		}
		t.report.count("jumps of the clock", 1)
		if !pause(ctx, time.Duration(300+rng.IntN(1200))*time.Millisecond) {
			return nil
		}
	}
	if rng.IntN(3) == 0 {
		return t.kill(ctx, rng)
	}
	t.office.end(syscall.SIGTERM)
	return t.office.start(ctx)
}
