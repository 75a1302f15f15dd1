// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"fmt"
	"path/filepath"
	"testing"

	"restante.example/collect"
	"restante.example/collect/sqlitejournal"
	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

// BenchmarkCollect is a whole collection over TCP into a Maildir, with the
// journal in SQLite and every flush, and then an empty poll.
func BenchmarkCollect(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		server, err := pop3fault.Start(b.Context(), &pop3fault.Options{Messages: pop3fault.Numbered(n, 2000)})
		if err != nil {
			b.Fatal(err)
		}
		defer server.Close()
		account := func(dir string) collect.Account {
			d, err := Open("maildir:"+filepath.Join(dir, "Maildir"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			return collect.Account{
				ID: "a", Dial: collect.DialInsecure(server.Address()), Credentials: collect.Password("u1", "secret"),
				Options: pop3client.Options{InsecureLocalPassword: true}, Destinations: []collect.Destination{d},
			}
		}
		collected := func(dir string) int {
			j, err := sqlitejournal.Open(b.Context(), filepath.Join(dir, "journal"))
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			report, err := collect.Run(b.Context(), account(dir), j)
			if err != nil || !report.Complete() {
				b.Fatal(err, report)
			}
			return report.Filed
		}
		b.Run(fmt.Sprintf("all-%d", n), func(b *testing.B) {
			for b.Loop() {
				if got := collected(b.TempDir()); got != n {
					b.Fatal(got)
				}
			}
		})
		b.Run(fmt.Sprintf("poll-%d", n), func(b *testing.B) {
			dir := b.TempDir()
			collected(dir)
			for b.Loop() {
				if got := collected(dir); got != 0 {
					b.Fatal(got)
				}
			}
		})
	}
}
