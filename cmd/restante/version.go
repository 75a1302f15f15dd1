// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version returns the version that this program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "unreleased"
	}
	return info.Main.Version
}

type versionCommand struct{}

// Help is shown below the flags.
func (versionCommand) Help() string { return "Example: restante version" }

// Run shows the version.
func (versionCommand) Run(c *console) error {
	_, err := fmt.Fprintf(c.out, "restante %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
