// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package maildir

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/fsx"
)

// What a delivery makes is for its owner alone.
func TestModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	f, err := fsx.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := storeOn(t, f, time.Now)
	deliver(t, s, "one")
	deliver(t, s, "two")
	dropFile(t, f, "new/1.foreign", "three")
	sn := openView(t, s, "")
	if _, err := sn.Remove(context.Background(), []int{2}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = filepath.WalkDir(filepath.Join(dir, "mail"), func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		seen++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil || seen < 8 {
		t.Errorf("%d files, %v", seen, err)
	}
	// Our files are beside the Maildir, never in it.
	entries, err := os.ReadDir(filepath.Join(dir, "mail/u"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	equal(t, names, []string{"Maildir", "restante.index", "restante.journal"})
}
