// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

// OpenDir opens a directory as Dir does where there is no openat2.
var OpenDir = openDir
