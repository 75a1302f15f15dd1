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
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is the small disk on which the server keeps everything.
const diskSize = 256 << 20

// smallDisk puts a file system of its own at dir/disk, so that it can be filled:
// ext4 in a file, or in memory where there are no loop devices. Without the right
// to mount it is a folder and never full.
func smallDisk(ctx context.Context, dir string, r *report) (unmount func() error, err error) {
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		return nil, err
	}
	nothing := func() error { return nil }
	if os.Geteuid() != 0 {
		r.leftOut("a full disk: mounting a small one needs root")
		return nothing, nil
	}
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, diskSize); err != nil {
		return nil, err
	}
	_, loopErr := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", image).CombinedOutput()
	if loopErr == nil {
		_, loopErr = exec.CommandContext(ctx, "mount", "-o", "loop", image, disk).CombinedOutput()
	}
	if loopErr != nil {
		if err := unix.Mount("torture", disk, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
			r.leftOut("a full disk: neither a loop device (%v) nor a file system in memory (%v) can be mounted", loopErr, err)
			return nothing, nil
		}
		r.note("the disk is in memory, since no loop device can be mounted: %v", loopErr)
	}
	r.hasDisk = true
	return func() error {
		var err error
		for range 50 {
			if err = unix.Unmount(disk, 0); !errors.Is(err, unix.EBUSY) {
				return err
			}
			time.Sleep(100 * time.Millisecond) // the kernel still lets go of a process that was killed
		}
		return errors.Join(err, unix.Unmount(disk, unix.MNT_DETACH))
	}, nil
}

// fill takes all room on the disk but a little, in a file of its own.
func (t *torture) fill(leave int64) (free func() error, err error) {
	disk := filepath.Join(t.dir, "disk")
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		return nil, err
	}
	free = func() error { return errors.Join(ballast.Close(), os.Remove(ballast.Name())) }
	var st unix.Statfs_t
	if err := unix.Statfs(disk, &st); err != nil {
		return free, err
	}
	// Root may use the blocks that are kept for it, and so may the server.
	room := int64(st.Bfree)*st.Bsize - leave
	if room > 0 {
		err = unix.Fallocate(int(ballast.Fd()), 0, 0, room)
		if errors.Is(err, syscall.ENOSPC) {
			err = nil // as full as it gets
		}
	}
	return free, err
}
