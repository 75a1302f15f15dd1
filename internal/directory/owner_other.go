// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package directory

import "os"

// inheritOwner does nothing where files have no such owners.
func inheritOwner(*os.File, string) error { return nil }

// syncDir does nothing where directories cannot be flushed.
func syncDir(string) error { return nil }
