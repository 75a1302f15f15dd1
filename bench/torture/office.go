// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const password = "torture-Passw0rd"

// office is restanted, in one life after the other, always at the same addresses.
type office struct {
	program, dir, data string
	pop3, pop3s, lmtp  string
	env                []string
	report             *report
	tls                *tls.Config // once it has run

	mu   sync.Mutex
	life *life
}

// life is one process.
type life struct {
	cmd   *exec.Cmd
	pid   int    // of the server, which is not the command where it has a clock of its own
	clock *clock // nil where it has that of the machine
	log   string
	ended chan struct{} // closed when it has ended and was waited for
	// sentenced is set before we end it; else its end is its own.
	sentenced bool
	// frail is set when its end is no fault of its own, because the runtime of Go
	// gives up when the descriptors fail that it needs for itself.
	frail bool
}

const serverConfig = `
[timeouts]
drain = "3s"
[limits]
lmtp_sessions = 200
`

func newOffice(ctx context.Context, dir, data, bin string, o options, r *report) (*office, error) {
	f := &office{program: filepath.Join(bin, "restanted"), dir: dir, data: data, report: r}
	f.env = append(os.Environ(), "RESTANTE_FAULT="+o.faults)
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(time.Now().UnixNano()))) // ports are no part of the seed
	for _, a := range []*string{&f.pop3, &f.pop3s, &f.lmtp} {
		var err error
		if *a, err = quietAddress(rng); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(f.config(), []byte(serverConfig), 0o600); err != nil {
		return nil, err
	}
	return f, os.MkdirAll(f.data, 0o700)
}

func (f *office) config() string { return filepath.Join(f.dir, "restanted.toml") }

// quietAddress returns a loopback address below the ports that the kernel gives
// to clients, so that no client sits on it while the server is down.
func quietAddress(rng *rand.Rand) (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+rng.IntN(20000)))
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no free port was found")
}

// addUser makes a user while the server is down.
func (f *office) addUser(ctx context.Context, name string) error {
	add := exec.CommandContext(ctx, f.program, "user", "add", name, "--password-stdin", "--data", f.data)
	add.Env, add.Stdin = f.env, strings.NewReader(password+"\n")
	if out, err := add.CombinedOutput(); err != nil {
		return fmt.Errorf("user add: %w\n%s", err, out)
	}
	return nil
}

// start begins a life and waits until it answers.
func (f *office) start(ctx context.Context) error { return f.begin(ctx, false) }

// startUnderClock is start with a clock that can be set.
func (f *office) startUnderClock(ctx context.Context) error { return f.begin(ctx, true) }

func (f *office) begin(ctx context.Context, ownClock bool) error {
	n := f.report.count("server starts", 1)
	l := &life{log: filepath.Join(f.dir, fmt.Sprintf("log.%d", n)), ended: make(chan struct{})}
	out, err := os.Create(l.log)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	l.cmd = exec.Command(f.program, "serve", "--insecure-serve-as-root", "--config", f.config(), "--data", f.data,
		"--pop3", f.pop3, "--pop3s", f.pop3s, "--lmtp", f.lmtp)
	l.cmd.Env, l.cmd.Stdout, l.cmd.Stderr = f.env, out, out
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	pid := func() (int, error) { return l.cmd.Process.Pid, nil }
	if ownClock {
		if l.clock, pid, err = underClock(l.cmd); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := l.cmd.Start(); err != nil {
		return err
	}
	if l.pid, err = pid(); err != nil {
		return errors.Join(err, l.cmd.Process.Kill(), l.cmd.Wait())
	}
	f.mu.Lock()
	f.life = l
	f.mu.Unlock()
	go f.attend(l)
	for {
		c, err := net.DialTimeout("tcp", f.pop3, 5*time.Second)
		if err == nil {
			_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // a failure shows in the read
			greeting := make([]byte, 3)
			_, err = c.Read(greeting)
			_ = c.Close() // it said what it had to
			if err == nil && string(greeting) == "+OK" {
				break
			}
		}
		select {
		case <-l.ended:
			return errors.New("the server ended while it started")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
		if time.Since(began) > time.Minute {
			return errors.New("the server did not come back within a minute")
		}
	}
	f.report.restarted(time.Since(began))
	return f.trust()
}

// trust reads the certificate that the server has made for itself.
func (f *office) trust() error {
	if f.tls != nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(f.data, "tls", "self-signed.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return errors.New("the server's certificate cannot be read")
	}
	f.tls = &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"pop3"}}
	return nil
}

// attend waits for the end of a life and looks at what it leaves.
func (f *office) attend(l *life) {
	watch := time.NewTicker(100 * time.Millisecond)
	defer watch.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			f.report.memory(peakOf(l.pid))
			select {
			case <-l.ended:
				return
			case <-watch.C:
			}
		}
	}()
	err := l.cmd.Wait()
	f.mu.Lock()
	sentenced, frail := l.sentenced, l.frail
	f.mu.Unlock()
	text, readErr := os.ReadFile(l.log)
	if readErr != nil {
		f.report.note("the log of a server cannot be read: %v", readErr)
	}
	crashed := crash(text)
	switch {
	case frail && !sentenced:
		f.report.count("servers ended by the runtime of Go, whose own write failed", 1)
	case !sentenced:
		f.report.broken("the server ended by itself: %v: %s", err, crashed)
	case crashed != "" && !frail:
		f.report.broken("the server's log: %s", crashed)
	}
	close(l.ended)
	<-done
}

// crash returns what in a log should never be there.
func crash(log []byte) string {
	for _, sign := range []string{"panic", "fatal error", "DATA RACE", "unexpected fault"} {
		if i := bytes.Index(log, []byte(sign)); i >= 0 {
			return string(log[i:min(len(log), i+1500)])
		}
	}
	return ""
}

func (f *office) current() *life {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.life
}

// pid is that of the current life.
func (f *office) pid() int { return f.current().pid }

// signal sends one to the current life, unless it has ended.
func (f *office) signal(s syscall.Signal) {
	l := f.current()
	err := l.cmd.Process.Signal(syscall.Signal(0)) // a command that has ended may have lent its number to another
	if err == nil {
		err = syscall.Kill(l.pid, s)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		f.report.note("signal %v: %v", s, err)
	}
}

// end ends the current life by a signal and waits for it.
func (f *office) end(s syscall.Signal) {
	l := f.current()
	if l == nil {
		return
	}
	f.mu.Lock()
	l.sentenced = true
	f.mu.Unlock()
	f.signal(s)
	select {
	case <-l.ended:
	case <-time.After(20 * time.Second):
		f.report.broken("the server did not end on %v within 20 seconds", s)
		f.signal(syscall.SIGKILL)
		<-l.ended
	}
}

// up brings the server back if it has ended.
func (f *office) up(ctx context.Context) error {
	select {
	case <-f.current().ended:
		return f.start(ctx)
	default:
		return nil
	}
}

// frail says whether the end of the current life would be its own fault.
func (f *office) frail() {
	l := f.current()
	f.mu.Lock()
	defer f.mu.Unlock()
	l.frail = true
}

func (f *office) close() {
	if f.current() != nil {
		f.end(syscall.SIGKILL)
	}
}

// peakOf returns the most memory that a process had, in octets, or 0 if it has ended.
func peakOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // it has ended
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err == nil {
				return kb << 10
			}
		}
	}
	return 0
}
