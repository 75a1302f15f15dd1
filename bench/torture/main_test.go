// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// TestMain lets the program of the tests be what the command starts itself as, and
// a program that tells the time.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && (os.Args[1] == clockTracer || os.Args[1] == clockStage) {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	if os.Getenv("TORTURE_TELL_TIME") != "" {
		for range 200 {
			fmt.Println(time.Now().Unix())
			time.Sleep(20 * time.Millisecond)
		}
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// tortured runs the command with troubles that need no rights, and returns its
// exit status and its report.
func tortured(t *testing.T, args ...string) (status int, report string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report.md")
	var stdout, stderr bytes.Buffer
	args = append([]string{"-only", "kill,SIGHUP,SIGSTOP,clock", "-first", "-out", out}, args...)
	status = run(t.Context(), args, &stdout, &stderr)
	text, err := os.ReadFile(out)
	if err != nil || string(text) != stdout.String() {
		t.Fatalf("status %d, %v\n%s", status, err, &stderr)
	}
	return status, stdout.String()
}

// A torture that breaks no promise shows something only if it finds builds that
// are wrong on purpose.
func TestFindsWrongBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some ten seconds for each build; run without -short")
	}
	for fault, sign := range map[string]string{
		"early-accept":  "was accepted and is lost",
		"drop-deletes":  "was accepted and is lost",
		"numbered-uids": "has named",
	} {
		t.Run(fault, func(t *testing.T) {
			status, report := tortured(t, "-time", "2m", "-faults", fault)
			if status != exitBroken || !strings.Contains(report, sign) {
				t.Errorf("status %d\n%s", status, report)
			}
		})
	}
}

func TestRightBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some ten seconds; run without -short")
	}
	status, report := tortured(t, "-time", "6s")
	if status != 0 || !strings.Contains(report, "Kept.") {
		t.Errorf("status %d\n%s", status, report)
	}
	for _, part := range []string{"sessions: ", "server starts: ", "| caller0@example.org | ", "| calm | ", "Most memory", "runs of restante: "} {
		if !strings.Contains(report, part) {
			t.Errorf("the report lacks %q:\n%s", part, report)
		}
	}
}

// A server that flushes no directories loses nothing when it is killed. A power cut
// finds it.
func TestPowerCutsFindLyingDisks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some ten seconds; run without -short")
	}
	peers.NeedRoot(t)
	peers.Need(t, "mkfs.xfs")
	status, report := tortured(t, "-only", "power", "-time", "2m", "-faults", "no-directory-flush")
	if status != exitBroken || !strings.Contains(report, "after a power cut: message") {
		t.Errorf("status %d\n%s", status, report)
	}
}

// A report of power cuts alone is not called that of everything.
func TestTitle(t *testing.T) {
	for only, want := range map[string]string{
		"": "# Torture\n", "power": "# Power cuts\n", "power cut, pow": "# Power cuts\n", "power,kill": "# Torture\n", "power,": "# Torture\n",
	} {
		r := &report{options: options{only: only}, counts: map[string]int{}}
		if text := r.markdown(); !strings.HasPrefix(text, want) {
			t.Errorf("-only %q: %.20q, want %q", only, text, want)
		}
	}
}

// A program under another clock has the jumps of that, and its own status.
func TestClock(t *testing.T) {
	if !hasClock {
		t.Skip(errNoClock)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TORTURE_TELL_TIME=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c, pid, err := underClock(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := pid(); err != nil || n == cmd.Process.Pid {
		t.Errorf("process %d, %v", n, err)
	}
	in := bufio.NewScanner(out)
	for _, by := range []time.Duration{0, 400 * 24 * time.Hour, -30 * 365 * 24 * time.Hour} {
		if err := c.jump(by); err != nil {
			t.Fatal(err)
		}
		seen := false
		for !seen && in.Scan() {
			told, err := strconv.ParseInt(in.Text(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			seen = time.Until(time.Unix(told, 0).Add(-by)).Abs() < time.Hour
		}
		if !seen {
			t.Errorf("the program never saw a jump by %s", by)
		}
	}
	for in.Scan() { // to its end
	}
	var status *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 7 {
		t.Errorf("the program ended with %v", err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-time", "0s"}, {"-fs", "fat"}, {"more"}, {"-nonsense"}} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: status %d, %q", args, status, &stderr)
		}
	}
}
