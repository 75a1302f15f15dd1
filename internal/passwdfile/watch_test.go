// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwdfile

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watched is a watch of a file with a clock of the test.
type watched struct {
	*Watch
	t    *testing.T
	now  time.Time
	used []int // how many users it had each time
	fail error
	log  bytes.Buffer
}

func newWatched(t *testing.T) *watched {
	w := &watched{t: t, now: time.Unix(1_800_000_000, 0)}
	w.Watch = &Watch{Path: filepath.Join(t.TempDir(), "users"), Now: func() time.Time { return w.now },
		Use: func(_ context.Context, f *File, _ os.FileInfo) error {
			if w.fail == nil {
				w.used = append(w.used, len(f.Users))
			}
			return w.fail
		}}
	w.Logger = slog.New(slog.NewTextHandler(&w.log, nil))
	return w
}

func (w *watched) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.Path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// looks is two looks, of which the second has nothing new to find.
func (w *watched) looks() int {
	w.look()
	return w.look()
}

// look lets a second pass, and reports how often a file was put in force.
func (w *watched) look() int {
	w.now = w.now.Add(lookEvery)
	w.Refresh(context.Background())
	return len(w.used)
}

func TestWatch(t *testing.T) {
	w := newWatched(t)
	if w.look() != 0 || !strings.Contains(w.log.String(), "no such file") {
		t.Errorf("without a file: %v, %s", w.used, &w.log)
	}
	w.write("ana:" + sum + "\n")
	if w.look() != 1 || w.looks() != 1 {
		t.Errorf("used %v", w.used)
	}
	// Not more often than once in a second, and then whatever the change is.
	w.write("ana:" + sum + "\nbea:" + sum + "\n")
	w.Refresh(context.Background())
	if len(w.used) != 1 {
		t.Error("looked at twice in a second")
	}
	if w.look() != 2 || w.used[1] != 2 {
		t.Errorf("used %v", w.used)
	}
	// A clock that was set back does not end it.
	w.now = w.now.Add(-time.Hour)
	w.write("ana:" + sum + "\nbea:" + sum + "\ncleo:" + sum + "\n")
	if w.look() != 3 {
		t.Errorf("used %v", w.used)
	}
	for _, half := range []string{"", "ana:" + sum + "\nbe", "ana:" + sum + "\n\x00\n", "# nobody\n"} {
		w.write(half)
		w.log.Reset()
		if w.looks() != 3 {
			t.Errorf("%q: used %v", half, w.used)
		}
		if n := strings.Count(w.log.String(), "\n"); n != 1 {
			t.Errorf("%q: %d lines in the log: %s", half, n, &w.log)
		}
	}
	w.write("ana:" + sum + "\n")
	if w.look() != 4 || !strings.Contains(w.log.String(), "in force again") {
		t.Errorf("used %v, %s", w.used, &w.log)
	}
	// What could not be put in force is tried again.
	w.fail = errors.New("disk full")
	w.write("ana:{PLAIN}x\n")
	if w.looks() != 4 {
		t.Errorf("used %v", w.used)
	}
	w.fail = nil
	if w.look() != 5 {
		t.Errorf("used %v", w.used)
	}
	if err := os.Remove(w.Path); err != nil || w.look() != 5 {
		t.Errorf("%v, used %v", err, w.used)
	}
	if strings.Contains(w.log.String(), "5en6") || strings.Contains(w.log.String(), "PLAIN") {
		t.Errorf("the log tells: %s", &w.log)
	}
}

// Two changes in the same tick of the clock, of which the second was not seen.
func TestWatchFindsTheSecondOfTwoChanges(t *testing.T) {
	w := newWatched(t)
	write := func(text string) {
		w.write(text)
		if err := os.Chtimes(w.Path, w.now, w.now); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(time.Second)
	at := w.now
	write("ana:" + sum + "\n")
	if w.look() != 1 {
		t.Fatalf("used %v", w.used)
	}
	w.now = at
	write("bea:" + sum + "\n") // as long, and as old
	w.now = at.Add(time.Second)
	for range 3 {
		w.look()
	}
	if len(w.used) != 2 {
		t.Errorf("used %v times, want the second look, and no third", len(w.used))
	}
}

// What cannot be used is not read again and again, however large it is.
func TestRefusedFileIsReadOnce(t *testing.T) {
	w := newWatched(t)
	write := func(text string, at time.Time) {
		w.write(text)
		if err := os.Chtimes(w.Path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	old := w.now.Add(-time.Hour)
	write("ana:"+sum+"\n\x00\n", old)
	if w.look() != 0 {
		t.Fatal("used")
	}
	write("ana:"+sum+"\n#\n", old) // good, and not to be told from the other
	if w.look() != 0 {
		t.Error("a refused file was read again")
	}
	write("ana:"+sum+"\n#\n", old.Add(time.Minute))
	if w.look() != 1 {
		t.Error("a file that has changed was not read")
	}
}

// What is no file of users is neither waited for nor read.
func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Load(dir); err == nil {
		t.Error("a directory")
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(pipe); err == nil {
		t.Error("a pipe")
	}
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.WriteFile(open, []byte("ana:"+sum+"\n"), 0o600), os.Chmod(open, 0o666)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(open); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("a file that everybody may write: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Chmod(open, 0o600), os.Symlink(open, link)); err != nil {
		t.Fatal(err)
	}
	if f, _, err := Load(link); err != nil || len(f.Users) != 1 {
		t.Errorf("a link: %v", err)
	}
}

// Whoever waits for somebody who is about the file, as on a disk that hangs, does
// so within the time that is given.
func TestNobodyWaitsForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("ana:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	begun, end := make(chan struct{}), make(chan struct{})
	w := &Watch{Path: path, Logger: slog.New(slog.DiscardHandler), Use: func(context.Context, *File, os.FileInfo) error {
		close(begun)
		<-end
		return nil
	}}
	looked := make(chan struct{})
	go func() {
		w.Refresh(t.Context())
		close(looked)
	}()
	<-begun
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w.Refresh(gone) // it returns, or the test hangs
	w.Look(gone)
	select {
	case <-looked:
		t.Error("nobody was waited for")
	default:
	}
	close(end)
	<-looked
}
