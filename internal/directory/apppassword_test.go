// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"regexp"
	"strings"
	"testing"
)

func TestAppPasswords(t *testing.T) {
	form := regexp.MustCompile(`^([abcdefghijkmnpqrstuvwxyz23456789]{4}-){7}[abcdefghijkmnpqrstuvwxyz23456789]{4}$`)
	seen := map[string]bool{}
	for range 1000 {
		p := newAppPassword()
		if !form.MatchString(p) || seen[p] {
			t.Fatalf("made %q", p)
		}
		seen[p] = true
		if err := checkPassword(p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAppPasswordAsItIsTyped(t *testing.T) {
	const p, want = "abcd-efgh-ijkm-npqr-stuv-wxyz-2345-6789", "abcdefghijkmnpqrstuvwxyz23456789"
	for _, typed := range []string{
		p, want, strings.ToUpper(p), strings.ReplaceAll(p, "-", " "), strings.ReplaceAll(p, "-", "\u2013"),
		" " + p + " ", "Abcd efgh-ijkm\u2011npqr stuv\u00a0wxyz 2345 6789", "abcd\u00adefgh-ijkm\u200bnpqr-stuv-wxyz-2345-6789", strings.Join(strings.Split(want, ""), " "),
	} {
		if got, ok := parseAppPassword(typed); !ok || got != want {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
	for _, typed := range []string{
		"", "secret", p + "a", p[1:], strings.Replace(p, "a", "l", 1), strings.Replace(p, "a", "0", 1), strings.Replace(p, "a", "ä", 1),
		p + strings.Repeat(" ", 200), strings.Repeat("-", 40), strings.Replace(p, "-", "_", 1), "\xff" + p,
	} {
		if got, ok := parseAppPassword(typed); ok {
			t.Errorf("%q was taken for %q", typed, got)
		}
	}
}

func TestStoredAppPassword(t *testing.T) {
	canonical, _ := parseAppPassword(newAppPassword())
	a, b := hashApp("u1", canonical), hashApp("u1", canonical)
	if !isApp(a, "u1", canonical) || !isApp(b, "u1", canonical) || string(a) == string(b) {
		t.Error("a hash does not fit, or has no salt")
	}
	if strings.Contains(string(a), canonical) {
		t.Error("the password is stored")
	}
	for i := range a {
		a[i] ^= 1
		if isApp(a, "u1", canonical) {
			t.Fatalf("octet %d does not count", i)
		}
		a[i] ^= 1
	}
	if isApp(a, "u2", canonical) || isApp(a, "u1", canonical[1:]+"a") || isApp(nil, "u1", canonical) || isApp(a[:20], "u1", canonical) {
		t.Error("a hash fits what it is not of")
	}
}
