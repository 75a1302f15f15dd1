// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package textstest checks translations: that each text for people has one,
// that each is used, and that both take the same arguments.
package textstest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"restante.example/internal/texts"
)

var verb = regexp.MustCompile(`%(?:\[\d+\])?[-+# 0-9.]*[a-zA-Z]`)
var index = regexp.MustCompile(`\[\d+\]`)

// verbs returns the verbs of a text, sorted and without their positions.
func verbs(text string) []string {
	list := verb.FindAllString(strings.ReplaceAll(text, "%%", ""), -1)
	for i := range list {
		list[i] = index.ReplaceAllString(list[i], "")
	}
	slices.Sort(list)
	return list
}

// Check reads the Go files of dir and takes the first string among the
// arguments of each call of one of the functions or methods named as a text
// for people.
func Check(t *testing.T, dir string, table texts.Table, functions ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	used := make(map[string]bool)
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !slices.Contains(functions, called(call)) {
				return true
			}
			for _, arg := range call.Args {
				text, ok := literal(arg)
				if !ok {
					continue
				}
				used[text] = true
				translation, ok := table[text]
				if !ok {
					t.Errorf("%s: no translation of %q", set.Position(call.Pos()), text)
				} else if !slices.Equal(verbs(text), verbs(translation)) {
					t.Errorf("%s: %q and %q take different arguments", set.Position(call.Pos()), text, translation)
				}
				break
			}
			return true
		})
	}
	if len(used) == 0 {
		t.Errorf("no text for people was found in %s", dir)
	}
	for text := range table {
		if !used[text] {
			t.Errorf("the translation of %q is not used", text)
		}
	}
}

// called returns the name of the function or method that is called.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// literal returns the value of a string literal, or of a sum of them.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, ok2 := literal(e.Y)
		return left + right, ok && ok2
	}
	return "", false
}
