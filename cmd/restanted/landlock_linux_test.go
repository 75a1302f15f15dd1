// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "golang.org/x/sys/unix"

// hasLandlock reports whether the kernel confines the server.
func hasLandlock() bool {
	// With a size of 0 and this flag the system call tells its version.
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0 && abi >= 2
}
