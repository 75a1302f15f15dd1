// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package house

import (
	"bytes"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the root of the repository.
var root = filepath.Join("..", "..")

// testName is how the documents name a test: the folder, then the function.
var testName = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz|Benchmark|Example)[A-Za-z0-9_]*)`")

// testsOf returns the names of the test functions in a folder.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	fn := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fn.FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
	}
	return found
}

// rows returns the rows of the tables in a document, without heads and rules,
// as cells.
func rows(t *testing.T, document string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "|---") {
			continue
		}
		if i+1 < len(lines) && (strings.HasPrefix(lines[i+1], "| ---") || strings.HasPrefix(lines[i+1], "|---")) {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		all = append(all, cells)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no table", document)
	}
	return all
}

// checkRows checks that the last cell of each row names tests that exist. A
// row whose status is "later" may name none.
func checkRows(t *testing.T, document string, statusColumn int) {
	folders := map[string]map[string]bool{}
	for _, cells := range rows(t, document) {
		status := cells[statusColumn]
		names := testName.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(names) == 0 && !strings.HasPrefix(status, "later") {
			t.Errorf("%s: row %q names no test", document, cells[0])
		}
		for _, n := range names {
			if folders[n[1]] == nil {
				folders[n[1]] = testsOf(t, n[1])
			}
			if !folders[n[1]][n[2]] {
				t.Errorf("%s: row %q names %s.%s, which is not there", document, cells[0], n[1], n[2])
			}
		}
	}
}

func TestEachRFCRowNamesItsTests(t *testing.T) {
	checkRows(t, "docs/rfc.md", 2)
	statuses := map[string]bool{"complete": true, "part": true, "later": true}
	for _, cells := range rows(t, "docs/rfc.md") {
		if len(cells) != 5 {
			t.Errorf("docs/rfc.md: row %q has %d cells, want RFC, subject, status, deviations, tests", cells[0], len(cells))
			continue
		}
		if word, _, _ := strings.Cut(cells[2], " "); !statuses[strings.TrimSuffix(word, ":")] {
			t.Errorf("docs/rfc.md: row %q has status %q, want complete, part or later", cells[0], cells[2])
		}
	}
}

func TestEachBehaviourNamesItsTests(t *testing.T) {
	checkRows(t, "docs/behaviours.md", 2)
}

// TestEachDependencyHasItsReason checks that each direct dependency has a row
// in docs/dependencies.md, and that no row is left over.
func TestEachDependencyHasItsReason(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	line := regexp.MustCompile(`(?m)^\s+([a-z0-9.]+/\S+) v\S+$`)
	for _, m := range line.FindAllSubmatch(mod, -1) {
		want[string(m[1])] = true
	}
	if len(want) == 0 {
		t.Fatal("go.mod has no direct dependency: the pattern is wrong")
	}
	for _, cells := range rows(t, "docs/dependencies.md") {
		name := strings.Trim(cells[0], "`")
		if !want[name] {
			t.Errorf("docs/dependencies.md: %s is not required directly", name)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is required by go.mod and has no row in docs/dependencies.md", name)
	}
}

func TestEachFileBeginsWithTheLicence(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && !bytes.HasPrefix(text, []byte("// Copyright The restante authors.\n// SPDX-License-Identifier: Apache-2.0\n")) {
			t.Errorf("%s does not begin with the copyright and licence lines", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tracked yields the path and the content of each file that git keeps under a
// pattern and that is there.
func tracked(t *testing.T, pattern string) iter.Seq2[string, []byte] {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "-z", pattern).Output()
	if err != nil {
		t.Skip("this is no git checkout, so its files cannot be listed: run it in a clone")
	}
	return func(yield func(string, []byte) bool) {
		for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			text, err := os.ReadFile(filepath.Join(root, path))
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if !yield(path, text) {
				return
			}
		}
	}
}

// TestNoMergeIsHalfDone checks that no file holds the marks that git leaves where
// two sides changed the same lines.
func TestNoMergeIsHalfDone(t *testing.T) {
	marks := regexp.MustCompile(`(?m)^(?:<{7}|>{7}) .*$`)
	files := 0
	for path, text := range tracked(t, "*") {
		files++
		for _, mark := range marks.FindAll(text, -1) {
			t.Errorf("%s: %s", path, mark)
		}
	}
	if files == 0 {
		t.Error("git keeps no files: the pattern is wrong")
	}
}

// TestDocumentsHaveNoBrokenLinks checks that relative links in the documents
// lead to files.
func TestDocumentsHaveNoBrokenLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for doc, text := range tracked(t, "*.md") {
		for _, m := range link.FindAllSubmatch(text, -1) {
			target := filepath.Join(root, filepath.Dir(doc), string(m[1]))
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
	}
}
