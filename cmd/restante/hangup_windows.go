// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "os"

// hangUp is empty: Windows has no such signal; restart restante run instead.
// The one here is never sent there, since Notify without a signal means all.
var hangUp = []os.Signal{os.Kill}
