// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestParseAddress(t *testing.T) {
	long := strings.Repeat("x", 64) + "@" + strings.Repeat(strings.Repeat("y", 62)+".", 4) + "zzz"
	for in, want := range map[string]string{
		"ana@example.org":              "ana@example.org",
		"ana":                          "ana",
		"Postmaster":                   "Postmaster",
		"a+b=c/d!e#f@example.org":      "a+b=c/d!e#f@example.org",
		`"ana"@example.org`:            "ana@example.org",
		`"a\nn\a"@example.org`:         "anna@example.org",
		`"a b"@example.org`:            `"a b"@example.org`,
		`"a@b"@example.org`:            `"a@b"@example.org`,
		`"a>b"@example.org`:            `"a>b"@example.org`,
		`"a\"b\\c"@example.org`:        `"a\"b\\c"@example.org`,
		`""@example.org`:               `""@example.org`,
		`"a..b"@example.org`:           `"a..b"@example.org`,
		"a..b@example.org":             `"a..b"@example.org`,
		"a.@example.org":               `"a."@example.org`,
		"ana@[192.0.2.1]":              "ana@[192.0.2.1]",
		"ana@[IPv6:2001:db8::1]":       "ana@[IPv6:2001:db8::1]",
		"ana@my_host":                  "ana@my_host",
		"@a.example:ana@example.org":   "ana@example.org",
		"@a,@b,@[192.0.2.1]:ana@x.org": "ana@x.org",
		long:                           long,
	} {
		got, err := ParseAddress(in, false)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"@", "@a", "@a:", "@a,:b@c", "@a,b:c@d", "a@", "a@b@c", "a b@c", "a@b c", "a@.b", "a@b.", "a@b..c",
		`"a@b`, `"a"b@c`, `a"b"@c`, `"a\`, `"\`, `"`, "a@[]", "a@[1", "a@1]", "a@[a]b", "a@[a b]", "a@[[]",
		"<a@b>", "a@b>", "a,b@c", "a@b,c", "a:b@c", "a;b@c", "(a)b@c", "a\x00@b", "a\r\n@b", "a\t@b", "\"a\tb\"@c", "a\x7f@b",
		strings.Repeat("x", 600), "a@" + strings.Repeat("x", 256),
	} {
		if got, err := ParseAddress(in, true); !errors.Is(err, errSyntax) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

// Mail servers hand over addresses with brackets, and without quotes.
func TestParseArgument(t *testing.T) {
	for in, want := range map[string]string{
		"ana@example.org":         "ana@example.org",
		`"a b"@example.org`:       `"a b"@example.org`,
		`"a>b"@example.org`:       `"a>b"@example.org`,
		"a b@example.org":         `"a b"@example.org`,
		`a"b\@example.org`:        `"a\"b\\"@example.org`,
		"a@b@example.org":         `"a@b"@example.org`,
		"a,b@example.org":         `"a,b"@example.org`,
		"ana+(x)@example.org":     `"ana+(x)"@example.org`,
		"josé maría@пример.org":   `"josé maría"@пример.org`,
		"<ana@example.org>":       "ana@example.org",
		"<a b@example.org>":       `"a b"@example.org`,
		"<ana>":                   "ana",
		"ana@example.org.":        "ana@example.org",
		`<"a b"@example.org.>`:    `"a b"@example.org`,
		"jane.":                   `"jane."`,
		"a b":                     `"a b"`,
		`\ana`:                    `"\\ana"`,
		"@a,@b:c d@example.org":   `"@a,@b:c d"@example.org`,
		"<@a,@b:ana@example.org>": "ana@example.org",
	} {
		got, err := ParseArgument(in)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
		if again, err := ParseAddress(got, true); err != nil || again != got {
			t.Errorf("%s became %s, and that %s, %v", in, got, again, err)
		}
	}
	for _, in := range []string{"", "<>", "<", ">", "<<a>>", "a <b@c>", "bad sender>", "a b>@c", "<a@b>@c", "@", "@b", "@.", "a b@",
		"a b@.", "a@b..", "a b@c>", "a b@c d", "a\r\nb@c", "a\nb", "a b\x00@c", "a \xff@c", "a " + strings.Repeat("x", 600) + "@c",
		"a " + strings.Repeat("x", 600)} {
		if got, err := ParseArgument(in); !errors.Is(err, errSyntax) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

// A client that is called by its address is told of once.
func TestOrigin(t *testing.T) {
	for want, in := range map[string][2]string{
		"mx.example [127.0.0.1]": {"mx.example", "127.0.0.1"},
		"[127.0.0.1]":            {"[127.0.0.1]", "127.0.0.1"},
		"[127.0.0.2]":            {"127.0.0.2", "127.0.0.2"},
		"[::1]":                  {"[IPv6:::1]", "::1"},
		"[127.0.0.1] [::1]":      {"[127.0.0.1]", "::1"},
		"mx [unix]":              {"mx", "unix"},
	} {
		if got := origin(in[0], in[1]); got != want {
			t.Errorf("%v: got %q, want %q", in, got, want)
		}
	}
}

func TestParseAddressBeyondASCII(t *testing.T) {
	for _, in := range []string{"josé@example.org", "ana@пример.example", "用户@例子.广告", `"a é"@b`} {
		if _, err := ParseAddress(in, false); !errors.Is(err, errNeedsUTF8) {
			t.Errorf("%s without SMTPUTF8: %v", in, err)
		}
		if got, err := ParseAddress(in, true); err != nil || got != in {
			t.Errorf("%s: got %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"a\xff@b", "a\u0085@b", "\"a\\é\"@b", "a@[é]"} {
		if got, err := ParseAddress(in, true); !errors.Is(err, errSyntax) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

// FuzzAddress: what is accepted is the same address when it is read again, also
// out of a command, and can stand in a header line.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"ana@example.org", `"a b"@c`, `"a\"\\b>"@c`, "@a,@b:c@d", "josé@пример", "a@[IPv6:::1]", "postmaster", `""@x`, "a..b@c", `"`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, path string, smtputf8 bool) {
		got, err := ParseAddress(path, smtputf8)
		if err != nil {
			return
		}
		if again, err := ParseAddress(got, smtputf8); err != nil || again != got {
			t.Fatalf("%q became %q, and that %q, %v", path, got, again, err)
		}
		if p, rest, err := cutPath("TO:<"+got+"> X=Y", "TO:"); err != nil || p != got || rest != "X=Y" {
			t.Fatalf("%q is read as %q and %q, %v", got, p, rest, err)
		}
		if got == "" || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q became %q", path, got)
		}
	})
}

func FuzzMailParams(f *testing.F) {
	for _, s := range []string{"", "SIZE=1", "SIZE=99999999999999999999 BODY=7BIT", "SMTPUTF8 body=8bitmime", "X", "SIZE=1 SIZE=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		p, err := parseMailParams(rest)
		if err == nil && p.size < 0 {
			t.Fatalf("%q gives the size %d", rest, p.size)
		}
		if err != nil && !errors.Is(err, errSyntax) && !errors.Is(err, errUnknownParam) {
			t.Fatalf("%q gives %v", rest, err)
		}
	})
}
