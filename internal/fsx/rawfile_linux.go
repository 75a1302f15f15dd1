// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// rawFile is an open file by its descriptor.
type rawFile struct {
	fd   int // -1 when closed
	name string
}

func (f *rawFile) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := retry(func() (int, error) { return unix.Read(f.fd, p) })
	if err != nil {
		return 0, pathError("read", f.name, err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *rawFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := retry(func() (int, error) { return unix.Pread(f.fd, p[n:], off+int64(n)) })
		if err != nil {
			return n, pathError("read", f.name, err)
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

func (f *rawFile) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := retry(func() (int, error) { return unix.Write(f.fd, p[n:]) })
		if err == nil && m == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return n, pathError("write", f.name, err)
		}
		n += m
	}
	return n, nil
}

func (f *rawFile) Sync() error {
	return pathError("sync", f.name, again(func() error { return unix.Fsync(f.fd) }))
}

func (f *rawFile) Truncate(size int64) error {
	return pathError("truncate", f.name, again(func() error { return unix.Ftruncate(f.fd, size) }))
}

func (f *rawFile) Stat() (Info, error) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(f.fd, &st) }); err != nil {
		return Info{}, pathError("stat", f.name, err)
	}
	return infoOfStat(&st), nil
}

// StartWriting implements the interface of the function of this name.
func (f *rawFile) StartWriting() {
	_ = unix.SyncFileRange(f.fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

func (f *rawFile) Close() error {
	if f.fd < 0 {
		return os.ErrClosed
	}
	fd := f.fd
	// A number that is used again must not be read by mistake.
	f.fd = -1
	return pathError("close", f.name, closeFD(fd))
}
