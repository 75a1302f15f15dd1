// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sqlitejournal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0,
		new(windows.Overlapped))
	if err != nil {
		f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return f, nil
}

// syncDir does nothing: Windows keeps names in its own journal and offers no
// flush of a directory.
func syncDir(string) error { return nil }
