// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package volume mounts file systems that lie in files. It needs root, and
// mkfs of the kind.
package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Mounts are file systems to be unmounted together. The zero value has none.
// Not for use by several goroutines at once.
type Mounts struct{ at []string }

// Make makes a file system of a kind ("ext4", "xfs" or "btrfs") and of so many
// octets in a new file, and mounts it at a folder. The file takes up what is
// written to it, and stays when the file system is unmounted.
func (m *Mounts) Make(ctx context.Context, image, kind string, size int64, at string) error {
	f, err := os.OpenFile(image, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	make := map[string][]string{
		// All is written now: the kernel would else do it in the background later.
		"ext4":  {"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"},
		"xfs":   {"mkfs.xfs", "-q", "-f", "-m", "reflink=1"},
		"btrfs": {"mkfs.btrfs", "-q", "-f", "--mixed"}, // in one kind of block group: it is small
	}[kind]
	if kind == "xfs" && size < 300<<20 {
		make = append(make, "--unsupported") // as it calls what is smaller than it likes
	}
	if out, err := exec.CommandContext(ctx, make[0], append(make[1:], image)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", make[0], err, bytes.TrimSpace(out))
	}
	return m.Mount(ctx, "-o", "loop", image, at)
}

// Mount mounts something, at its last argument.
func (m *Mounts) Mount(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "mount", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, bytes.TrimSpace(out))
	}
	m.at = append(m.at, args[len(args)-1])
	return nil
}

// Unmount takes all away that was mounted, the last first.
func (m *Mounts) Unmount() error {
	var problems []error
	for _, at := range slices.Backward(m.at) {
		problems = append(problems, unmount(at))
	}
	m.at = nil
	return errors.Join(problems...)
}

func unmount(at string) error {
	var err error
	for range 50 {
		if err = unix.Unmount(at, 0); !errors.Is(err, unix.EBUSY) {
			return err
		}
		time.Sleep(100 * time.Millisecond) // the kernel still lets go of a process that was killed
	}
	return errors.Join(err, unix.Unmount(at, unix.MNT_DETACH))
}
