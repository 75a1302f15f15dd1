// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd

package fsx

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const nonblock = syscall.O_NONBLOCK

// ownerOf is otherOwner of a directory.
func ownerOf(info fs.FileInfo) *owner {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return otherOwner(int(st.Uid), int(st.Gid))
}

// otherOwner returns the owner of a directory when the process is root and the
// owner is not.
func otherOwner(uid, gid int) *owner {
	if os.Geteuid() != 0 || uid == 0 {
		return nil
	}
	return &owner{uid: uid, gid: gid}
}

func syncDir(f *os.File) error { return syncError(f.Sync()) }

// syncError is the error of a directory flush.
func syncError(err error) error {
	// Some network file systems have no directory flush and are synchronous.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

func space(root *os.Root) (Space, error) {
	f, err := root.Open(".")
	if err != nil {
		return Space{}, err
	}
	defer f.Close()
	return spaceOf(int(f.Fd()))
}

// spaceOf is the room of the file system that a file is on.
func spaceOf(fd int) (Space, error) {
	var st unix.Statfs_t
	err := unix.Fstatfs(fd, &st)
	for err == unix.EINTR {
		err = unix.Fstatfs(fd, &st)
	}
	if err != nil {
		return Space{}, os.NewSyscallError("fstatfs", err)
	}
	return Space{Free: int64(st.Bavail) * int64(st.Bsize), Total: int64(st.Blocks) * int64(st.Bsize)}, nil
}
