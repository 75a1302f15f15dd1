// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockRange tries to lock a whole file, which on Windows keeps others from
// reading it too.
func lockRange(f *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0,
		^uint32(0), ^uint32(0), new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// alive reports whether there is a process.
func alive(pid int) bool {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return errors.Is(err, windows.ERROR_ACCESS_DENIED)
	}
	// The handle was for asking only.
	_ = windows.CloseHandle(h)
	return true
}
