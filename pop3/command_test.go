// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"restante.example/pop3"
)

func TestParseCommand(t *testing.T) {
	for line, want := range map[string]struct{ word, arg string }{
		"STAT":                {"STAT", ""},
		"stat":                {"STAT", ""},
		"List ":               {"LIST", ""},
		"LIST  1 ":            {"LIST", " 1 "},
		"PASS  two  blanks ":  {"PASS", " two  blanks "},
		"USER ana@example.es": {"USER", "ana@example.es"},
		"UTF8":                {"UTF8", ""},
		"XFOO bar":            {"XFOO", "bar"},
		"PASS \xff\xfe":       {"PASS", "\xff\xfe"},
	} {
		got, err := pop3.ParseCommand([]byte(line))
		if err != nil || got.Word != want.word || string(got.Arg) != want.arg {
			t.Errorf("%q: %q %q, %v", line, got.Word, got.Arg, err)
		}
	}
	for _, line := range []string{
		"", " ", " STAT", "ST-AT", "STAT\t1", "PASS a\x00b", "\x00", "\xff", "+OK", strings.Repeat("A", 17), "É",
	} {
		if got, err := pop3.ParseCommand([]byte(line)); err == nil {
			t.Errorf("%q was taken for %q %q", line, got.Word, got.Arg)
		}
	}
}

func TestCommandWords(t *testing.T) {
	for _, test := range []struct {
		arg  string
		max  int
		want []string
		ok   bool
	}{
		{"", 0, nil, true},
		{"   ", 0, nil, true},
		{"1", 0, nil, false},
		{" 1  2 ", 2, []string{"1", "2"}, true},
		{"1 2 3", 2, []string{"1", "2"}, false},
	} {
		got, ok := pop3.Command{Arg: []byte(test.arg)}.Words(nil, test.max)
		if !slices.Equal(got, test.want) || ok != test.ok {
			t.Errorf("%q, at most %d: %q, %v", test.arg, test.max, got, ok)
		}
	}
}

func TestKnownCommandsDoNotAllocate(t *testing.T) {
	line := []byte("retr 17")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := pop3.ParseCommand(line); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, seed := range []string{"", "STAT", "LIST 1", "PASS  a b ", "\x00", "x\x00", "TOP 1 10", "AUTH PLAIN =", " "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := pop3.ParseCommand(line)
		if err != nil {
			if c.Word != "" || c.Arg != nil {
				t.Fatalf("%q: an error and %q %q", line, c.Word, c.Arg)
			}
			return
		}
		if c.Word == "" || c.Word != strings.ToUpper(c.Word) || bytes.IndexByte(c.Arg, 0) >= 0 {
			t.Fatalf("%q: %q %q", line, c.Word, c.Arg)
		}
		again, err := pop3.ParseCommand([]byte(c.Word + " " + string(c.Arg)))
		if err != nil || again.Word != c.Word || !bytes.Equal(again.Arg, c.Arg) {
			t.Fatalf("%q does not come back: %q %q, %v", line, again.Word, again.Arg, err)
		}
		words, ok := c.Words(nil, 1000)
		if ok && strings.Join(words, " ") != strings.Join(slices.DeleteFunc(strings.Split(string(c.Arg), " "), func(s string) bool { return s == "" }), " ") {
			t.Fatalf("%q: words %q", line, words)
		}
	})
}
