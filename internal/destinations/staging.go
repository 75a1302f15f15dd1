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
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"restante.example/collect"
	"restante.example/internal/fsx"
)

// flushers is how many files are flushed at the same time: a journalling file
// system makes one commit of what comes together.
const flushers = 64

// staleTemp is the age from which a temporary file of another process is left
// over from a run that died, the usual one for Maildir.
const staleTemp = 36 * time.Hour

// staging takes messages to files of their own in a directory of temporary
// names, in which those of an account can be told from others.
type staging struct {
	fs             fsx.FS
	dir            string // within fs
	crlf           bool
	prefix, suffix string // of temporary names
	buf            []byte // for converting; messages are written one at a time
}

// tag stands for an account in file names.
func tag(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:5])
}

// staged counts temporary files, of all destinations.
var staged atomic.Int64

// newName is a temporary name. Time, process and number make it unique; the
// account tells whose it is. No colon: Windows would not have it.
func (s *staging) newName(account string) string {
	now := s.fs.Now()
	return fmt.Sprintf("%s%d.M%dP%dQ%dR%s.%s%s", s.prefix, now.Unix(), now.Nanosecond()/1000, os.Getpid(), staged.Add(1),
		tag(account), hostName(), s.suffix)
}

// tempName takes a temporary name apart: process, account, host.
var tempName = regexp.MustCompile(`^\d+\.M\d+P(\d+)Q\d+R([0-9a-f]+)\.(.+)$`)

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
	name := s.newName(account)
	held.try(name)
	file, err := fsx.Create(s.fs, s.path(name))
	if err != nil {
		held.release(name)
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
	if f.file != nil {
		_ = f.file.Close()
	}
	// What cannot be removed now is removed by Recover.
	_ = f.s.fs.Remove(f.s.path(f.name))
	f.giveUp()
}

// giveUp ends that the file is ours.
func (f *stagedFile) giveUp() {
	f.done = true
	held.release(f.name)
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

// clean removes what earlier runs of an account left behind. What is not left
// behind stays: another restante, with a state of its own, may be at work for an
// account of the same name.
func (s *staging) clean(account string) error {
	dir := s.dir
	if dir == "" {
		dir = "."
	}
	list, err := s.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name, ours := strings.CutPrefix(e.Name, s.prefix)
		name, whole := strings.CutSuffix(name, s.suffix)
		parts := tempName.FindStringSubmatch(name)
		if !ours || !whole || parts == nil || parts[2] != tag(account) {
			continue
		}
		left, err := s.leftBehind(e.Name, parts[1], parts[3])
		if err == nil && left {
			err = s.fs.Remove(s.path(e.Name))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// leftBehind reports whether nobody writes to a temporary file any more. This
// process knows its own, whatever the clock does, and a dead one writes nothing.
// Of the others age decides: the number of one that lives may have been that of
// another before, and of other machines nothing else is known.
func (s *staging) leftBehind(name, process, host string) (bool, error) {
	pid, err := strconv.Atoi(process)
	if err != nil {
		return false, nil // not a name of ours
	}
	if lives, known := ownerLives(pid, host, name); known && (!lives || pid == os.Getpid()) {
		return !lives, nil
	}
	info, err := s.fs.Stat(s.path(name))
	if err != nil {
		return false, err
	}
	return tooOld(time.Duration(s.fs.Now().UnixNano() - info.ModTime)), nil
}

// tooOld reports whether a temporary file of that age is left over. One from the
// future is of a clock that was wrong.
func tooOld(age time.Duration) bool { return age.Abs() >= staleTemp }

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
