// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package house

import (
	"slices"
	"strings"
	"testing"
)

// isolated are modules that only the named packages may import.
var isolated = []struct {
	module   string
	packages []string
	why      string
}{
	{"github.com/pires/go-proxyproto", []string{"internal/proxyheader"},
		"what a proxy says of its client is read, bounded and believed or not in one place"},
	{"github.com/landlock-lsm/go-landlock", []string{"internal/sandbox"},
		"what a process gives up is said in one place, in the words of what it needs"},
	{"github.com/coreos/go-systemd/v22", []string{"internal/daemon"},
		"sockets are taken over once, by who binds the others; notifications are our own"},
}

func TestIsolatedModules(t *testing.T) {
	used := map[string]bool{}
	for _, p := range goList(t, "./...") {
		pkg := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, rule := range isolated {
			for _, imp := range p.Imports {
				if !under(imp, rule.module) {
					continue
				}
				used[rule.module] = true
				if !slices.Contains(rule.packages, pkg) {
					t.Errorf("%s imports %s: %s", pkg, imp, rule.why)
				}
			}
		}
	}
	for _, rule := range isolated {
		if !used[rule.module] {
			t.Errorf("%s is imported nowhere: take its rule out", rule.module)
		}
	}
}
