// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

// Command torture needs Linux: mounts, strace, and /proc.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "torture: it needs Linux (mounts, strace, /proc)")
	os.Exit(2)
}
