// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package destinations

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockRange tries to lock a whole file by fcntl.
func lockRange(f *os.File) (bool, error) {
	err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	return err == nil, err
}

// alive reports whether there is a process.
func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}
