// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/config"
)

// manager is a service manager that listens.
func manager(t *testing.T) (conn *net.UnixConn, getenv func(string) string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	env := map[string]string{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())}
	return conn, func(name string) string { return env[name] }
}

// hear returns what the manager is told next.
func hear(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// A server that answers tells so again and again, and after that it stops in
// good order.
func TestWatchdogOfALivingServer(t *testing.T) {
	conn, getenv := manager(t)
	c := testConfig(t, config.Flags{})
	signals, ended := make(chan os.Signal), make(chan error)
	log := &logBuffer{}
	go func() {
		ended <- Run(context.Background(), c, RunOptions{Log: NewLog(log, c), Version: "test", Signals: signals, Getenv: getenv, InsecureAsRoot: true})
	}()
	for alive := 0; alive < 3; {
		if hear(t, conn) == notifyWatchdog {
			alive++
		}
	}
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "does not answer itself") {
		t.Errorf("the log says\n%s", log)
	}
}

// One that accepts nothing is not said to be alive, however well its timers run.
func TestWatchdogOfAServerThatHangs(t *testing.T) {
	conn, getenv := manager(t)
	c := testConfig(t, config.Flags{})
	log := &logBuffer{}
	s, err := Open(t.Context(), c, NewLog(log, c), "test") // and nobody serves
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx, &RunOptions{Getenv: getenv}, watchdogEvery(getenv))
	}()
	for deadline := time.Now().Add(20 * time.Second); strings.Count(log.String(), "does not answer itself") < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody notices that it hangs:\n%s", log)
		}
	}
	stop()
	<-watched
	if err := conn.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the service manager was told something: %d octets, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The watchdog is for the process that is named, and off without a time.
func TestWatchdogEvery(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"60000000", own, 30 * time.Second}, {"60000000", "", 30 * time.Second}, {"60000000", "1", 0},
		{"", own, 0}, {"0", own, 0}, {"-5", own, 0}, {"soon", own, 0},
	} {
		got := watchdogEvery(func(name string) string {
			return map[string]string{"WATCHDOG_USEC": test.usec, "WATCHDOG_PID": test.pid}[name]
		})
		if got != test.want {
			t.Errorf("%+v: every %v", test, got)
		}
	}
}
