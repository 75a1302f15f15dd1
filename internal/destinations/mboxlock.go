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

// lockMbox takes the lock in this process and the dotlock.
func lockMbox(ctx context.Context, locks *Locks, path string) (*mboxLock, error) {
	l := &mboxLock{locks: locks, path: path}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		l.path = real
	}
	if err := retry(ctx, func() (bool, error) { return locks.try(l.path), nil }); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	dot := path + ".lock"
	err := retry(ctx, func() (bool, error) {
		f, err := os.OpenFile(dot, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return false, breakStale(dot)
		}
		if err != nil {
			return false, err
		}
		_, err = fmt.Fprintln(f, lockOwner())
		return true, errors.Join(err, f.Close())
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
	dead := pid > 0 && host == hostName() && !alive(pid)
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
