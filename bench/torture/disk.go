// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is the small disk on which the server keeps everything; hostSize is
// room for its image and for copies of that, taken as they are needed.
const (
	diskSize = 256 << 20
	hostSize = 4 << 30
)

// disk is the file system that the server's data lie on.
type disk struct {
	dir     string
	own     bool   // it is a small one of its own, which can be filled
	image   string // the file that it is in, or empty
	kind    string // the type of the file system in the image
	shared  string // where copies of the image share its blocks, or empty
	mounted []string
}

// smallDisk puts a file system of its own at dir/disk, so that it can be filled:
// in a file, or in memory where there are no loop devices. The file lies on an XFS
// of its own where there can be one, so that it can be copied in an instant as a
// power cut would leave it. Without the right to mount it is a folder and never full.
func smallDisk(ctx context.Context, dir, kind string, r *report) (*disk, error) {
	d := &disk{dir: filepath.Join(dir, "disk"), kind: kind}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		r.leftOut("a full disk, and power cuts: mounting a small disk needs root")
		return d, nil
	}
	host := filepath.Join(dir, "host")
	if err := os.Mkdir(host, 0o700); err != nil {
		return nil, err
	}
	if err := d.makeImage(ctx, host+".image", "xfs", hostSize, host); err == nil {
		d.shared = host
	} else {
		r.leftOut("power cuts: they need an XFS in a file, whose files can share blocks: %v", err)
	}
	image := filepath.Join(host, "image")
	if err := d.makeImage(ctx, image, kind, diskSize, d.dir); err == nil {
		d.image, d.own = image, true
	} else if kind != "ext4" {
		return d, fmt.Errorf("a disk with %s: %w", kind, err)
	} else if memory := d.mount(ctx, "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", diskSize), "torture", d.dir); memory == nil {
		d.own = true
		r.note("the disk is in memory, since no loop device can be mounted: %v", err)
	} else {
		r.leftOut("a full disk: neither a loop device (%v) nor a file system in memory (%v) can be mounted", err, memory)
	}
	return d, nil
}

// makeImage makes a file system in a file and mounts it.
func (d *disk) makeImage(ctx context.Context, image, kind string, size int64, at string) error {
	f, err := os.OpenFile(image, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	make := map[string][]string{
		"ext4":  {"mkfs.ext4", "-q", "-F"},
		"xfs":   {"mkfs.xfs", "-q", "-f", "-m", "reflink=1"},
		"btrfs": {"mkfs.btrfs", "-q", "-f", "--mixed"}, // in one kind of block group: it is small
	}[kind]
	if kind == "xfs" && size < 300<<20 {
		make = append(make, "--unsupported") // as it calls what is smaller than it likes
	}
	if out, err := exec.CommandContext(ctx, make[0], append(make[1:], image)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", make[0], err, bytes.TrimSpace(out))
	}
	return d.mount(ctx, "-o", "loop", image, at)
}

// mount mounts something, at its last argument, until unmount.
func (d *disk) mount(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "mount", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, bytes.TrimSpace(out))
	}
	d.mounted = append(d.mounted, args[len(args)-1])
	return nil
}

// unmount takes the disk away, and all that was mounted with it, the last first.
func (d *disk) unmount() error {
	var problems []error
	for _, at := range slices.Backward(d.mounted) {
		problems = append(problems, unmount(at))
	}
	d.mounted = nil
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

// fill takes all room on the disk but a little, in a file of its own.
func (t *torture) fill(leave int64) (free func() error, err error) {
	ballast, err := os.Create(filepath.Join(t.disk.dir, "ballast"))
	if err != nil {
		return nil, err
	}
	free = func() error { return errors.Join(ballast.Close(), os.Remove(ballast.Name())) }
	var st unix.Statfs_t
	if err := unix.Statfs(t.disk.dir, &st); err != nil {
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
