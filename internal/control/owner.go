// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// LockName is the name of the lock file in the data directory.
const LockName = "lock"

// ErrOwned: another process works on the data directory.
var ErrOwned = errors.New("another process works on the data directory")

// Owner holds a data directory. The system lets go of it when the process
// ends, however it ends.
type Owner struct{ file *os.File }

// Own takes the lock of dir, or fails with ErrOwned.
func Own(dir string) (*Owner, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := inherit(f, dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return &Owner{f}, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrOwned
	}
	return nil, errors.Join(fmt.Errorf("lock of %s: %w", dir, err), f.Close())
}

// inherit gives the lock file to the owner of the directory when root made it.
func inherit(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// Release lets go of the directory.
func (o *Owner) Release() error { return o.file.Close() }

// retry is how long a process waits before it looks again whether the owner of
// the directory listens, or is gone.
const retry = 20 * time.Millisecond

// Await takes the lock of dir, waiting while a command that is soon done holds
// it. It fails with ErrOwned at once when a server listens there, and when ctx
// ends.
func Await(ctx context.Context, dir string) (*Owner, error) {
	for {
		o, err := Own(dir)
		if !errors.Is(err, ErrOwned) {
			return o, err
		}
		if running, dialErr := NewClient(dir).Running(ctx); running || dialErr != nil && ctx.Err() == nil {
			return nil, errors.Join(err, dialErr)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(retry):
		}
	}
}

// Reach returns a Caller for the work on dir: the server that runs on it, or
// else what open gives, in this process, while it owns dir. Close the closer
// when all calls are done. While neither is to be had, because the owner is
// about to listen or to end, Reach waits until ctx ends.
func Reach(ctx context.Context, dir string, open func() (Caller, io.Closer, error)) (Caller, io.Closer, error) {
	client := NewClient(dir)
	for {
		running, err := client.Running(ctx)
		if err != nil {
			return nil, nil, err
		}
		if running {
			return client, io.NopCloser(nil), nil
		}
		owner, err := Own(dir)
		if err == nil {
			local, closer, err := open()
			if err != nil {
				return nil, nil, errors.Join(err, owner.Release())
			}
			return local, &both{closer, owner}, nil
		}
		if !errors.Is(err, ErrOwned) {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%w and does not answer", err)
		case <-time.After(retry):
		}
	}
}

// both closes what was opened and then lets go of the directory.
type both struct {
	opened io.Closer
	owner  *Owner
}

func (b *both) Close() error { return errors.Join(b.opened.Close(), b.owner.Release()) }
