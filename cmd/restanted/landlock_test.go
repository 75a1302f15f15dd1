// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// landlock WHAT waits until the log says what the kernel lets the server say:
// that it is confined, or that a file is beyond.
func landlock(ts *testscript.TestScript, neg bool, args []string) {
	confined := hasLandlock()
	want := map[string]string{"confined": "not confined by Landlock", "beyond": "the new configuration is refused"}[args[0]]
	if confined {
		want = map[string]string{"confined": "confined by Landlock", "beyond": "a restart puts the new configuration in force"}[args[0]]
	}
	await(ts, neg, []string{"log", want})
	text, err := os.ReadFile(ts.MkAbs("log"))
	ts.Check(err)
	if confined && strings.Contains(string(text), "not confined") {
		ts.Fatalf("the kernel has Landlock, and the log says\n%s", text)
	}
}
