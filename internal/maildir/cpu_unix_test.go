// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package maildir

import (
	"syscall"
	"testing"
	"time"
)

// reportCPU adds the CPU time of an iteration to a benchmark: on a machine that
// others use, it is the solid figure. Call the result when the loop has ended.
func reportCPU(b *testing.B) func() {
	start := cpu(b)
	return func() {
		b.ReportMetric(float64((cpu(b)-start).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
