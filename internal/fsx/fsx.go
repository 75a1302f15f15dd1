// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package fsx is the durable file layer: the few file operations that mail is
// kept with, over a directory that nothing leaves. The real one is Dir. Package
// memfs is one in memory that tests can crash.
//
// # Durability
//
// File.Sync makes the octets of a file durable and says nothing of its name;
// FS.SyncDir makes the names in a directory durable. Nothing else does either.
// A Sync that failed has lost octets that a second Sync on the same descriptor
// would not write: whoever sees it fail throws the file away.
package fsx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// What a name turned out to be.
const (
	// TypeUnknown: the system did not say; Stat does.
	TypeUnknown Type = iota
	TypeFile
	TypeDir
	// TypeOther: a symbolic link, a socket, a device.
	TypeOther
)

// Type is what a name stands for.
type Type uint8

// Info is what is known of a file or directory.
type Info struct {
	Type Type
	// Size in octets.
	Size int64
	// ModTime and ChangeTime are nanoseconds since 1970; ChangeTime is 0 where
	// the system has none.
	ModTime, ChangeTime int64
	// Inode is 0 where the system has none.
	Inode uint64
	// Private is false when others than the owner may read or write.
	Private bool
}

// Entry is a name in a directory.
type Entry struct {
	Name string
	Type Type
}

// Space is the room of a file system in octets.
type Space struct {
	Free, Total int64
}

// File is an open file. It is used by one goroutine at a time, except ReadAt.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	// Sync makes what was written durable. After an error the file is lost.
	Sync() error
	Stat() (Info, error)
	Truncate(size int64) error
	Close() error
}

// FS is a directory and what is below it. Names are slash-separated and
// relative; none leads out of the directory, and neither does a symbolic link.
// Files are made with mode 0600 and directories with 0700. The methods may be
// called by any number of goroutines.
type FS interface {
	// OpenFile opens a file by the flags of package os: O_RDONLY, O_WRONLY,
	// O_RDWR, O_CREATE, O_EXCL, O_APPEND, O_TRUNC.
	OpenFile(name string, flag int) (File, error)
	// Link gives a file a second name and fails with fs.ErrExist when that is taken.
	Link(oldname, newname string) error
	// Rename replaces newname atomically.
	Rename(oldname, newname string) error
	Remove(name string) error
	// Mkdir makes one directory.
	Mkdir(name string) error
	// ReadDir lists a directory in no order.
	ReadDir(name string) ([]Entry, error)
	// Stat does not follow a symbolic link at the end of the name.
	Stat(name string) (Info, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Sub opens a directory, which it holds even when it is renamed.
	Sub(name string) (FS, error)
	// Space says how much room is left for the process.
	Space() (Space, error)
	// Now is the clock that file times are taken from.
	Now() time.Time
	Close() error
}

// Create makes a file that must not be there yet, for writing.
func Create(f FS, name string) (File, error) {
	return f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
}

// Open opens a file for reading. It does not wait for a peer should the name
// have become a pipe.
func Open(f FS, name string) (File, error) {
	return f.OpenFile(name, os.O_RDONLY|nonblock)
}

// MkdirAllSynced makes a directory and those above it, and makes the name of
// each one that it made durable, up to the root of f. Parents that were there
// are flushed too: whoever made them may not have come to it.
func MkdirAllSynced(f FS, name string) error {
	name = path.Clean(name)
	if name == "." {
		return nil
	}
	if err := MkdirAllSynced(f, path.Dir(name)); err != nil {
		return err
	}
	err := f.Mkdir(name)
	there := errors.Is(err, fs.ErrExist)
	if err != nil && !there {
		return err
	}
	err = f.SyncDir(path.Dir(name))
	if there && errors.Is(err, fs.ErrPermission) {
		// In an existing tree we may not be allowed to read what is far above.
		return nil
	}
	return err
}

// ErrTooLarge is returned by ReadFile for a file above its limit.
var ErrTooLarge = errors.New("file too large")

// ReadFile reads a whole file of at most limit octets.
func ReadFile(f FS, name string, limit int64) ([]byte, error) {
	file, err := Open(f, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size > limit {
		return nil, fmt.Errorf("%s: %d octets: %w", name, info.Size, ErrTooLarge)
	}
	data := make([]byte, 0, info.Size+1)
	for {
		n, err := file.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		if int64(len(data)) > limit {
			return nil, fmt.Errorf("%s: %w", name, ErrTooLarge)
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// WriteFileSynced replaces a file by data in one step that is durable on
// return: it writes name.new, flushes it, renames it and flushes the
// directory. When renamed is true and there is an error, the new file is in
// place and may or may not outlive a power cut.
func WriteFileSynced(f FS, name string, data []byte) (renamed bool, err error) {
	temp := name + ".new"
	if err := f.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	file, err := Create(f, temp)
	if err != nil {
		return false, err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = f.Rename(temp, name)
	}
	if err != nil {
		// The cause counts; a left-over is replaced by the next call.
		_ = f.Remove(temp)
		return false, err
	}
	return true, f.SyncDir(path.Dir(name))
}
