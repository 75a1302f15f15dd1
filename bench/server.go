// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"restante.example/bench/report"
)

// server is a way to start one POP3 server.
type server struct {
	report.Subject
	// noTLS, noLMTP, noSizes and noPasswords say why a server cannot do what
	// others can; empty where it can.
	noTLS, noLMTP, noSizes, noPasswords string
	start                               func(ctx context.Context, dir string, users crowd) (*instance, error)
}

// crowd is who may sign in: u0, u1 and so on, all with the same password.
type crowd struct {
	n int
	// slow asks for hashes as they are made for people; else they are as quick
	// as the server lets them be, since they are not what is measured.
	slow bool
}

const password = "bench-Passw0rd"

// instance is a server that is up.
type instance struct {
	pop3, pop3s, lmtp string
	// box returns where the mail of a user is: a Maildir, or an mbox file.
	box  func(user int) string
	mbox bool
	// uid is to whom mail belongs.
	uid int
	// pids are its processes that have no parent among them; apart is one of
	// them that is ours and only accepts its connections, or 0.
	pids  []int
	apart int
	stop  func()
}

// launch starts a command with its output in a file and waits for its ports.
func (in *instance) launch(ctx context.Context, dir string, cmd *exec.Cmd) error {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	in.pids = append(in.pids, cmd.Process.Pid)
	in.stop = func() {
		// The whole group that it leads, at once: nothing here needs a good end.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	for _, address := range []string{in.pop3, in.pop3s, in.lmtp} {
		if address == "" {
			continue
		}
		if err := await(ctx, address); err != nil {
			in.stop()
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s: %w: %.2000s", cmd.Path, err, text)
		}
	}
	return nil
}

// await waits until something listens on an address.
func await(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("nothing listens on %s", address)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freeAddresses returns loopback addresses that nothing listens on now.
func freeAddresses(n int) ([]string, error) {
	list := make([]string, n)
	for i := range list {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		list[i] = l.Addr().String()
	}
	return list, nil
}

// openDir makes a new folder that every uid can pass through: servers of others
// become another user than they were started as.
func openDir(parent, pattern string) (string, error) {
	dir, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// tidy removes a folder and waits until the disk knows of it, so that the flushes
// of whoever is measured next do not pay for it. What stays is removed at the end.
func tidy(dir string) {
	_ = os.RemoveAll(dir)
	if f, err := os.Open(filepath.Dir(dir)); err == nil {
		_ = unix.Syncfs(int(f.Fd()))
		_ = f.Close()
	}
}

// nobody is to whom the mail of peers belongs.
const nobody = 65534

// timed runs the work and measures the server meanwhile. Units of work are what
// the work says it has done. The processes that the last session leaves get a
// moment to end, so that what they used is counted.
func (in *instance) timed(work func() (units int, err error)) (map[string]float64, error) {
	before, err := cpuOf(in.pids, in.apart)
	if err != nil {
		return nil, err
	}
	most := watch(in.pids, in.apart)
	start := time.Now()
	units, err := work()
	wall := time.Since(start)
	memory, errMemory := most()
	if err != nil {
		return nil, err
	}
	if errMemory != nil {
		return nil, errMemory
	}
	time.Sleep(settle)
	after, err := cpuOf(in.pids, in.apart)
	if err != nil {
		return nil, err
	}
	if units == 0 {
		return nil, fmt.Errorf("nothing was done within %v", wall)
	}
	return measured(units, wall, after-before, memory), nil
}

// settle is what processes get to end in.
const settle = 60 * time.Millisecond

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// total is what pieces of work took that are measured apart from what goes on
// between them.
type total struct {
	n         int
	wall, cpu time.Duration
	memory    int64
}

func (t *total) time(in *instance, work func() error) error {
	before, err := cpuOf(in.pids, in.apart)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := work(); err != nil {
		return err
	}
	t.wall += time.Since(start)
	time.Sleep(settle / 3)
	after, err := cpuOf(in.pids, in.apart)
	if err != nil {
		return err
	}
	memory, _, err := memoryOf(in.pids, in.apart)
	t.n, t.cpu, t.memory = t.n+1, t.cpu+after-before, max(t.memory, memory)
	return err
}

// result returns the means.
func (t *total) result() map[string]float64 {
	return measured(t.n, t.wall, t.cpu, t.memory)
}

// measured are the values of so many units of work. What is less than the
// system counts, or was gone at each look, is left out.
func measured(units int, wall, cpu time.Duration, memory int64) map[string]float64 {
	values := map[string]float64{report.Wall: ms(wall) / float64(units)}
	if cpu > 0 {
		values[report.CPU] = ms(cpu) / float64(units)
	}
	if memory > 0 {
		values[report.Memory] = float64(memory) / 1e6
	}
	return values
}
