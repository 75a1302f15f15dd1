// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cost is what one run of a program took, with the processes that it started.
type cost struct {
	Wall, CPU time.Duration
	Memory    int64 // octets, the most of any of its processes
	Status    int   // with which it ended
}

// errTooLong: a program was ended because it took longer than it may.
var errTooLong = errors.New("took too long")

// measuredCommand is the first argument of this program where it runs another
// one and writes down its cost: the system counts the memory of whoever starts a
// program as the program's, so it is started from a process that has little.
const measuredCommand = "measured"

// run runs a program to its end.
func (p collectProgram) run(ctx context.Context, home string, args []string, limit time.Duration) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	report := filepath.Join(home, "cost.json")
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, append([]string{measuredCommand, report, p.path}, args...)...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "USER=bench", "LOGNAME=bench"}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	// It is ended with its children, which are in the group that it leads.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if errors.Is(ctx.Err(), context.Canceled) {
		return cost{}, ctx.Err()
	}
	if ctx.Err() != nil {
		return cost{}, fmt.Errorf("%s %w: over %v", p.name, errTooLong, limit)
	}
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w: %.1000s", p.name, err, said.String())
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return cost{}, err
	}
	var c cost
	if err := json.Unmarshal(text, &c); err != nil {
		return cost{}, err
	}
	if c.Status != 0 && c.Status != p.nothing {
		return cost{}, fmt.Errorf("%s ended with status %d: %.1000s", p.name, c.Status, said.String())
	}
	return c, nil
}

// runMeasured runs a program and writes its cost into a file.
func runMeasured(report, path string, args []string) error {
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	begin := time.Now()
	err := cmd.Run()
	wall := time.Since(begin)
	state := cmd.ProcessState
	if state == nil || !state.Exited() {
		return err
	}
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("this system does not say what a process has used")
	}
	text, err := json.Marshal(cost{wall, state.UserTime() + state.SystemTime(), usage.Maxrss << 10, state.ExitCode()})
	if err != nil {
		return err
	}
	return os.WriteFile(report, text, 0o600)
}
