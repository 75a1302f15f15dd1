// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// DropTo says whose the data directory is when this process is root and the
// directory is not: then everything in it is done as that user.
func DropTo(dir string) (uid, gid int, drop bool, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, false, nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return 0, 0, false, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return 0, 0, false, nil
	}
	return int(owner.Uid), int(owner.Gid), true, nil
}

// RootError says that a server would serve as root, because its data directory
// is root's, or is not there and would be.
type RootError struct{ Data string }

func (e *RootError) Error() string {
	return fmt.Sprintf("the server would serve as root, which owns or would own %s", e.Data)
}

// OwnedError says that a server runs on the data directory already.
type OwnedError struct{ Data string }

func (e *OwnedError) Error() string { return "a server runs on " + e.Data + " already" }

// neverAsRoot returns a RootError where the server would not become another
// user.
func neverAsRoot(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	_, _, drop, err := DropTo(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !drop:
		return &RootError{dir}
	}
	return nil // what else is wrong shows when it is opened
}

// BecomeOwner makes a process of root one of the owner of dir, for good. It
// does nothing when the process is not root or the directory is root's.
func BecomeOwner(dir string) error {
	uid, gid, drop, err := DropTo(dir)
	if err != nil || !drop {
		return err
	}
	groups := []int{gid}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		ids, err := u.GroupIds()
		if err != nil {
			return fmt.Errorf("groups of %s: %w", u.Username, err)
		}
		for _, id := range ids {
			n, err := strconv.Atoi(id)
			if err != nil {
				return fmt.Errorf("groups of %s: %w", u.Username, err)
			}
			if !slices.Contains(groups, n) {
				groups = append(groups, n)
			}
		}
	}
	// The package syscall does each of these for all threads.
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("setgid %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("setuid %d: %w", uid, err)
	}
	return nil
}
