// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"restante.example/internal/fsx"
)

func lastRead(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Atim.Nano()
}

func readAll(t *testing.T, d fsx.FS, name string) {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(f); len(text) == 0 || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReadingIsNotNoted: reading a message, or a directory, is no write.
func TestReadingIsNotNoted(t *testing.T) {
	if _, err := unix.Openat2(unix.AT_FDCWD, ".", &unix.OpenHow{Flags: unix.O_PATH}); err != nil {
		t.Skip("the kernel has no openat2, or forbids it: ", err)
	}
	folder := t.TempDir()
	d, err := fsx.Dir(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	long := time.Now().Add(-48 * time.Hour)
	old := func(name string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
		return path
	}
	control := old("control")
	if _, err := os.ReadFile(control); err != nil {
		t.Fatal(err)
	}
	if lastRead(t, control) == long.UnixNano() {
		t.Skip("this file system does not note when a file was read: try another TMPDIR")
	}
	message := old("message")
	readAll(t, d, "message")
	if at := lastRead(t, message); at != long.UnixNano() {
		t.Errorf("read at %v, and it was noted", time.Unix(0, at))
	}
	if err := os.Chtimes(folder, long, long); err != nil {
		t.Fatal(err)
	}
	if list, err := d.ReadDir("."); len(list) != 2 || err != nil {
		t.Error(list, err)
	}
	if at := lastRead(t, folder); at != long.UnixNano() {
		t.Errorf("listed at %v, and it was noted", time.Unix(0, at))
	}
}

// TestReadingWhatBelongsToOthers: who does not own a file cannot keep its times,
// and reads it all the same.
func TestReadingWhatBelongsToOthers(t *testing.T) {
	folder, name := "/etc", "passwd"
	if os.Getuid() == 0 {
		folder, name = t.TempDir(), "message"
		if err := os.WriteFile(filepath.Join(folder, name), []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := fsx.Dir(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	at, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	t.Run("as somebody else", func(t *testing.T) {
		if os.Getuid() == 0 {
			// Only this thread is somebody else, and it ends with this function.
			runtime.LockOSThread()
			const nobody = 65534
			if err := unix.Setfsuid(nobody); err != nil {
				t.Fatal(err)
			}
			if is, _ := unix.SetfsuidRetUid(-1); is != nobody {
				t.Fatalf("the thread is %d for files", is)
			}
		}
		if _, err := unix.Openat(int(at.Fd()), name, unix.O_RDONLY|unix.O_NOATIME, 0); err != unix.EPERM {
			t.Fatalf("a stranger may keep its times: %v", err)
		}
		for range 2 {
			readAll(t, d, name)
		}
		if list, err := d.ReadDir("."); len(list) == 0 || err != nil {
			t.Error(list, err)
		}
	})
}
