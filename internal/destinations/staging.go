// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"restante.example/collect"
	"restante.example/internal/fsx"
)

// flushers is how many files are flushed at the same time: a journalling file
// system makes one commit of what comes together.
const flushers = 64

// staging takes messages to files of their own in a directory of temporary
// names, in which those of an account can be told from others.
type staging struct {
	fs     fsx.FS
	dir    string // within fs
	crlf   bool
	prefix func(account string, n int64) string
	count  atomic.Int64
	buf    []byte // for converting; messages are written one at a time
}

// tag stands for an account in file names.
func tag(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:5])
}

// stagedFile is a message in a temporary file.
type stagedFile struct {
	s    *staging
	name string // base name in s.dir
	file fsx.File
	conv unixLines
	size int64 // octets in the file
	done bool  // not ours any more
}

func (s *staging) stage(account string) (collect.Staged, error) {
	name := s.prefix(account, s.count.Add(1))
	file, err := fsx.Create(s.fs, s.path(name))
	if err != nil {
		return nil, classify(err)
	}
	return &stagedFile{s: s, name: name, file: file}, nil
}

func (s *staging) path(name string) string {
	if s.dir == "" {
		return name
	}
	return s.dir + "/" + name
}

func (f *stagedFile) Write(p []byte) (int, error) {
	out := p
	if !f.s.crlf {
		f.s.buf = f.conv.append(f.s.buf[:0], p)
		out = f.s.buf
	}
	n, err := f.file.Write(out)
	f.size += int64(n)
	if err != nil {
		return 0, classify(err)
	}
	return len(p), nil
}

// Discard implements collect.Staged.
func (f *stagedFile) Discard() {
	if f.done {
		return
	}
	f.done = true
	if f.file != nil {
		_ = f.file.Close()
	}
	// What cannot be removed now is removed by Recover.
	_ = f.s.fs.Remove(f.s.path(f.name))
}

// finish writes what is left.
func (f *stagedFile) finish() error {
	if rest := f.conv.finish(nil); len(rest) > 0 {
		if _, err := f.file.Write(rest); err != nil {
			return err
		}
		f.size += int64(len(rest))
	}
	fsx.StartWriting(f.file)
	return nil
}

// seal flushes and closes.
func (f *stagedFile) seal() error {
	err := f.file.Sync()
	err = errors.Join(err, f.file.Close())
	f.file = nil
	return err
}

// sealAll finishes the files of all items and then seals them side by side.
func sealAll(items []*collect.Item) {
	for _, it := range items {
		if err := it.Staged.(*stagedFile).finish(); err != nil {
			it.Err = classify(err)
		}
	}
	var wait sync.WaitGroup
	todo := make(chan *collect.Item)
	for range min(flushers, len(items)) {
		wait.Go(func() {
			for it := range todo {
				if err := it.Staged.(*stagedFile).seal(); err != nil {
					it.Err = classify(err)
				}
			}
		})
	}
	for _, it := range items {
		if it.Err == nil {
			todo <- it
		}
	}
	close(todo)
	wait.Wait()
}

// clean removes what earlier runs left behind.
func (s *staging) clean(mine func(name string) bool) error {
	dir := s.dir
	if dir == "" {
		dir = "."
	}
	list, err := s.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if mine(e.Name) {
			if err := s.fs.Remove(s.path(e.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// classify marks errors that the next message would meet as well. A full disk
// is none of them: a smaller message may fit.
func classify(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errReadOnly) {
		return fmt.Errorf("%w: %w", collect.ErrUnavailable, err)
	}
	return err
}

// hostName is the name of this machine as it may stand in a file name.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "localhost"
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, name)
}
