// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

// checks lists the suite. A new check needs a store that is wrong on purpose
// in wrong_test.go, which it catches.
func checks() []check {
	return []check{}
}
