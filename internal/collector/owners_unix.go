// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package collector

import "io/fs"

// ownersOnly reports whether others are kept out of a directory.
func ownersOnly(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }
