// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fsx

import "os"

// readDir lists an open directory.
func readDir(f *os.File) ([]Entry, error) {
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(list))
	for i, e := range list {
		entries[i] = Entry{Name: e.Name(), Type: typeOf(e.Type())}
	}
	return entries, nil
}
