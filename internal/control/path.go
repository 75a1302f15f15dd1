// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"fmt"
	"os"
	"path/filepath"
)

// ShortPath returns a short name for dir, valid until release is called: the
// path of a Unix socket has at most 104 or 108 octets with its final NUL, and
// data directories have longer ones.
func ShortPath(dir string) (path string, release func(), err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	if len(dir) < 60 {
		_, err := os.Stat(dir)
		return dir, func() {}, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	path = fmt.Sprintf("/proc/self/fd/%d", d.Fd())
	if _, err := os.Stat(path); err == nil {
		return path, func() { _ = d.Close() }, nil // it was only read
	}
	_ = d.Close() // no /proc here
	tmp, err := os.MkdirTemp("/tmp", "restante")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(tmp, "d")
	if err := os.Symlink(dir, path); err != nil {
		_ = os.Remove(tmp) // empty, and harmless should it stay
		return "", nil, err
	}
	return path, func() { _ = os.RemoveAll(tmp) }, nil // the link alone
}
