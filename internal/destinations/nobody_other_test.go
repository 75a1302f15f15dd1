// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package destinations

import "testing"

func asNobody(t *testing.T) bool {
	t.Skip("needs a user whom modes bind; run on Unix")
	return false
}
