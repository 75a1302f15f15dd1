// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestQuickTour is the one of the README: the demo in one terminal, and in
// another one the line that it prints for restante, as it stands there.
func TestQuickTour(t *testing.T) {
	t.Parallel()
	bin := filepath.Dir(restante(t))
	lookAtSources(t)
	home := newDir(t)
	ready := filepath.Join(home, "ready")
	cmd := exec.Command(restanted, "demo", "--ready-file", ready)
	out := newLogBuffer()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // where it has not ended yet

	var line string
	waitFor(t, "the line for restante", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the demo ended: %v\n%s", err, out)
		default:
		}
		for l := range strings.Lines(out.String()) {
			if l = strings.TrimSpace(l); strings.Contains(l, "restante fetch ") {
				line = l
			}
		}
		return line != ""
	})
	text, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ Data, User string }
	if err := json.Unmarshal(text, &info); err != nil {
		t.Fatal(err)
	}
	held := readMaildir(t, filepath.Join(info.Data, "mail", info.User, "Maildir"))
	if len(held) < 2 {
		t.Fatalf("the demo has %d letters", len(held))
	}

	_, place, _ := strings.Cut(line, "maildir:")
	before := entries(t, home)
	for _, want := range []string{fmt.Sprintf("collected %d messages", len(held)), "no new mail"} {
		typed := fmt.Sprintf("PATH='%s':$PATH; %s", bin, line)
		says(t, execute(t, home, "", "/bin/sh", "-c", typed).must(t, 0).output, want)
		same(t, "collected", readMaildir(t, place), unixAll(held))
	}
	if after := entries(t, home); !slices.Equal(before, after) {
		t.Errorf("something was left where the line was typed: %v, before %v", after, before)
	}

	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the demo ended: %v\n%s", err, out)
		}
	case <-time.After(patience):
		t.Error("the demo does not end")
	}
	for _, gone := range []string{info.Data, place} {
		if _, err := os.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the demo has left %s: %v", gone, err)
		}
	}
}

// entries returns what a directory holds.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
