// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
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
var errTooLong = errors.New("it was ended")

// run runs a program to its end; where this program is root, as nobody, since
// programs of others do more than they need when root starts them.
func (b *collectBench) run(ctx context.Context, p collectProgram, home string, args []string) (cost, error) {
	note := filepath.Join(home, "cost")
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.measured, append([]string{note, p.path}, args...)...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "USER=nobody", "LOGNAME=nobody"}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	// It is ended with its children, which are in the group that it leads.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if errors.Is(ctx.Err(), context.Canceled) {
		return cost{}, ctx.Err()
	}
	if ctx.Err() != nil {
		return cost{}, fmt.Errorf("%w after %v", errTooLong, b.limit)
	}
	if err != nil {
		return cost{}, fmt.Errorf("%w: %.1000s", err, said.String())
	}
	text, err := os.ReadFile(note)
	if err != nil {
		return cost{}, err
	}
	var c cost
	var kb int64
	if _, err := fmt.Sscan(string(text), &c.Wall, &c.CPU, &kb, &c.Status); err != nil {
		return cost{}, fmt.Errorf("%s: %w", note, err)
	}
	c.Memory = kb << 10
	if c.Status != 0 && c.Status != p.nothing {
		return cost{}, fmt.Errorf("it ended with status %d: %.1000s", c.Status, said.String())
	}
	return c, nil
}
