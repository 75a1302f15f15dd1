// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fsx

import "errors"

// openBeneath is for Linux only: elsewhere os.Root does everything.
func openBeneath(string) (FS, error) { return nil, errors.ErrUnsupported }
