// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"strings"
	"testing"
)

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"u1": "u1", "U1": "u1", "u1@Example.ORG": "u1@example.org", "a.b-c_d+e": "a.b-c_d+e", "o'neil": "o'neil",
		"JÜRGEN@Bücher.example": "jürgen@bücher.example", "ju\u0308rgen": "jürgen", "Ｕ１": "u1",
		"u1@xn--bcher-kva.example": "u1@bücher.example", "пётр": "пётр", "用户@例え.jp": "用户@例え.jp",
		strings.Repeat("a", 255): strings.Repeat("a", 255),
	} {
		if got, err := CleanName(in); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"": "1 to 255", strings.Repeat("a", 256): "1 to 255", "a b": "blank", "a\x00b": "control", "a\nb": "control",
		"a\u0085b": "control", "a/b": "directories", `a\b`: "directories", "../x": "directories", "a..b": "two dots",
		".hidden": "dot", "x@.org": "domain", "x@org.": "domain", "@x": "neither", "x@": "neither", "a@b@c": "neither",
		"\xff": "UTF-8", "a\u3000b": "characters", "\u2024\u2024": "name", "a<b": "meaning", "x@[1.2.3.4]": "meaning",
		"x@a b.org": "blank", "x@ex_ample!.org": "domain", "x@ex\u0301\u2044.org": "domain", "🔑": "characters", "a\u2044b": "characters", "／": "characters",
	} {
		got, err := CleanName(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want an error with %q", in, got, err, want)
		}
	}
}

func TestPasswordsArePrepared(t *testing.T) {
	for in, want := range map[string]string{
		"plain pass": "plain pass", "u\u0308": "ü", "a\u00a0b": "a b", "пароль": "пароль", "密码🔑": "密码🔑",
	} {
		if got, ok := preparePassword(in); got != want || !ok {
			t.Errorf("%q: %q, %t, want %q", in, got, ok, want)
		}
	}
	for _, bad := range []string{"a\x07b", "a\x7f", "\xff\xfe", "contrase\xf1a", "x\u0007ü", "ü\u0085", "ü\ufdd0", "\xc0\xaf", "\xed\xa0\x80ü"} {
		if got, ok := preparePassword(bad); ok {
			t.Errorf("%q is prepared: %q", bad, got)
		}
		if checkPassword(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, bad := range []string{"", "a\nb", "a\x00b", strings.Repeat("x", 256)} {
		if checkPassword(bad) == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
	if err := checkPassword("correct horse ü"); err != nil {
		t.Error(err)
	}
}

// A clean name is safe as a path, and clean again.
func FuzzCleanName(f *testing.F) {
	for _, seed := range []string{"u1", "U1@Example.org", "JÜRGEN@xn--bcher-kva.example", "a/b", "..", "Ｕ１@ｘ.org", "ſ", "K", "\u2024."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		name, err := CleanName(in)
		if err != nil {
			return
		}
		if again, err := CleanName(name); again != name || err != nil {
			t.Errorf("%q gives %q, and that gives %q, %v", in, name, again, err)
		}
		if name == "" || len(name) > maxName || name[0] == '.' || strings.Contains(name, "..") ||
			strings.ContainsAny(name, "/\\\x00 \r\n\t") || strings.Count(name, "@") > 1 {
			t.Errorf("%q gives %q, which is not safe", in, name)
		}
		if _, domain, ok := strings.Cut(name, "@"); ok && (domain == "" || domain[0] == '.') {
			t.Errorf("%q has the domain %q", name, domain)
		}
	})
}
