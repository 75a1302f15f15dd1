// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package accounts

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// checkTrust refuses a file whose commands somebody else could have written.
func checkTrust(info fs.FileInfo) error {
	owner := 0
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(stat.Uid)
	}
	return trust(info.Mode(), owner, os.Geteuid())
}

// trust is checkTrust for a process that runs as user. security.md, Client 9:
// restante delivers as root only where root has said so.
func trust(mode fs.FileMode, owner, user int) error {
	switch {
	case mode.Perm()&0o002 != 0:
		return errors.New("everybody can change this file, and so run commands as you; chmod go-w it")
	case user == 0 && owner != 0:
		return errors.New("this file is another user's, and its commands would run as root; run restante as that user, or chown the file to root")
	}
	return nil
}

// private reports whether only the owner can read a file.
func private(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }
