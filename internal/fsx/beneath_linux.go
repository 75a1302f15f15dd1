// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import (
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// beneath is a directory whose names the kernel looks up with openat2(2), which
// lets neither a name nor a link lead out. That is one call where os.Root opens
// each directory on the way, and nobody asks the poller about regular files.
type beneath struct {
	owner *owner
	// stranger is set once a file of somebody else was met: only the owner of a
	// file may keep the time when it was last read.
	stranger atomic.Bool

	// mu is held for reading while fd is in use: its number may stand for
	// another file once it is closed.
	mu sync.RWMutex
	fd int // -1 when closed
}

// openBeneath opens a directory. The error is errors.ErrUnsupported where
// openat2 is missing (before Linux 5.6) or forbidden.
func openBeneath(name string) (FS, error) {
	fd, err := retry(func() (int, error) { return unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	d := &beneath{fd: fd}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, errors.Join(&os.PathError{Op: "stat", Path: name, Err: err}, d.Close())
	}
	d.owner = otherOwner(int(st.Uid), int(st.Gid))
	probe, err := d.openat2(".", unix.O_PATH)
	if err != nil {
		if err == unix.EPERM || err == unix.ENOSYS {
			err = errors.ErrUnsupported
		}
		return nil, errors.Join(err, d.Close())
	}
	return d, closeFD(probe)
}

// retry repeats a call that a signal interrupted, or in which somebody moved a
// directory that the kernel was just passing through.
func retry(call func() (int, error)) (int, error) {
	for try := 0; ; try++ {
		n, err := call()
		if err != unix.EINTR && (err != unix.EAGAIN || try >= 100) {
			return n, err
		}
	}
}

// again is retry for calls that return nothing else.
func again(call func() error) error {
	_, err := retry(func() (int, error) { return 0, call() })
	return err
}

// openat2 opens a name below the directory.
func (d *beneath) openat2(name string, flag int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flag | unix.O_CLOEXEC | unix.O_LARGEFILE),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flag&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	if flag&unix.O_PATH != 0 {
		how.Flags = uint64(flag | unix.O_CLOEXEC) // all that it may be combined with
	}
	return retry(func() (int, error) { return unix.Openat2(d.fd, name, &how) })
}

// use calls do while the directory cannot be closed.
func (d *beneath) use(do func() error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.fd < 0 {
		return os.ErrClosed
	}
	return do()
}

// in calls do with the directory that a name is in, and what it is called there.
func (d *beneath) in(name string, do func(fd int, base string) error) error {
	return d.use(func() error { return d.inside(name, do) })
}

func (d *beneath) inside(name string, do func(fd int, base string) error) error {
	slash := strings.LastIndexByte(name, '/')
	base := name[slash+1:]
	if base == "" || base == ".." {
		return unix.EINVAL
	}
	if slash < 0 {
		return do(d.fd, base)
	}
	fd, err := d.openat2(name[:max(slash, 1)], unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	return closeAfter(fd, do(fd, base))
}

// inBoth is in for two names, which mostly are in the same directory.
func (d *beneath) inBoth(a, b string, do func(fdA int, baseA string, fdB int, baseB string) error) error {
	return d.in(a, func(fdA int, baseA string) error {
		if slash := strings.LastIndexByte(b, '/'); slash == len(a)-len(baseA)-1 && b[:slash+1] == a[:slash+1] && isEntry(b[slash+1:]) {
			return do(fdA, baseA, fdA, b[slash+1:])
		}
		return d.inside(b, func(fdB int, baseB string) error { return do(fdA, baseA, fdB, baseB) })
	})
}

func isEntry(base string) bool { return base != "" && base != "." && base != ".." }

func closeFD(fd int) error {
	// On Linux the descriptor is gone even when close was interrupted.
	if err := unix.Close(fd); err != unix.EINTR {
		return err
	}
	return nil
}

// closeAfter closes and returns the first error.
func closeAfter(fd int, err error) error {
	if e := closeFD(fd); err == nil {
		err = e
	}
	return err
}

// pathError is err with what was done to which name; nil stays nil.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

func (d *beneath) OpenFile(name string, flag int) (File, error) {
	fd, err := d.open(name, flag)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	if d.owner != nil && flag&os.O_CREATE != 0 {
		if err := unix.Fchown(fd, d.owner.uid, d.owner.gid); err != nil {
			return nil, errors.Join(pathError("chown", name, err), closeFD(fd))
		}
	}
	return &rawFile{fd: fd, name: name}, nil
}

// open opens a name. That something was read is not noted in its inode if that
// can be helped: nobody asks for it, and the first reading of each new message
// would be a write.
func (d *beneath) open(name string, flag int) (fd int, err error) {
	err = d.use(func() error {
		if flag&unix.O_ACCMODE == unix.O_RDONLY && !d.stranger.Load() {
			if fd, err = d.openat2(name, flag|unix.O_NOATIME); err != unix.EPERM {
				return err
			}
			d.stranger.Store(true)
		}
		fd, err = d.openat2(name, flag)
		return err
	})
	return fd, err
}

func (d *beneath) Link(oldname, newname string) error {
	err := d.inBoth(oldname, newname, func(a int, oldbase string, b int, newbase string) error {
		return again(func() error { return unix.Linkat(a, oldbase, b, newbase, 0) })
	})
	return linkError("link", oldname, newname, err)
}

func (d *beneath) Rename(oldname, newname string) error {
	err := d.inBoth(oldname, newname, func(a int, oldbase string, b int, newbase string) error {
		return again(func() error { return unix.Renameat(a, oldbase, b, newbase) })
	})
	return linkError("rename", oldname, newname, err)
}

func linkError(op, oldname, newname string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: oldname, New: newname, Err: err}
}

func (d *beneath) Remove(name string) error {
	return pathError("remove", name, d.in(name, func(fd int, base string) error {
		err := again(func() error { return unix.Unlinkat(fd, base, 0) })
		if err != unix.EISDIR && err != unix.EPERM {
			return err
		}
		if other := again(func() error { return unix.Unlinkat(fd, base, unix.AT_REMOVEDIR) }); other != unix.ENOTDIR {
			return other
		}
		return err
	}))
}

func (d *beneath) Mkdir(name string) error {
	return pathError("mkdir", name, d.in(name, func(fd int, base string) error {
		err := again(func() error { return unix.Mkdirat(fd, base, 0o700) })
		if err == nil && d.owner != nil {
			err = unix.Fchownat(fd, base, d.owner.uid, d.owner.gid, unix.AT_SYMLINK_NOFOLLOW)
		}
		return err
	}))
}

func (d *beneath) Stat(name string) (Info, error) {
	var st unix.Stat_t
	err := d.in(name, func(fd int, base string) error {
		return again(func() error { return unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW) })
	})
	if err != nil {
		return Info{}, pathError("stat", name, err)
	}
	return infoOfStat(&st), nil
}

// inDir calls do with a directory open for reading.
func (d *beneath) inDir(name string, do func(fd int) error) error {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	return closeAfter(fd, do(fd))
}

func (d *beneath) ReadDir(name string) (entries []Entry, err error) {
	err = d.inDir(name, func(fd int) error {
		entries, err = readDirOf(fd)
		return err
	})
	return entries, pathError("readdir", name, err)
}

func (d *beneath) SyncDir(name string) error {
	return pathError("sync", name, d.inDir(name, func(fd int) error {
		return syncError(again(func() error { return unix.Fsync(fd) }))
	}))
}

func (d *beneath) Sub(name string) (FS, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &beneath{fd: fd, owner: d.owner}, nil
}

func (d *beneath) Space() (s Space, err error) {
	err = d.use(func() error {
		s, err = spaceOf(d.fd)
		return err
	})
	return s, err
}

func (d *beneath) Now() time.Time { return time.Now() }

func (d *beneath) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return os.ErrClosed
	}
	fd := d.fd
	d.fd = -1
	return closeFD(fd)
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
