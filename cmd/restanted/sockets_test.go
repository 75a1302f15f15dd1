// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// freeAddress returns an address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// activated starts the server as systemd does when somebody connects to its
// sockets.
func activated(t *testing.T, names string, sockets []string, settings string) (dir string, stop func() string) {
	t.Helper()
	program := peers.Need(t, "systemd-socket-activate")
	dir = t.TempDir()
	file := filepath.Join(dir, "restanted.toml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--fdname=" + names, "-E", "HOME=" + dir, "-E", asRootVariable + "=yes"}
	for _, s := range sockets {
		args = append(args, "-l", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, append(args, installed(t), "serve", "--config", file,
		"--data", filepath.Join(dir, "data"), "--ready-file", filepath.Join(dir, "ready"))...)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() string {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
			_ = cmd.Wait()                          // what it said tells
		}
		return log.String()
	}
	t.Cleanup(func() { stop() })
	return dir, stop
}

// connect connects as soon as somebody listens.
func connect(t *testing.T, network, address string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial(network, address)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// The sockets of systemd are taken by their names, of each kind.
func TestSocketsOfSystemd(t *testing.T) {
	pop3, spare := freeAddress(t), freeAddress(t)
	// systemd-socket-activate takes a path as it is.
	lmtp := filepath.Join(t.TempDir(), "lmtp")
	dir, stop := activated(t, "plain:spare:mail", []string{pop3, spare, lmtp}, `
[listen]
pop3 = ["systemd:plain"]
pop3s = []
lmtp = ["systemd:mail"]
`)
	conn := connect(t, "tcp", pop3)
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 3)
	if _, err := conn.Read(greeting); err != nil || string(greeting) != "+OK" {
		t.Errorf("POP3 greets with %q, %v\n%s", greeting, err, stop())
	}
	in := connect(t, "unix", lmtp)
	if err := in.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Read(greeting); err != nil || string(greeting) != "220" {
		t.Errorf("LMTP greets with %q, %v\n%s", greeting, err, stop())
	}
	var ready readyFile
	text, err := os.ReadFile(filepath.Join(dir, "ready"))
	if err == nil {
		err = json.Unmarshal(text, &ready)
	}
	if err != nil || ready.POP3 != pop3 || ready.LMTP != "unix:"+lmtp {
		t.Errorf("the ready file says %+v, %v", ready, err)
	}
	log := stop()
	if !strings.Contains(log, "a socket that no listener asks for") || !strings.Contains(log, "name=spare") {
		t.Errorf("the log does not tell of the socket that is left over:\n%s", log)
	}
}

// What does not fit is said, with what to do.
func TestWrongSocketsOfSystemd(t *testing.T) {
	for _, test := range []struct{ names, listen, want string }{
		{"other", `pop3 = ["systemd:plain"]`, "it has given: other"},
	} {
		address := freeAddress(t)
		_, stop := activated(t, test.names, []string{address}, fmt.Sprintf("[listen]\npop3s = []\nlmtp = []\n%s\n", test.listen))
		conn := connect(t, "tcp", address)
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Read(make([]byte, 1)) // it ends with the server
		if log := stop(); !strings.Contains(log, test.want) {
			t.Errorf("%s: the log says\n%s", test.names, log)
		}
	}
	settings := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(settings, []byte("[listen]\npop3 = [\"systemd:plain\"]\npop3s = []\nlmtp = []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), installed(t), "serve", "--config", settings, "--data", t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "restanted.socket") {
		t.Errorf("without systemd: %v\n%s", err, out)
	}
}

// A socket that hands over connections, and one of datagrams, are no listeners.
func TestSocketsThatDoNotListen(t *testing.T) {
	for _, option := range []string{"--accept", "--datagram"} {
		program := peers.Need(t, "systemd-socket-activate")
		address := freeAddress(t)
		settings := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(settings, []byte("[listen]\npop3 = [\"systemd:x\"]\npop3s = []\nlmtp = []\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, program, option, "--fdname=x", "-E", "HOME="+t.TempDir(), "-E", asRootVariable+"=yes", "-l", address,
			installed(t), "serve", "--config", settings, "--data", filepath.Join(t.TempDir(), "data"))
		var log lockedLog
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		network := "tcp"
		if option == "--datagram" {
			network = "udp"
		}
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "no socket that listens"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s: the log says\n%s", option, log.String())
				break
			}
			if conn, err := net.Dial(network, address); err == nil {
				_, _ = conn.Write([]byte("x")) // it wakes the server
				_ = conn.Close()
			}
		}
		cancel()
		_ = cmd.Wait() // it was killed
	}
}

// lockedLog is written by a process and read by a test.
type lockedLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
