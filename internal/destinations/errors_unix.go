// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package destinations

import "syscall"

const errReadOnly = syscall.EROFS
