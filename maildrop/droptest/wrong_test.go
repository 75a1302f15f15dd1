// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"restante.example/maildrop/droptest"
)

// wrong is a store that is wrong on purpose, with the checks that must each
// catch it.
type wrong struct {
	name   string
	caught string // names of checks, with blanks between
	bug    func(w *wrapped)
}

// TestWrong shows that no check is decoration: each catches a store that is
// wrong in what it looks at.
func TestWrong(t *testing.T) {
	catches := make(map[string]bool)
	for _, bad := range slices.Concat(wrongContent, wrongDelivery, wrongSession, wrongRemoval, wrongView, wrongDisk) {
		only := strings.Fields(bad.caught)
		for _, name := range only {
			catches[name] = true
		}
		t.Run(strings.ReplaceAll(bad.name, " ", "-"), func(t *testing.T) {
			failures := droptest.Failures(t, droptest.Config{
				New:  func(testing.TB) droptest.Harness { return newBench(bad.bug) },
				Only: only,
				// The same sequences each time: a check that catches does so always.
				Seed: 1, Rounds: 30,
			})
			for _, name := range only {
				if failures[name] == "" {
					t.Errorf("check %s does not catch a store that %s", name, bad.name)
				}
			}
		})
	}
	for _, name := range droptest.Names() {
		if !catches[name] {
			t.Errorf("no store is wrong in what check %s looks at", name)
		}
		delete(catches, name)
	}
	for name := range maps.Keys(catches) {
		t.Errorf("there is no check %q", name)
	}
}
