// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import (
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

const nonblock = 0

// identity: Windows tells an inode only for an open handle, and no change time.
func identity(fs.FileInfo) (inode uint64, changed int64) { return 0, 0 }

func ownerOf(fs.FileInfo) *owner { return nil }

// syncDir does nothing: NTFS keeps names in its own journal, and a directory
// cannot be flushed without rights that a user does not have.
func syncDir(*os.File) error { return nil }

func space(root *os.Root) (Space, error) {
	name, err := windows.UTF16PtrFromString(root.Name())
	if err != nil {
		return Space{}, err
	}
	var free, total uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, &total, nil); err != nil {
		return Space{}, os.NewSyscallError("GetDiskFreeSpaceEx", err)
	}
	return Space{Free: int64(free), Total: int64(total)}, nil
}
