// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"fmt"
	"testing"
	"time"

	"restante.example/maildrop"
)

// BenchmarkPollOfDevices is a poll of one of several devices, each of which has
// removed a tenth of the messages, beside that of a maildrop without devices.
func BenchmarkPollOfDevices(b *testing.B) {
	n := 100_000
	if testing.Short() {
		n = 1000
	}
	for _, devices := range []int{0, 10} {
		b.Run(fmt.Sprintf("%d/%d", n, devices), func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, n, kinds[0].file)
			s := benchStore(b, dir)
			view := maildrop.Classic
			for i := range devices {
				view = maildrop.View(fmt.Sprint("device", i))
				if err := s.AddView(context.Background(), "u", view, time.Time{}); err != nil {
					b.Fatal(err)
				}
				sn, err := s.Open(context.Background(), "u", view)
				if err != nil {
					b.Fatal(err)
				}
				var tenth []int
				for n := i + 1; n <= sn.Len(); n += 10 {
					tenth = append(tenth, n)
				}
				if _, err := sn.Remove(context.Background(), tenth); err != nil {
					b.Fatal(err)
				}
				sn.Close()
			}
			time.Sleep(2 * tick) // What was changed just now is looked at once more.
			poll := func() {
				sn, err := s.Open(context.Background(), "u", view)
				if err != nil {
					b.Fatal(err)
				}
				goThrough(sn)
				sn.Close()
			}
			poll()
			b.ReportAllocs()
			for b.Loop() {
				poll()
			}
		})
	}
}
