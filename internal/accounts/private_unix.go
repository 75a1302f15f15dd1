// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package accounts

import "io/fs"

// private reports whether only the owner can read a file.
func private(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }
