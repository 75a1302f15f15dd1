// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

// StartWriting lets the system begin to write a file, without waiting, where it
// can. When that has been done for many files, the flush of the first one commits
// them all, and those of the others find nothing left to do. It is help only: Sync
// is what counts, and errors are passed over.
func StartWriting(f File) {
	if w, ok := f.(interface{ StartWriting() }); ok {
		w.StartWriting()
	}
}
