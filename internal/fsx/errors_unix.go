// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package fsx

import (
	"errors"
	"syscall"
)

// IsNoSpace reports whether an error says that the disk, or what the owner may
// use of it, is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// IsNoLink reports whether an error of Link says that the file system has no
// links, or not this one.
func IsNoLink(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) ||
		errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EMLINK) || errors.Is(err, syscall.EXDEV)
}
