// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"restante.example/bench/volume"
)

// diskSize is the small disk on which the server keeps everything; hostSize is
// room for its image and for copies of that, taken as they are needed.
const (
	diskSize = 256 << 20
	hostSize = 4 << 30
)

// disk is the file system that the server's data lie on.
type disk struct {
	volume.Mounts
	dir    string
	own    bool   // it is a small one of its own, which can be filled
	image  string // the file that it is in, or empty
	kind   string // the type of the file system in the image
	shared string // where copies of the image share its blocks, or empty
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
	if err := d.Make(ctx, host+".image", "xfs", hostSize, host); err == nil {
		d.shared = host
	} else {
		r.leftOut("power cuts: they need an XFS in a file, whose files can share blocks: %v", err)
	}
	image := filepath.Join(host, "image")
	if err := d.Make(ctx, image, kind, diskSize, d.dir); err == nil {
		d.image, d.own = image, true
	} else if kind != "ext4" {
		return d, fmt.Errorf("a disk with %s: %w", kind, err)
	} else if memory := d.Mount(ctx, "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", diskSize), "torture", d.dir); memory == nil {
		d.own = true
		r.note("the disk is in memory, since no loop device can be mounted: %v", err)
	} else {
		r.leftOut("a full disk: neither a loop device (%v) nor a file system in memory (%v) can be mounted", err, memory)
	}
	return d, nil
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
