// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestQuirksNameTheirTests: whatever docs/quirks.md says, a test here shows it.
func TestQuirksNameTheirTests(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "quirks.md"))
	if err != nil {
		t.Fatal(err)
	}
	items := strings.Split(string(text), "\n- ")[1:]
	if len(items) < 10 {
		t.Fatalf("only %d quirks were found", len(items))
	}
	name := regexp.MustCompile("`internal/interop\\.(Test\\w+)`")
	for _, item := range items {
		m := name.FindStringSubmatch(item)
		if m == nil || !strings.Contains(tests.String(), "func "+m[1]+"(") {
			t.Errorf("no test is named that is here: %q", item)
		}
	}
}
