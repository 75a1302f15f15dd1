// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"restante.example/pop3"
)

// Every text that a reply can have: the constants of type text in the package's
// own code, found by the type checker, so that none can be forgotten.
func texts(t *testing.T) map[text]token.Position {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	set := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if ours, err := build.Default.MatchFile(".", name); err != nil {
			t.Fatal(err)
		} else if !ours || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	config := types.Config{Importer: importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	if _, err := config.Check("restante.example/pop3server", set, files, info); err != nil {
		t.Fatal(err)
	}
	found := make(map[text]token.Position)
	for e, tv := range info.Types {
		named, ok := tv.Type.(*types.Named)
		if !ok || named.Obj().Name() != "text" || tv.Value == nil || tv.Value.Kind() != constant.String {
			continue
		}
		if at := set.Position(e.Pos()); at.Filename != "spanish.go" {
			found[text(constant.StringVal(tv.Value))] = at
		}
	}
	return found
}

var verb = regexp.MustCompile(`%.`)

// Every text has a translation that takes the same arguments, every translation
// is of use, and each fits the first line of a reply in both languages, with and
// without UTF-8. RFC 2449 section 4.
func TestTexts(t *testing.T) {
	used := texts(t)
	if len(used) < 40 {
		t.Fatalf("only %d texts were found", len(used))
	}
	var out bytes.Buffer
	longest := pop3.Code(strings.Repeat("X", maxCode))
	for english, at := range used {
		translated, ok := spanish[english]
		if !ok {
			t.Errorf("%s: no translation of %q", at, english)
		}
		verbs := verb.FindAllString(string(english), -1)
		if got := verb.FindAllString(translated, -1); !slices.Equal(got, verbs) {
			t.Errorf("%q takes %q, %q takes %q", english, verbs, translated, got)
		}
		var args []any
		for _, v := range verbs {
			switch v {
			case "%s":
				args = append(args, strings.Repeat("W", 16)) // the longest command
			case "%d":
				args = append(args, 1<<31-1)
			default:
				t.Errorf("%q has %s", english, v)
			}
		}
		for _, s := range []speech{{}, {spanish: true}, {utf8: true}, {spanish: true, utf8: true}} {
			c := &conn{speech: s}
			said := c.sayf(english, args)
			if !s.utf8 && !isASCII(said) || strings.ContainsAny(said, "?\r\n\x00") || strings.Contains(said, "%!") {
				t.Errorf("%q is said as %q with %+v", english, said, s)
			}
			out.Reset()
			// As refuse writes it, behind a code, and okCount between two numbers.
			fmt.Fprintf(&out, "-ERR %v %s%d%d\r\n", longest, said, 1<<31-1, int64(1<<63-1))
			if out.Len() > pop3.MaxStatus {
				t.Errorf("%d octets: %q", out.Len(), &out)
			}
		}
	}
	for english := range spanish {
		if _, ok := used[english]; !ok {
			t.Errorf("nobody says %q", english)
		}
	}
}

// English costs nothing: no look-up and no memory.
func TestEnglishIsFree(t *testing.T) {
	c := &conn{}
	if n := testing.AllocsPerRun(100, func() { c.say(" octets") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// RFC 4647 sections 2.1 and 3.4.
func TestLanguageRanges(t *testing.T) {
	for in, want := range map[string]string{
		"en": English, "EN": English, "en-GB": English, "en-boont": English, "en-x-restante": English,
		"es": Spanish, "Es-mx": Spanish, "es-419": Spanish, "es-Latn-ES-x-a1234567": Spanish,
		"de": "", "esp": "", "e": "", "MUL": "", "i-default": "", "x-es": "", "zh-Hant-TW": "", "enEN": "",
	} {
		if !isRange(in) {
			t.Errorf("%q is a range", in)
		}
		if got := lookUp(in); got != want {
			t.Errorf("%q finds %q, want %q", in, got, want)
		}
	}
	for _, bad := range []string{"", "-", "en-", "-en", "en--US", "es_ES", "12", "e5", "abcdefghi", "en-abcdefghi", "**", "*-ES", "es-*", "ñ", "en-ñ", "en\t"} {
		if isRange(bad) {
			t.Errorf("%q is no range", bad)
		}
	}
}

func TestASCIIOnly(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "ÁÉÍÓÚÜÑáéíóúüñ": "AEIOUUNaeiouun", "¿qué?": "?que?", "\xff": "?", "密码": "??",
	} {
		if got := asciiOnly(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
