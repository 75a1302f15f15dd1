// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

// Command bench needs Linux: it counts what processes use by /proc.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it needs Linux, since it counts what processes use by /proc")
	os.Exit(2)
}
