// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package directory

import (
	"errors"
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

// syncDir makes the name of a new file durable; SQLite does so only for files
// that it makes itself.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
