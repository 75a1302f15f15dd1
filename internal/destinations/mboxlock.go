// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	lockWait  = 30 * time.Second // for the lock of another program
	lockPoll  = 100 * time.Millisecond
	lockStale = 15 * time.Minute // after which a lock of an unknown owner is broken
)

var (
	errMboxLocked = errors.New("locked by another program")
	errReplaced   = errors.New("another program has just replaced the file")
)

// Locks keeps the destinations of one process from filing into the same mbox
// at the same time. The zero value is ready.
type Locks struct {
	mu   sync.Mutex
	held map[string]bool
}

func (l *Locks) try(path string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[path] {
		return false
	}
	if l.held == nil {
		l.held = make(map[string]bool)
	}
	l.held[path] = true
	return true
}

func (l *Locks) release(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, path)
}

// mboxLock is the lock of an mbox file: among the destinations of this
// process, path.lock, which programs on several machines can see, and a lock
// by fcntl.
type mboxLock struct {
	locks *Locks
	path  string
	dot   string // empty where the directory does not let us make one
}

// realPath is a path without links, the same before the file is made as
// afterwards. A link to nothing is followed, because the file is made where it
// points to.
func realPath(path string) string {
	for range 40 { // as many links as systems follow
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		// No Dir or Join before links are resolved: x/.. need not be where x is.
		dir, base := filepath.Split(path)
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return path
		}
		path = filepath.Join(dir, base)
		target, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(target) {
			target = dir + string(filepath.Separator) + target
		}
		path = target
	}
	return path
}

// lockMbox takes the lock in this process and the dotlock.
func lockMbox(ctx context.Context, locks *Locks, path string) (*mboxLock, error) {
	l := &mboxLock{locks: locks, path: realPath(path)}
	if err := retry(ctx, func() (bool, error) { return locks.try(l.path), nil }); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	dot := path + ".lock"
	err := retry(ctx, func() (bool, error) {
		err := makeDot(dot)
		if errors.Is(err, fs.ErrExist) {
			return false, breakStale(dot)
		}
		return err == nil, err
	})
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnly) {
		return l, nil // as in /var/mail for those who are not in its group
	}
	if err != nil {
		locks.release(l.path)
		return nil, fmt.Errorf("%s: %w", dot, err)
	}
	l.dot = dot
	return l, nil
}

// makeDot makes a dotlock that has its owner in it from the first moment: an
// empty one, left by a process that was killed, would look like that of another
// program. It fails with fs.ErrExist where there is one.
func makeDot(dot string) error {
	temp := dot + ownTail()
	if err := writeOwner(temp, os.O_TRUNC); err != nil {
		return err
	}
	err := os.Link(temp, dot)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = writeOwner(dot, os.O_EXCL) // a file system without links
	}
	_ = os.Remove(temp) // cleanDots removes one that stays
	return err
}

func writeOwner(name string, flag int) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flag, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, lockOwner())
	return errors.Join(err, f.Close())
}

// ownTail ends the temporary name of this process's dotlocks.
func ownTail() string { return fmt.Sprintf(".%d.%s", os.Getpid(), hostName()) }

// cleanDots removes temporary dotlocks of processes of this machine that were
// killed.
func cleanDots(path string) error {
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range list {
		rest, found := strings.CutPrefix(e.Name(), filepath.Base(path)+".lock.")
		number, host, _ := strings.Cut(rest, ".")
		pid, err := strconv.Atoi(number)
		if found && err == nil && pid > 0 && host == hostName() && !alive(pid) {
			if err := ignoreMissing(os.Remove(filepath.Join(filepath.Dir(path), e.Name()))); err != nil {
				return err
			}
		}
	}
	return nil
}

// file takes the lock by fcntl. It ends when the file is closed.
func (l *mboxLock) file(ctx context.Context, f *os.File) error {
	return retry(ctx, func() (bool, error) { return lockRange(f) })
}

func (l *mboxLock) unlock() {
	if l.dot != "" {
		// One that stays is found stale, by its process.
		_ = os.Remove(l.dot)
	}
	l.locks.release(l.path)
}

// retry calls try until it succeeds or fails, or nobody would wait longer.
func retry(ctx context.Context, try func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, errMboxLocked)
	defer cancel()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		if ok, err := try(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// breakStale removes a dotlock whose process is dead, or that is very old.
func breakStale(dot string) error {
	info, err := os.Stat(dot)
	if err != nil {
		return ignoreMissing(err)
	}
	text, err := os.ReadFile(dot)
	if err != nil {
		return ignoreMissing(err)
	}
	pid, host := parseOwner(string(text))
	// The lock in this process is ours by now, so one with our number is that of
	// an earlier process: in containers numbers come again.
	dead := pid > 0 && host == hostName() && (pid == os.Getpid() || !alive(pid))
	if !dead && time.Since(info.ModTime()) < lockStale {
		return nil
	}
	return ignoreMissing(os.Remove(dot))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
