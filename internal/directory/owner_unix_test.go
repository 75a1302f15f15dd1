// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package directory

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Nobody else may read the file or those that SQLite puts beside it, and a
// command that root runs leaves them to the owner of the directory.
func TestFilesBelongToTheOwnerOfTheDirectory(t *testing.T) {
	const owner = 12345
	dir := t.TempDir()
	root := os.Geteuid() == 0
	if root {
		must(t, os.Chown(dir, owner, owner))
	} else {
		t.Log("only modes are checked; run as root to check owners")
	}
	d := reopen(t, filepath.Join(dir, "users.sqlite"), nil)
	quick(t, d, "u1")
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) < 2 {
		t.Errorf("%d files: no write-ahead log", len(files))
	}
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
		if stat := info.Sys().(*syscall.Stat_t); root && (stat.Uid != owner || stat.Gid != owner) {
			t.Errorf("%s belongs to %d:%d", f.Name(), stat.Uid, stat.Gid)
		}
	}
}
