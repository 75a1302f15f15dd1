// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// direct works on the names in one directory by its descriptor. A session that
// opens thousands of files pays one system call for each step, where package os
// also walks, allocates, and asks the poller about regular files. Links are not
// followed at all here.
type direct struct {
	file *os.File
	fd   int
}

func openDirect(root *os.Root) (*direct, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &direct{file: f, fd: int(f.Fd())}, nil
}

func (d *direct) close() error {
	if d == nil {
		return nil
	}
	return d.file.Close()
}

// again repeats a call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func (d *direct) stat(name string) (Info, error) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return Info{}, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return infoOfStat(&st), nil
}

func (d *direct) open(name string) (File, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &directFile{fd: fd, name: name}, nil
}

func infoOfStat(st *unix.Stat_t) Info {
	info := Info{Type: TypeOther, Size: st.Size, ModTime: st.Mtim.Nano(), ChangeTime: st.Ctim.Nano(),
		Inode: st.Ino, Private: st.Mode&0o077 == 0}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		info.Type = TypeFile
	case unix.S_IFDIR:
		info.Type = TypeDir
	}
	return info
}

// directFile is a file open for reading.
type directFile struct {
	fd   int
	name string
}

func (f *directFile) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: f.name, Err: err}
}

func (f *directFile) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	err = again(func() (err error) { n, err = unix.Read(f.fd, p); return err })
	if err != nil {
		return 0, f.fail("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *directFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		var m int
		err := again(func() (err error) { m, err = unix.Pread(f.fd, p[n:], off+int64(n)); return err })
		if err != nil {
			return n, f.fail("read", err)
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

func (f *directFile) Stat() (Info, error) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(f.fd, &st) }); err != nil {
		return Info{}, f.fail("stat", err)
	}
	return infoOfStat(&st), nil
}

// The file is open for reading only.
func (f *directFile) Write([]byte) (int, error) { return 0, f.fail("write", unix.EBADF) }
func (f *directFile) Sync() error               { return f.fail("sync", unix.EBADF) }
func (f *directFile) Truncate(int64) error      { return f.fail("truncate", unix.EBADF) }

func (f *directFile) Close() error {
	if f.fd < 0 {
		return os.ErrClosed
	}
	fd := f.fd
	// A number that is used again must not be read by mistake.
	f.fd = -1
	// On Linux the descriptor is gone even when close was interrupted.
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return f.fail("close", err)
	}
	return nil
}
