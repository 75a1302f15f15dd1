// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// dir is a directory of the system, as package os has it.
type dir struct {
	root *os.Root
	// owner is set when files have to be given to the owner of the directory,
	// because root works on the data of another.
	owner *owner
}

type owner struct{ uid, gid int }

// Dir opens a directory of the system. When the process is root and the
// directory belongs to somebody else, all that is made in it is given to its owner.
func Dir(name string) (FS, error) {
	f, err := openBeneath(name)
	if errors.Is(err, errors.ErrUnsupported) {
		return openDir(name)
	}
	return f, err
}

func openDir(name string) (FS, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &dir{root: root, owner: ownerOf(info)}, nil
}

func (d *dir) OpenFile(name string, flag int) (File, error) {
	f, err := d.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if d.owner != nil && flag&os.O_CREATE != 0 {
		if err := f.Chown(d.owner.uid, d.owner.gid); err != nil {
			f.Close()
			return nil, err
		}
	}
	return file{f}, nil
}

func (d *dir) Link(oldname, newname string) error   { return d.root.Link(oldname, newname) }
func (d *dir) Rename(oldname, newname string) error { return d.root.Rename(oldname, newname) }
func (d *dir) Remove(name string) error             { return d.root.Remove(name) }
func (d *dir) Now() time.Time                       { return time.Now() }
func (d *dir) Space() (Space, error)                { return space(d.root) }

func (d *dir) Mkdir(name string) error {
	if err := d.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	if d.owner != nil {
		return d.root.Lchown(name, d.owner.uid, d.owner.gid)
	}
	return nil
}

func (d *dir) Stat(name string) (Info, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(info), nil
}

func (d *dir) ReadDir(name string) ([]Entry, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readDir(f)
}

func (d *dir) SyncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	err = syncDir(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func (d *dir) Sub(name string) (FS, error) {
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &dir{root: root, owner: d.owner}, nil
}

func (d *dir) Close() error { return d.root.Close() }

// file is a file of the system.
type file struct{ *os.File }

func (f file) Stat() (Info, error) {
	info, err := f.File.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(info), nil
}

func infoOf(info fs.FileInfo) Info {
	inode, changed := identity(info)
	return Info{
		Type:       typeOf(info.Mode().Type()),
		Size:       info.Size(),
		ModTime:    info.ModTime().UnixNano(),
		ChangeTime: changed,
		Inode:      inode,
		Private:    info.Mode().Perm()&0o077 == 0,
	}
}

func typeOf(mode fs.FileMode) Type {
	switch {
	case mode == 0:
		return TypeFile
	case mode.IsDir():
		return TypeDir
	// Some file systems do not say in a listing what a name is.
	case mode&fs.ModeIrregular != 0:
		return TypeUnknown
	}
	return TypeOther
}
