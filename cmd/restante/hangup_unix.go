// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"os"
	"syscall"
)

// hangUp are the signals that make restante run read its file again.
var hangUp = []os.Signal{syscall.SIGHUP}
