// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"fmt"
	"io"
	"syscall"
	"testing"

	"restante.example/collect"
	"restante.example/internal/fsx/memfs"
	"restante.example/pop3server/pop3fault"
)

// TestDiskFailsAtEveryOperation lets each operation on the disk fail once, with
// its effect and without: the message stays on the server, the others go on,
// and the next run files what is missing, once.
func TestDiskFailsAtEveryOperation(t *testing.T) {
	for name, maker := range makers {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/done=%t", name, done), func(t *testing.T) {
				hit := 0
				for n := 1; ; n++ {
					disk := memfs.New(memfs.Options{})
					d, err := maker(disk)
					if err != nil {
						t.Fatal(err)
					}
					first := disk.Ops()
					server, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: crashMail})
					if err != nil {
						t.Fatal(err)
					}
					failed := false
					disk.Inject(func(op memfs.Op) *memfs.Fault {
						if op.N != first+n {
							return nil
						}
						failed = true
						return &memfs.Fault{Err: syscall.ENOSPC, Done: done}
					})
					var j collect.Memory
					a := account(server, d)
					a.Keep.Delete = true
					report, err := collect.Run(t.Context(), a, &j)
					if err != nil {
						t.Errorf("operation %d: %v", n, err)
					}
					disk.Inject(nil)
					if report.Left+report.Filed+report.Recovered != len(crashMail) || len(report.Warnings) == 0 && report.Left != len(report.Problems) {
						t.Errorf("operation %d: %+v", n, report)
					}
					if report, err = collect.Run(t.Context(), a, &j); err != nil || !report.Complete() {
						t.Errorf("operation %d, afterwards: %v, %+v", n, err, report)
					}
					counts := filed(t, disk.Crash(memfs.LoseAll()))
					for i, m := range crashMail {
						text, err := io.ReadAll(m.Open())
						if err != nil {
							t.Fatal(err)
						}
						if counts[string(text)] != 1 || !server.Records()[i].Deleted {
							t.Errorf("operation %d: message %d is there %d times, deleted %t", n, i+1, counts[string(text)], server.Records()[i].Deleted)
						}
					}
					server.Close()
					if !failed {
						break // there are no more operations
					}
					hit++
				}
				if hit < 40 {
					t.Errorf("only %d operations failed", hit)
				}
			})
		}
	}
}
