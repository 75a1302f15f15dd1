// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import "golang.org/x/sys/windows"

const errReadOnly = windows.ERROR_WRITE_PROTECT
