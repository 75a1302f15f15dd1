// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// trouble is something that goes wrong for a while. It leaves a server that is up.
type trouble struct {
	name   string
	weight int // how often it comes in a deck
	make   func(ctx context.Context, rng *rand.Rand) error
}

// troubles are all that can be made here.
func (t *torture) troubles() []trouble {
	list := []trouble{
		{"kill -9", 4, t.kill},
		{"kill -9 and a damaged index", 1, t.killAndDamage},
		{"SIGTERM and start", 1, t.restart},
		{"SIGHUP", 1, t.hangup},
		{"SIGSTOP", 2, t.freeze},
		{fewDescriptors, 1, t.descriptors},
		{"slow connections", 2, t.crowded},
		{"guessing", 1, t.guessing},
		{"hostile input", 1, t.hostile},
	}
	if t.disk.own {
		list = append(list, trouble{"full disk", 2, t.fullDisk})
	}
	if t.disk.image != "" && t.disk.shared != "" {
		list = append(list, trouble{powerCutName, 3, t.powerCut})
	}
	if hasClock {
		list = append(list, trouble{"clock jumps", 2, t.clockJumps})
	} else {
		t.report.leftOut("jumps of the clock: %v", errNoClock)
	}
	if path, err := exec.LookPath("strace"); err != nil {
		t.report.leftOut("errors of system calls: strace is not installed: apt-get install strace")
	} else {
		for _, f := range failingCalls {
			list = append(list, trouble{failingName + f.String(), 1, func(ctx context.Context, rng *rand.Rand) error { return t.failing(ctx, path, f, rng) }})
		}
	}
	var chosen []trouble
	for _, one := range list {
		if t.only == "" || begins(one.name, strings.Split(t.only, ",")) {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

func begins(name string, words []string) bool {
	for _, w := range words {
		if strings.HasPrefix(name, strings.TrimSpace(w)) {
			return true
		}
	}
	return false
}

func (t *torture) kill(ctx context.Context, _ *rand.Rand) error {
	t.report.count("kills of the server", 1)
	t.office.end(syscall.SIGKILL)
	return t.office.start(ctx)
}

// killAndDamage spoils indexes while the server is down: an index is a cache.
func (t *torture) killAndDamage(ctx context.Context, rng *rand.Rand) error {
	t.report.count("kills of the server", 1)
	t.office.end(syscall.SIGKILL)
	indexes, err := filepath.Glob(filepath.Join(t.office.data, "mail", "*", "*", ".restante", "*", "*index*"))
	if err != nil {
		return err
	}
	for _, name := range indexes {
		if rng.IntN(2) == 0 {
			continue
		}
		t.report.count("indexes damaged or deleted", 1)
		if rng.IntN(3) == 0 {
			err = errors.Join(err, os.Remove(name))
			continue
		}
		text, e := os.ReadFile(name)
		if e == nil && len(text) > 0 {
			text[rng.IntN(len(text))] ^= 1 << rng.IntN(8)
			e = os.WriteFile(name, text[:1+rng.IntN(len(text))], 0o600)
		}
		err = errors.Join(err, e)
	}
	return errors.Join(err, t.office.start(ctx))
}

func (t *torture) restart(ctx context.Context, _ *rand.Rand) error {
	t.office.end(syscall.SIGTERM)
	return t.office.start(ctx)
}

func (t *torture) hangup(ctx context.Context, rng *rand.Rand) error {
	for range 1 + rng.IntN(5) {
		t.office.signal(syscall.SIGHUP)
		pause(ctx, time.Duration(rng.IntN(200))*time.Millisecond)
	}
	return nil
}

// freeze stops the process as a debugger or a suspended machine would.
func (t *torture) freeze(ctx context.Context, rng *rand.Rand) error {
	for range 1 + rng.IntN(3) {
		t.report.count("stops by SIGSTOP", 1)
		t.office.signal(syscall.SIGSTOP)
		pause(ctx, time.Duration(100+rng.IntN(1500))*time.Millisecond)
		if rng.IntN(4) == 0 {
			return t.kill(ctx, rng) // while it is stopped
		}
		t.office.signal(syscall.SIGCONT)
		pause(ctx, time.Duration(rng.IntN(300))*time.Millisecond)
	}
	return nil
}

// descriptors leaves the server only few more files and connections than it has.
func (t *torture) descriptors(ctx context.Context, rng *rand.Rand) error {
	pid := t.office.pid()
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return err
	}
	for range 3 {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return err
		}
		few := unix.Rlimit{Cur: uint64(max(8, len(open)-3+rng.IntN(12))), Max: before.Max}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
			return err
		}
		pause(ctx, time.Duration(300+rng.IntN(1200))*time.Millisecond)
	}
	if rng.IntN(3) == 0 {
		return t.kill(ctx, rng)
	}
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil)
}

func (t *torture) fullDisk(ctx context.Context, rng *rand.Rand) (err error) {
	free, err := t.fill(int64(rng.IntN(3) * rng.IntN(4<<20))) // sometimes nothing at all
	if free != nil {
		defer func() { err = errors.Join(err, free()) }()
	}
	if err != nil {
		return err
	}
	pause(ctx, time.Duration(1000+rng.IntN(3000))*time.Millisecond)
	if rng.IntN(2) == 0 {
		t.report.count("kills of the server", 1)
		t.office.end(syscall.SIGKILL)
		// A start on a full disk: it may be refused, and then works with room.
		if err := t.office.start(ctx); err != nil {
			t.report.note("the start on a full disk: %v", err)
			err := errors.Join(free(), t.office.up(ctx))
			free = func() error { return nil }
			return err
		}
		pause(ctx, time.Second)
	}
	return nil
}

// call is a system call that is made to fail.
type call struct {
	name, errno string
	// journals restricts it to the journals, where a call is used for more than files.
	journals bool
	// most is after how many calls one fails, at most; 1 is every one.
	most int
}

func (c call) String() string {
	s := c.name + " " + c.errno
	if c.journals {
		s += " of journals"
	}
	return s
}

// forUsers are the calls that SQLite and the rare paths use; users are changed
// meanwhile, so that there are any.
const forUsers = "pread64,pwrite64,fdatasync,ftruncate,renameat,renameat2"

// opens are the calls that open files: mail by the second, all else by the first.
const opens = "openat,openat2"

var failingCalls = []call{
	{"fsync", "EIO", false, 4}, {"fsync", "ENOSPC", false, 1}, {"linkat", "EIO", false, 3}, {"linkat", "ENOSPC", false, 1},
	{"unlinkat", "EIO", false, 4}, {forUsers, "EIO", false, 3}, {"read", "EIO", false, 50},
	{opens, "EIO", false, 15}, {opens, "ENOSPC", false, 10}, {opens, "EMFILE", false, 10},
	{"getdents64", "EIO", false, 3}, {"newfstatat", "EIO", false, 10}, {"accept4", "EMFILE", false, 3},
	{"write", "ENOSPC", true, 2}, {"write", "EIO", true, 2}, {"write", "EIO", false, 200},
}

// changeUsers adds users while the server runs, until the context ends.
func (t *torture) changeUsers(ctx context.Context, rng *rand.Rand) {
	for pause(ctx, 20*time.Millisecond) {
		if err := t.office.addUser(ctx, fmt.Sprintf("extra%x@example.org", rng.Uint64())); err != nil {
			t.report.count("users that could not be added while system calls failed", 1)
		} else {
			t.report.count("users added while system calls failed", 1)
		}
	}
}

// failing lets strace make a system call of the server fail, for some seconds.
func (t *torture) failing(ctx context.Context, strace string, c call, rng *rand.Rand) error {
	if c.name == "write" && !c.journals {
		t.office.frail() // Go's runtime writes to a descriptor of its own and gives up
	}
	out := filepath.Join(t.dir, "strace")
	first, step := 1+rng.IntN(c.most), 1+rng.IntN(c.most)
	args := []string{"-f", "-q", "-o", out, "-p", fmt.Sprint(t.office.pid()), "-e", "trace=" + c.name,
		"-e", fmt.Sprintf("inject=%s:error=%s:when=%d+%d", c.name, c.errno, first, step)}
	if c.journals {
		journals, err := filepath.Glob(filepath.Join(t.office.data, "mail", "*", "*", ".restante", "*", "*journal*"))
		if err != nil {
			return err
		}
		for _, name := range journals {
			args = append(args, "-P", name)
		}
	}
	cmd := exec.Command(strace, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	long := time.Duration(1000+rng.IntN(3000)) * time.Millisecond
	if c.name == forUsers {
		limited, cancel := context.WithTimeout(ctx, long)
		t.changeUsers(limited, rng)
		cancel()
	} else {
		pause(ctx, long)
	}
	if rng.IntN(3) == 0 {
		t.report.count("kills of the server", 1)
		t.office.end(syscall.SIGKILL)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		err := cmd.Process.Kill()
		<-ended
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return fmt.Errorf("strace: %w: %s", err, &said)
	}
	n := bytes.Count(text, []byte("(INJECTED)"))
	t.report.count("system calls that failed: "+c.String(), n)
	t.injected += n
	if n == 0 && strings.Contains(said.String(), "not permitted") {
		// The same is said of a server that is just ending.
		t.report.count("times that strace could not attach", 1)
		t.refused = strings.TrimSpace(said.String())
	}
	if err := t.office.up(ctx); err != nil {
		return err
	}
	if c.name == forUsers {
		return t.usersAgain(ctx, rng)
	}
	return nil
}

// usersAgain checks that users can be changed when the trouble is over.
func (t *torture) usersAgain(ctx context.Context, rng *rand.Rand) error {
	var err error
	for range 20 {
		if err = t.office.addUser(ctx, fmt.Sprintf("extra%x@example.org", rng.Uint64())); err == nil || !pause(ctx, 250*time.Millisecond) {
			return nil
		}
	}
	t.report.broken("users cannot be changed five seconds after system calls have failed: %v", err)
	return nil
}
