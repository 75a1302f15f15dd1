// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"syscall"

	"golang.org/x/sys/unix"

	"restante.example/internal/fsx"
)

// startWriting lets the kernel begin to write a file, without waiting. When
// that has been done for many files, the flush of the first one commits them
// all, and those of the others find nothing left to do. It is help only: Sync
// is what counts, so errors are passed over.
func startWriting(f fsx.File) {
	file, ok := f.(syscall.Conn)
	if !ok {
		return
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
}
