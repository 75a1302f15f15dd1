// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !faults

package daemon

import (
	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// withFaults returns the store as it is. Builds with the tag "faults" make it
// wrong on purpose, to show that the kill test finds that.
func withFaults(s maildrop.Store) maildrop.Store { return s }

// withFaultyDisk returns the file system as it is, likewise.
func withFaultyDisk(f fsx.FS) fsx.FS { return f }
