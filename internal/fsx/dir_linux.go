// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import (
	"io/fs"
	"syscall"
)

func identity(info fs.FileInfo) (inode uint64, changed int64) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0
	}
	return uint64(st.Ino), st.Ctim.Nano()
}
