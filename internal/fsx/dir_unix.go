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

// otherOwner returns the owner of a directory when the process is root and the
// owner is not.
func otherOwner(info fs.FileInfo) *owner {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || st.Uid == 0 {
		return nil
	}
	return &owner{uid: int(st.Uid), gid: int(st.Gid)}
}

func syncDir(f *os.File) error {
	err := f.Sync()
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
	var st unix.Statfs_t
	for {
		err = unix.Fstatfs(int(f.Fd()), &st)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return Space{}, os.NewSyscallError("fstatfs", err)
	}
	return Space{Free: int64(st.Bavail) * int64(st.Bsize), Total: int64(st.Blocks) * int64(st.Bsize)}, nil
}
