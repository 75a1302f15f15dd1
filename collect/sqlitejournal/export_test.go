// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sqlitejournal

// WatchFlushes calls see before a directory is flushed, until the function that
// it returns is called. An error of see is that of the flush.
func WatchFlushes(see func(dir string) error) (end func()) {
	flushDir = func(dir string) error {
		if err := see(dir); err != nil {
			return err
		}
		return syncDir(dir)
	}
	return func() { flushDir = syncDir }
}
