// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package pop3server_test

import (
	"syscall"
	"testing"
	"time"
)

// cpu returns the CPU time of this process so far.
func cpu(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
