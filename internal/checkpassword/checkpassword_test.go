// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package checkpassword

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/passwords"
	"restante.example/maildrop"
	"restante.example/sasl"
)

// TestMain lets the test be its own reply program.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "reply" {
		os.Exit(Reply(os.Getenv))
	}
	os.Exit(m.Run())
}

// script makes a helper of a shell script.
func script(t *testing.T, text string) *Helper {
	t.Helper()
	name := filepath.Join(t.TempDir(), "helper")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Helper{Command: []string{name, "own"}, Reply: []string{self, "reply"}, Timeout: time.Minute, Slots: passwords.NewSlots(4, 4, nil)}
}

func ask(h *Helper, name, password string) (string, error) {
	v, err := h.Check(context.Background(), maildrop.Attempt{Name: name, Remote: netip.MustParseAddr("::ffff:192.0.2.7")}, name, sasl.Secret(password))
	return v.Name, err
}

// TestConvention: what the program gets, and what its end means.
func TestConvention(t *testing.T) {
	t.Setenv("SECRET_OF_THE_SERVER", "x")
	h := script(t, `seen=$(tr '\000' '|' <&3)
echo "$seen" > "$0.seen"
env | sort > "$0.env"
echo "$@" > "$0.args"
echo noise; echo noise >&2
case $seen in
"ana|right one|"*) shift; exec env USER=Ana@Example.org "$@" ;;
"bare|right one|"*) exit 0 ;;
"temp|"*) exit 111 ;;
"two|"*) exit 2 ;;
"killed|"*) kill -9 $$ ;;
esac
exit 1`)
	if name, err := ask(h, "ana", "right one"); err != nil || name != "Ana@Example.org" {
		t.Errorf("%q, %v", name, err)
	}
	read := func(what string) string {
		b, err := os.ReadFile(h.Command[0] + "." + what)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	fields := strings.Split(strings.TrimSuffix(read("seen"), "\n"), "|")
	if len(fields) != 4 || fields[0] != "ana" || fields[1] != "right one" || fields[3] != "" {
		t.Errorf("descriptor 3 had %q", fields)
	} else if at, err := strconv.ParseInt(fields[2], 10, 64); err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Hour {
		t.Errorf("the time is %q", fields[2])
	}
	if args := read("args"); args != "own "+strings.Join(h.Reply, " ")+"\n" {
		t.Errorf("arguments: %q", args)
	}
	env := read("env")
	if !strings.Contains(env, "TCPREMOTEIP=192.0.2.7\n") || !strings.Contains(env, "PROTO=TCP\n") || strings.Contains(env, "SECRET") {
		t.Errorf("environment: %s", env)
	}
	if name, err := ask(h, "bare", "right one"); err != nil || name != "" {
		t.Errorf("without a reply: %q, %v", name, err)
	}
	for name, wrong := range map[string]bool{"ana": true, "nobody": true, "temp": false, "two": false, "killed": false} {
		if _, err := ask(h, name, "wrong"); err == nil || errors.Is(err, maildrop.ErrCredentials) != wrong || strings.Contains(err.Error(), "noise") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, password := range []string{"a\x00right", strings.Repeat("x", 600)} {
		if _, err := ask(h, "ana", password); !errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("%d octets: %v", len(password), err)
		}
	}
}

// TestCannotTell: a helper that is not there, or misbehaves, says nothing about
// a password.
func TestCannotTell(t *testing.T) {
	missing := script(t, "")
	missing.Command = []string{"/nonexistent/helper"}
	for what, h := range map[string]*Helper{
		"missing":         missing,
		"noise for reply": script(t, `yes | head -c 4000 >&4`),
		"two replies":     script(t, `printf 'ana\000bea\000' >&4`),
		"half a reply":    script(t, `printf 'ana' >&4`),
	} {
		if name, err := ask(h, "ana", "x"); err == nil || errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("%s: %q, %v", what, name, err)
		}
	}
	// More than a pipe holds: it stays, and is killed in the end.
	h := script(t, `yes | head -c 10000000 >&4`)
	h.Timeout = 200 * time.Millisecond
	if name, err := ask(h, "ana", "x"); err == nil || errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("an endless reply: %q, %v", name, err)
	}
}

// TestTimeLimit: a helper that hangs is killed, and what it has started.
func TestTimeLimit(t *testing.T) {
	h := script(t, `sleep 1000 & echo $! > "$0.child"; echo $$ > "$0.pid"; wait`)
	h.Timeout = 3 * time.Second
	if _, err := ask(h, "ana", "x"); err == nil || errors.Is(err, maildrop.ErrCredentials) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("%v", err)
	}
	gone(t, h, "pid")
	gone(t, h, "child")

	h = script(t, `echo $$ > "$0.pid"; sleep 1000`)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for range 1000 {
			if b, err := os.ReadFile(h.Command[0] + ".pid"); err == nil && len(b) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond) // another process is waited for
		}
		cancel()
	}()
	if _, err := h.Check(ctx, maildrop.Attempt{}, "ana", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("the client went away: %v", err)
	}
	gone(t, h, "pid")

	// One that ends and leaves somebody behind with its descriptors is not waited for.
	h = script(t, `sleep 1000 & echo $! > "$0.child"; exit 0`)
	if _, err := ask(h, "ana", "x"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(h.Command[0] + ".child"); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it is ours, and may have ended
		}
	}
}

// gone waits until a process is no more, whose number a helper has written.
func gone(t *testing.T, h *Helper, what string) {
	t.Helper()
	b, err := os.ReadFile(h.Command[0] + "." + what)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return // nobody may be there to reap an orphan
		}
		time.Sleep(10 * time.Millisecond) // another process is waited for
	}
	t.Errorf("%s %d still runs", what, pid)
}

// TestNotTooManyAtOnce: more than there are slots wait, and more than the queue
// holds are told so.
func TestNotTooManyAtOnce(t *testing.T) {
	h := script(t, `touch "$0.$$.up"; while ! [ -e "$0.go" ]; do sleep 0.05; done; exit 0`)
	h.Slots = passwords.NewSlots(2, 1, nil)
	answers := make(chan error, 4)
	for range 3 {
		go func() { _, err := ask(h, "ana", "x"); answers <- err }()
	}
	for h.Slots.Waiting() != 1 || h.Slots.Taken() != 2 {
		time.Sleep(time.Millisecond) // the three are on their way
	}
	if _, err := ask(h, "ana", "x"); !errors.Is(err, passwords.ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	if up, err := filepath.Glob(h.Command[0] + ".*.up"); err != nil || len(up) > 2 {
		t.Errorf("%d run at once, %v", len(up), err)
	}
	if err := os.WriteFile(h.Command[0]+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}
