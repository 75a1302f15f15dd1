// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

// clock is a clock for tests: it goes on a millisecond each time it is asked.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// testLog shows what the store logs when a test fails.
func testLog(t testing.TB) *slog.Logger {
	level := slog.LevelError + 1
	if testing.Verbose() {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
}

// storeOn returns a store on a file system: maildrop u is mail/u/Maildir.
func storeOn(t testing.TB, f fsx.FS, now func() time.Time) *Store {
	return New(Options{
		Locate: func(_ context.Context, id maildrop.ID) (Place, error) {
			if id == "unknown" {
				return Place{}, maildrop.ErrNoMaildrop
			}
			dir := "mail/" + string(id)
			return Place{Mail: f, Maildir: dir + "/Maildir", State: f, StateDir: dir}, nil
		},
		Clock: now, Host: "host.example", PID: 77, Logger: testLog(t), Reserve: -1,
	})
}

// deliver stores a message in u and fails the test when it cannot.
func deliver(t testing.TB, s *Store, text string) {
	t.Helper()
	if err := tryDeliver(s, "u", text); err != nil {
		t.Fatal(err)
	}
}

func tryDeliver(s *Store, id maildrop.ID, text string) error {
	d, err := s.Deliver(context.Background(), maildrop.Envelope{}, []maildrop.Target{{Maildrop: id}})
	if err != nil {
		return err
	}
	defer d.Abort()
	if _, err := io.WriteString(d, text); err != nil {
		return err
	}
	return d.Commit(context.Background())[0]
}

func openView(t testing.TB, s *Store, view maildrop.View) maildrop.Snapshot {
	t.Helper()
	sn, err := s.Open(context.Background(), "u", view)
	if err != nil {
		t.Fatal(err)
	}
	return sn
}

func readAll(sn maildrop.Snapshot, n int) (string, error) {
	r, err := sn.Message(context.Background(), n)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

// texts opens the classic view and returns all messages.
func texts(t testing.TB, s *Store) []string {
	t.Helper()
	sn := openView(t, s, maildrop.Classic)
	defer sn.Close()
	var out []string
	for n := 1; n <= sn.Len(); n++ {
		text, err := readAll(sn, n)
		if err != nil {
			t.Fatalf("message %d (%+v): %v", n, sn.Info(n), err)
		}
		if int64(len(text)) != sn.Info(n).Size {
			t.Fatalf("message %d has %d octets, announced %d", n, len(text), sn.Info(n).Size)
		}
		out = append(out, text)
	}
	return out
}

func uids(sn maildrop.Snapshot) []string {
	var out []string
	for n := 1; n <= sn.Len(); n++ {
		out = append(out, sn.Info(n).UID)
	}
	return out
}

// drop puts a file into a Maildir as another program does.
func dropFile(t testing.TB, f fsx.FS, name, text string) {
	t.Helper()
	full := "mail/u/Maildir/" + name
	if err := fsx.MkdirAllSynced(f, "mail/u/Maildir"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"new", "cur", "tmp"} {
		if err := f.Mkdir("mail/u/Maildir/" + dir); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if _, err := f.Stat(full); err == nil {
		if err := f.Remove(full); err != nil {
			t.Fatal(err)
		}
	}
	file, err := fsx.Create(f, full)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(file, text); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.SyncDir(path.Dir(full)); err != nil {
		t.Fatal(err)
	}
}

// both runs a test on the real file system and in memory.
func both(t *testing.T, test func(t *testing.T, f fsx.FS, now func() time.Time)) {
	t.Run("disk", func(t *testing.T) {
		f, err := fsx.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		test(t, f, time.Now)
	})
	t.Run("memory", func(t *testing.T) {
		c := newClock()
		test(t, memfs.New(memfs.Options{Clock: c.Now}), c.Now)
	})
}

func equal(t testing.TB, got, want []string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestDeliverListReadRemove(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		s := storeOn(t, f, now)
		long := strings.Repeat(strings.Repeat("x", 70)+"\n", 5000)
		deliver(t, s, "one\nbare\r\nlast")
		deliver(t, s, long)
		deliver(t, s, "")
		wantLong := strings.ReplaceAll(long, "\n", "\r\n")
		equal(t, texts(t, s), []string{"one\r\nbare\r\nlast\r\n", wantLong, ""})
		sn := openView(t, s, "")
		before := uids(sn)
		if sn.Octets() != int64(17+len(wantLong)) {
			t.Errorf("%d octets", sn.Octets())
		}
		outcomes, err := sn.Remove(context.Background(), []int{2})
		if err != nil || outcomes[0] != maildrop.Removed {
			t.Fatalf("%v, %v", outcomes, err)
		}
		if err := sn.Close(); err != nil {
			t.Fatal(err)
		}
		equal(t, texts(t, s), []string{"one\r\nbare\r\nlast\r\n", ""})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = storeOn(t, f, now)
		deliver(t, s, "four")
		equal(t, texts(t, s), []string{"one\r\nbare\r\nlast\r\n", "", "four\r\n"})
		sn = openView(t, s, "")
		equal(t, uids(sn)[:2], []string{before[0], before[2]})
		if names, err := f.ReadDir("mail/u/Maildir/tmp"); err != nil || len(names) != 0 {
			t.Errorf("left in tmp: %v, %v", names, err)
		}
	})
}

func TestSharedMemory(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	var open []maildrop.Snapshot
	for i := range 40 {
		deliver(t, s, fmt.Sprint(i))
		if i == 0 {
			if err := s.AddView(context.Background(), "u", "v", time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		sn := openView(t, s, maildrop.View([]string{"", "v"}[i%2]))
		for n := 1; n <= sn.Len(); n++ {
			if got, err := readAll(sn, n); err != nil || got != fmt.Sprintf("%d\r\n", n-1) {
				t.Fatalf("after %d deliveries message %d is %q, %v", i+1, n, got, err)
			}
		}
		if sn.Len() != i+1 {
			t.Fatalf("%d messages after %d deliveries", sn.Len(), i+1)
		}
		open = append(open, sn)
		sn.Revoke()
	}
	for i, sn := range open {
		if sn.Len() != i+1 {
			t.Errorf("snapshot %d has %d messages now", i, sn.Len())
		}
		if err := sn.Close(); err != nil {
			t.Error(err)
		}
	}
}
