// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

// hasLandlock reports that other systems have none.
func hasLandlock() bool { return false }
