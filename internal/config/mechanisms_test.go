// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"testing"
)

func TestMechanisms(t *testing.T) {
	for _, test := range []struct{ text, accepted string }{
		{"", "LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS USER"},
		{"[mechanisms]\nSCRAM-SHA-256 = \"off\"\n", "LOGIN PLAIN USER"},
		{"[mechanisms]\nSCRAM-SHA-1 = \"on\"\nplain = \"off\"\nLOGIN = \"off\"\n",
			"SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS USER"},
		{"[mechanisms]\nSCRAM-SHA-256 = \"required\"\n", "SCRAM-SHA-256 SCRAM-SHA-256-PLUS"},
		{"mechanisms = { SCRAM-SHA-256-PLUS = \"required\" }\n", "SCRAM-SHA-256-PLUS"},
	} {
		c, err := Load(write(t, test.text), Flags{Data: "/d"}, noEnv)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got := strings.Join(c.Mechanisms.Accepted(), " "); got != test.accepted {
			t.Errorf("%q accepts %s", test.text, got)
		}
	}
	for text, want := range map[string]string{
		"[mechanisms]\nCRAM-MD5 = \"on\"\n": `:2: [mechanisms] has no "CRAM-MD5"; it has: SCRAM-SHA-256-PLUS`,
		"[mechanisms]\nPLAIN = \"yes\"\n":   `:2: [mechanisms] PLAIN is "yes"; it can be "off", "on" or "required"`,
		"[mechanisms]\nSCRAM-SHA-256 = \"off\"\nPLAIN = \"off\"\nLOGIN = \"off\"\nUSER = \"off\"\n": `every way to sign in`,
	} {
		if _, err := Load(write(t, text), Flags{Data: "/d"}, noEnv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What a listener leaves open is as in the general table, and nothing else.
func TestMechanismsOver(t *testing.T) {
	own := Mechanisms{Plain: OfferOff, SCRAM256: OfferRequired}
	got := own.Over(defaultMechanisms())
	if !slices.Equal(got.Accepted(), []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}) || got.Plain != OfferOff || got.User != OfferOn {
		t.Errorf("%+v", got)
	}
	if own.User != "" {
		t.Error("the table of the listener was changed")
	}
}
