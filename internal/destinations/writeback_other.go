// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package destinations

import "restante.example/internal/fsx"

// startWriting does nothing: only Linux has a call for it.
func startWriting(fsx.File) {}
