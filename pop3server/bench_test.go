// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

// The benchmarks measure the server alone: the client is another process (this
// test binary, run again), so that CPU figures are those of the server.

// bench serves an office and runs the named client program against it in a
// process of its own, measuring the CPU time of this one.
func bench(b *testing.B, o *pop3mem.Store, secure bool, program string, args ...string) {
	b.Helper()
	opt := withTLS(o)
	s := pop3server.New(opt)
	addr := listen(b, func(l net.Listener) error {
		if secure {
			return s.ServeTLS(l)
		}
		return s.Serve(l)
	})
	b.Cleanup(func() { s.Close() })
	runtime.GC()
	before := cpu(b)
	b.ResetTimer()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchmarkClient$")
	cmd.Env = append(os.Environ(), "BENCH_CLIENT="+strings.Join(append([]string{program, addr, fmt.Sprint(secure), fmt.Sprint(b.N)}, args...), ","))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	b.StopTimer()
	used := cpu(b) - before
	b.ReportMetric(float64(used.Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// TestBenchmarkClient is the client program of the benchmarks.
func TestBenchmarkClient(t *testing.T) {
	what := os.Getenv("BENCH_CLIENT")
	if what == "" {
		t.Skip("the benchmarks run it: go test -bench .")
	}
	words := strings.Split(what, ",")
	secure := words[2] == "true"
	var n, messages int
	fmt.Sscan(words[3], &n)
	connect := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", words[1])
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		return conn, bufio.NewReaderSize(conn, 64<<10)
	}
	var conn net.Conn
	var r *bufio.Reader
	expect := func(end string) {
		for {
			line, err := r.ReadSlice('\n')
			if err != nil && err != bufio.ErrBufferFull {
				t.Fatal(err)
			}
			if end == "" || string(line) == end {
				return
			}
		}
	}
	say := func(s string) { io.WriteString(conn, s) }
	signIn := func() {
		conn, r = connect()
		expect("")
		say("USER ana\r\n")
		expect("")
		say("PASS secret\r\n")
		expect("")
	}
	switch words[0] {
	case "session":
		for range n {
			signIn()
			say("STAT\r\n")
			expect("")
			say("QUIT\r\n")
			expect("")
			conn.Close()
		}
	case "retr", "retr-singly":
		fmt.Sscan(words[4], &messages)
		for range n {
			signIn()
			ahead := 32
			if words[0] == "retr-singly" {
				ahead = 1
			}
			for i := 1; i <= messages; i += ahead {
				var b strings.Builder
				for j := i; j < i+ahead; j++ {
					fmt.Fprintf(&b, "RETR %d\r\n", j)
				}
				say(b.String())
				for range ahead {
					expect(".\r\n")
				}
			}
			say("QUIT\r\n")
			expect("")
			conn.Close()
		}
	case "list", "poll":
		signIn()
		for range n {
			if words[0] == "poll" {
				say("UIDL\r\n")
				expect(".\r\n")
			}
			say("LIST\r\n")
			expect(".\r\n")
		}
		conn.Close()
	}
}

func secureOrNot(b *testing.B, run func(b *testing.B, secure bool)) {
	b.Run("plain", func(b *testing.B) { run(b, false) })
	b.Run("tls", func(b *testing.B) { run(b, true) })
}

// BenchmarkSession is connecting, USER, PASS, STAT and QUIT.
func BenchmarkSession(b *testing.B) {
	secureOrNot(b, func(b *testing.B, secure bool) { bench(b, office(b, "a\n\n1\n"), secure, "session") })
}

// BenchmarkRetr is 992 messages of 130 KB, 129 MB in all, with 32 RETR ahead.
func BenchmarkRetr(b *testing.B) {
	letter := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 130_000/78)
	o := office(b)
	for range 992 {
		put(b, o, "ana", letter)
	}
	secureOrNot(b, func(b *testing.B, secure bool) {
		b.SetBytes(992 * int64(len(letter)))
		bench(b, o, secure, "retr", "992")
	})
}

// BenchmarkRetrSingly is 992 messages of 1 KB, one command at a time.
func BenchmarkRetrSingly(b *testing.B) {
	o := office(b)
	for range 992 {
		put(b, o, "ana", "Subject: x\r\n\r\n"+strings.Repeat("x\r\n", 330))
	}
	secureOrNot(b, func(b *testing.B, secure bool) { bench(b, o, secure, "retr-singly", "992") })
}

// rows is a snapshot of many messages that costs nothing itself.
type rows struct {
	maildrop.Snapshot
	n int
}

func (r rows) Len() int      { return r.n }
func (r rows) Octets() int64 { return int64(r.n) * 5000 }
func (rows) Info(int) maildrop.Info {
	return maildrop.Info{UID: "1700000000.M123456P7890.example", Size: 5000}
}

// BenchmarkListing is UIDL and LIST of 100,000 messages within a session.
func BenchmarkListing(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := office(b)
			opt := options(o)
			opt.Store = storeOf(o, func(s maildrop.Snapshot) maildrop.Snapshot { return rows{s, n} })
			s := serve(b, opt)
			mine, theirs := net.Pipe()
			go s.ServeConn(context.Background(), theirs, false)
			c := newClient(b, mine).signIn()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				c.raw("UIDL\r\nLIST\r\n")
				for seen := 0; seen < 2; {
					line, err := c.r.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if string(line) == ".\r\n" {
						seen++
					}
				}
			}
		})
	}
}

// BenchmarkIdleSession is what the process holds for a signed-in session that
// is idle: heap and stacks, in octets.
func BenchmarkIdleSession(b *testing.B) {
	secureOrNot(b, func(b *testing.B, secure bool) {
		const sessions = 1000
		o := pop3mem.New(nil)
		for i := range sessions {
			o.AddUser(fmt.Sprint("u", i), "secret")
		}
		opt := withTLS(o)
		opt.Limits.PerAddress = -1
		s := pop3server.New(opt)
		addr := listen(b, func(l net.Listener) error {
			if secure {
				return s.ServeTLS(l)
			}
			return s.Serve(l)
		})
		b.Cleanup(func() { s.Close() })
		used := func() float64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc + m.StackInuse)
		}
		for range b.N {
			before := used()
			cmd := exec.Command(os.Args[0], "-test.run=^TestBenchmarkIdlers$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("BENCH_IDLERS=%s,%v,%d", addr, secure, sessions))
			in, err := cmd.StdinPipe()
			if err != nil {
				b.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
				b.Fatalf("the clients said %q: %v", line, err)
			}
			time.Sleep(time.Second) // let the sessions come to rest
			b.ReportMetric((used()-before)/sessions, "octets/session")
			in.Close()
			if err := cmd.Wait(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestBenchmarkIdlers is the client program of BenchmarkIdleSession.
func TestBenchmarkIdlers(t *testing.T) {
	what := os.Getenv("BENCH_IDLERS")
	if what == "" {
		t.Skip("the benchmarks run it: go test -bench .")
	}
	words := strings.Split(what, ",")
	var n int
	fmt.Sscan(words[2], &n)
	for i := range n {
		conn, err := net.Dial("tcp", words[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if words[1] == "true" {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		r := bufio.NewReader(conn)
		for _, say := range []string{"", fmt.Sprintf("USER u%d\r\n", i), "PASS secret\r\n", "STAT\r\n"} {
			io.WriteString(conn, say)
			if line, err := r.ReadString('\n'); err != nil || line[0] != '+' {
				t.Fatal(line, err)
			}
		}
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
