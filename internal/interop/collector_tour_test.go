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
	place = filepath.Join(home, strings.TrimSpace(place))
	for _, want := range []string{fmt.Sprintf("collected %d messages", len(held)), "no new mail"} {
		typed := fmt.Sprintf("PATH='%s':$PATH; %s", bin, line)
		says(t, execute(t, home, "", "/bin/sh", "-c", typed).must(t, 0).output, want)
		same(t, "collected", readMaildir(t, place), unixAll(held))
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
	if _, err := os.Stat(info.Data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the demo has left its data: %v", err)
	}
}
