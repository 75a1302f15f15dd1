// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// text is a message with LF line ends.
var text = strings.Repeat("Received: from a by b with LMTP; some more words here\n", 30)

// kinds of mail that benchmarks meet.
var kinds = []struct {
	name string
	file func(i int) (name, text string)
}{
	{"own", func(i int) (string, string) {
		data := strings.ReplaceAll(text, "\n", "\r\n")
		b := newName(time.Unix(1700000000+int64(i), 0), 7, uint64(i), uint32(i), "host")
		return "new/" + fullName(b, int64(len(data)), crc32.Checksum([]byte(data), castagnoli), false), data
	}},
	{"dovecot", func(i int) (string, string) {
		return fmt.Sprintf("cur/%d.M%dP7.host,S=%d,W=%d:2,S", 1700000000+i, i%1000000, len(text), len(text)+strings.Count(text, "\n")), text
	}},
	{"unknown", func(i int) (string, string) {
		return fmt.Sprintf("new/%d.V801I%xM%d.host", 1700000000+i, i, i%1000000), text
	}},
}

// fill makes maildrop u with n files.
func fill(b *testing.B, dir string, n int, file func(i int) (name, text string)) {
	b.Helper()
	root := filepath.Join(dir, "mail/u/Maildir")
	for _, d := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		name, text := file(i)
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func sizes() []int {
	if testing.Short() {
		return []int{100, 1000}
	}
	return []int{100, 1000, 10_000, 100_000}
}

func benchStore(b *testing.B, dir string) *Store {
	f, err := fsx.Dir(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return storeOn(b, f, time.Now)
}

// goThrough goes through a listing, as STAT, UIDL and LIST do.
func goThrough(sn maildrop.Snapshot) (octets int64) {
	for n := 1; n <= sn.Len(); n++ {
		info := sn.Info(n)
		octets += info.Size + int64(len(info.UID))
	}
	return octets
}

func mustOpen(b *testing.B, s *Store) maildrop.Snapshot {
	sn, err := s.Open(context.Background(), "u", maildrop.Classic)
	if err != nil {
		b.Fatal(err)
	}
	return sn
}

// BenchmarkOpenFirst is the first session ever: no index.
func BenchmarkOpenFirst(b *testing.B) {
	for _, kind := range kinds {
		for _, n := range sizes() {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				dir := b.TempDir()
				fill(b, dir, n, kind.file)
				defer reportCPU(b)()
				for b.Loop() {
					s := benchStore(b, dir)
					sn := mustOpen(b, s)
					if sn.Len() != n {
						b.Fatalf("%d messages", sn.Len())
					}
					goThrough(sn)
					sn.Close()
				}
			})
		}
	}
}

// BenchmarkOpenRestarted is the first session after a restart, with the index.
func BenchmarkOpenRestarted(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, n, kinds[2].file)
			time.Sleep(coarseTick) // What was written just now is not put into an index.
			s := benchStore(b, dir)
			mustOpen(b, s).Close()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			defer reportCPU(b)()
			for b.Loop() {
				s := benchStore(b, dir)
				sn := mustOpen(b, s)
				goThrough(sn)
				sn.Close()
			}
		})
	}
}

// BenchmarkPoll is a session that finds what the one before found.
func BenchmarkPoll(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, n, kinds[0].file)
			s := benchStore(b, dir)
			mustOpen(b, s).Close()
			time.Sleep(2 * tick)
			mustOpen(b, s).Close()
			b.ReportAllocs()
			for b.Loop() {
				sn := mustOpen(b, s)
				goThrough(sn)
				sn.Close()
			}
		})
	}
}

// BenchmarkPollAfterDelivery is a session after one delivery; only the session
// is timed.
func BenchmarkPollAfterDelivery(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, n, kinds[0].file)
			s := benchStore(b, dir)
			mustOpen(b, s).Close()
			time.Sleep(2 * tick)
			mustOpen(b, s).Close()
			var spent time.Duration
			for b.Loop() {
				if err := tryDeliver(s, "u", text); err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				mustOpen(b, s).Close()
				spent += time.Since(start)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/open")
		})
	}
}

// BenchmarkDeliver is durable deliveries, one or sixteen at once, into one
// maildrop or into many.
func BenchmarkDeliver(b *testing.B) {
	for _, at := range []int{1, 16} {
		for _, drops := range []int{1, 16} {
			if at == 1 && drops > 1 {
				continue
			}
			b.Run(fmt.Sprintf("at-once-%d/maildrops-%d", at, drops), func(b *testing.B) {
				s := benchStore(b, b.TempDir())
				var next atomic.Int64
				b.SetParallelism(max(at/2, 1))
				work := func() {
					id := maildrop.ID(fmt.Sprintf("u%d", next.Add(1)%int64(drops)))
					if err := tryDeliver(s, id, text); err != nil {
						b.Error(err)
					}
				}
				if at == 1 {
					for b.Loop() {
						work()
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						work()
					}
				})
			})
		}
	}
}

// BenchmarkMessage streams messages; SetBytes tells octets a second.
func BenchmarkMessage(b *testing.B) {
	for _, size := range []int{2 << 10, 60 << 10, 10 << 20} {
		for _, own := range []bool{true, false} {
			b.Run(fmt.Sprintf("octets-%d/own-%t", size, own), func(b *testing.B) {
				dir := b.TempDir()
				data := strings.Repeat(text, size/len(text)+1)[:size]
				s := benchStore(b, dir)
				if own {
					fill(b, dir, 0, nil)
					if err := tryDeliver(s, "u", data); err != nil {
						b.Fatal(err)
					}
				} else {
					fill(b, dir, 1, func(int) (string, string) { return "new/1.host", data })
				}
				sn := mustOpen(b, s)
				defer sn.Close()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					r, err := sn.Message(context.Background(), 1)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					if err := r.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkRemove is a QUIT that removes all of 1,000 messages, each read before.
func BenchmarkRemove(b *testing.B) {
	const n = 1000
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		fill(b, dir, n, kinds[0].file)
		s := benchStore(b, dir)
		sn := mustOpen(b, s)
		b.StartTimer()
		for i := range all {
			r, err := sn.Message(context.Background(), i+1)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
		if _, err := sn.Remove(context.Background(), all); err != nil {
			b.Fatal(err)
		}
		sn.Close()
	}
}

// BenchmarkIdleSessions tells what an open session of its own maildrop with ten
// messages keeps in memory, after it has read one of them.
func BenchmarkIdleSessions(b *testing.B) {
	const n = 2000
	for b.Loop() {
		b.StopTimer()
		c := newClock()
		dir := b.TempDir()
		f, err := fsx.Dir(dir)
		if err != nil {
			b.Fatal(err)
		}
		s := storeOn(b, f, c.Now)
		s.opt.InsecureNoFlush = true
		for i := range n {
			for range 10 {
				if err := tryDeliver(s, maildrop.ID(fmt.Sprintf("u%d", i)), "x"); err != nil {
					b.Fatal(err)
				}
			}
		}
		s = storeOn(b, f, c.Now)
		before := heap()
		b.StartTimer()
		open := make([]maildrop.Snapshot, n)
		for i := range n {
			sn, err := s.Open(context.Background(), maildrop.ID(fmt.Sprintf("u%d", i)), maildrop.Classic)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := readAll(sn, 1); err != nil {
				b.Fatal(err)
			}
			open[i] = sn
		}
		b.ReportMetric(float64(heap()-before)/n, "octets/session")
		for _, sn := range open {
			sn.Close()
		}
		f.Close()
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
