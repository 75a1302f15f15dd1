// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package directory

import (
	"os"
	"syscall"
)

// inheritOwner gives a new file to the owner of its directory when root has
// made it.
func inheritOwner(f *os.File, dir string) error {
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
