// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package texts

import (
	"testing"

	"golang.org/x/text/language"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want language.Tag
	}{
		{nil, language.English},
		{[]string{"LANG", "es_ES.UTF-8"}, language.Spanish},
		{[]string{"LANG", "es"}, language.Spanish},
		{[]string{"LANG", "est_EE"}, language.English},
		{[]string{"LANG", "es_MX.UTF-8", "LC_ALL", "C"}, language.English},
		{[]string{"LANG", "C.UTF-8", "LC_MESSAGES", "es_AR@euro"}, language.Spanish},
		{[]string{"LANG", "de_DE.UTF-8"}, language.English},
	} {
		if got := Language(env(c.env...)); got != c.want {
			t.Errorf("%v: got %v, want %v", c.env, got, c.want)
		}
	}
}

func TestPrinter(t *testing.T) {
	table := Table{"%s has %d letters": "%[1]s tiene %[2]d cartas"}
	for lang, want := range map[string]string{"es_ES": "ana tiene 3 cartas", "en_GB": "ana has 3 letters"} {
		p, err := New(env("LANG", lang), table)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Sprintf("%s has %d letters", "ana", 3); got != want {
			t.Errorf("%s: got %q, want %q", lang, got, want)
		}
	}
	p, err := New(env("LANG", "es"), table)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Sprintf("not in the table: %s", "x"); got != "not in the table: x" {
		t.Errorf("got %q", got)
	}
}
