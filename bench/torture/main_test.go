// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tortured runs the command with troubles that need no rights, and returns its
// exit status and its report.
func tortured(t *testing.T, args ...string) (status int, report string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report.md")
	var stdout, stderr bytes.Buffer
	args = append([]string{"-only", "kill,SIGHUP,SIGSTOP", "-first", "-out", out}, args...)
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
	for _, part := range []string{"sessions: ", "server starts: ", "| caller0@example.org | ", "| calm | ", "Most memory", "runs of restante: ", "jumps of the clock"} {
		if !strings.Contains(report, part) {
			t.Errorf("the report lacks %q:\n%s", part, report)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-time", "0s"}, {"more"}, {"-nonsense"}} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: status %d, %q", args, status, &stderr)
		}
	}
}
