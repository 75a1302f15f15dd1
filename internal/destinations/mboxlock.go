// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"crypto/rand"
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

func (l *Locks) has(path string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[path]
}

// held are the tokens of the dotlocks of this process and the names of its
// temporary files, of all its destinations.
var held Locks

// mboxLock is the lock of an mbox file: among the destinations of this
// process, path.lock, which programs on several machines can see, and a lock
// by fcntl.
type mboxLock struct {
	locks *Locks
	path  string
	dot   string // empty where the directory does not let us make one
	token string // stands in the dotlock, different for each
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
	dot, token := path+".lock", rand.Text()
	held.try(token)
	err := retry(ctx, func() (bool, error) {
		err := makeDot(dot, token)
		if err == nil {
			return true, nil
		}
		if noDots(err) {
			// Who may not make one still heeds that of another.
			if _, e := os.Lstat(dot); e == nil {
				err = fs.ErrExist
			}
		}
		if errors.Is(err, fs.ErrExist) {
			return false, breakStale(dot)
		}
		return false, err
	})
	if err == nil {
		l.dot, l.token = dot, token
		return l, nil
	}
	held.release(token)
	if noDots(err) {
		return l, nil // as in /var/mail for those who are not in its group
	}
	locks.release(l.path)
	return nil, fmt.Errorf("%s: %w", dot, err)
}

// noDots reports whether an error says that the directory takes no dotlock of
// ours.
func noDots(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnly)
}

// makeDot makes a dotlock that has its owner in it from the first moment: an
// empty one, left by a process that was killed, would look like that of another
// program. It fails with fs.ErrExist where there is one.
func makeDot(dot, token string) error {
	temp := fmt.Sprintf("%s.%d.%s.%s", dot, os.Getpid(), token, hostName())
	if err := writeOwner(temp, token, os.O_TRUNC); err != nil {
		return err
	}
	err := os.Link(temp, dot)
	switch {
	case err == nil:
	case oneFile(temp, dot):
		err = nil // it was done: NFS lost the answer, and asked again
	case !errors.Is(err, fs.ErrExist):
		err = writeOwner(dot, token, os.O_EXCL) // a file system without links
	}
	_ = os.Remove(temp) // cleanDots removes one that stays
	return err
}

// oneFile reports whether two names are of one file.
func oneFile(one, two string) bool {
	a, err := os.Lstat(one)
	if err != nil {
		return false
	}
	b, err := os.Lstat(two)
	return err == nil && os.SameFile(a, b)
}

func writeOwner(name, token string, flag int) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flag, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid(), hostName(), token)
	return errors.Join(err, f.Close())
}

// cleanDots removes temporary dotlocks of processes of this machine that were
// killed, old ones also where another process has the number by now.
func cleanDots(path string) error {
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range list {
		rest, found := strings.CutPrefix(e.Name(), filepath.Base(path)+".lock.")
		parts := strings.SplitN(rest, ".", 3)
		if !found || len(parts) < 3 {
			continue
		}
		pid, err := strconv.Atoi(parts[0])
		lives, known := ownerLives(pid, parts[2], parts[1])
		if err != nil || !known || lives && pid == os.Getpid() {
			continue
		}
		if lives {
			// One that is gone already is nobody's concern.
			if info, err := e.Info(); err != nil || !tooOld(time.Since(info.ModTime())) {
				continue
			}
		}
		if err := ignoreMissing(os.Remove(filepath.Join(filepath.Dir(path), e.Name()))); err != nil {
			return err
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
		// One that stays is found stale, by its token or its process.
		_ = os.Remove(l.dot)
		held.release(l.token)
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
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// One that cannot be read is of an unknown owner.
	lives, known := ownerLives(parseOwner(string(text)))
	if (lives || !known) && time.Since(info.ModTime()) < lockStale {
		return nil
	}
	return ignoreMissing(os.Remove(dot))
}

// ownerLives reports whether who made a dotlock or a temporary file still has
// it; that is known only of this machine. One with our number may be that of an
// earlier process: in containers numbers come again.
func ownerLives(pid int, host, token string) (lives, known bool) {
	if pid <= 0 || host != hostName() {
		return false, false
	}
	if pid == os.Getpid() {
		return held.has(token), true
	}
	return alive(pid), true
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
