// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestClients(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.TrimSuffix(strings.Repeat("BB:", 32), ":")
	name := write(t, `
[mechanisms]
EXTERNAL = "on"
[client_certificates]
ca_file = "clients.pem"
names = ["uri", "common-name"]
[client_certificates.fingerprints]
ana = ["`+a+`"]
"bob@example.org" = ["`+b+`", "`+a+`"]
`)
	c, err := Load(name, Flags{Data: "/d"}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSuffix(name, "c.toml") + "clients.pem"; c.Clients.CAFile != want || !reflect.DeepEqual(c.Clients.Names, []string{"uri", "common-name"}) {
		t.Errorf("%+v, want %s", c.Clients, want)
	}
	want := map[string][]string{a: {"ana", "bob@example.org"}, strings.Repeat("b", 64): {"bob@example.org"}}
	if got := c.Clients.ByFingerprint(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}

	for text, want := range map[string]string{
		"names = [\"serial\"]":              `:3: client_certificates.names has "serial"; it can have "email"`,
		"fingerprints = { ana = [\"ab\"] }": `:3: client_certificates.fingerprints of "ana": "ab" is no SHA-256`,
		"names = \"email\"":                 `:3: `,
	} {
		if _, err := Load(write(t, "mechanisms = { EXTERNAL = \"on\" }\n[client_certificates]\n"+text), Flags{Data: "/d"}, noEnv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What is on and could let nobody in is a mistake.
func TestMechanismsThatCannotWork(t *testing.T) {
	for text, want := range map[string]string{
		"EXTERNAL = \"on\"":       `:2: EXTERNAL is on, and no client certificate is believed`,
		"EXTERNAL = \"required\"": `:2: EXTERNAL is on`,
		"EXTERNAL = \"off\"\n":    "",
		"OAUTHBEARER = \"off\"\n": "",
		"APOP = \"on\"\n":         "",
		"EXTERNAL = \"on\"\n[client_certificates]\nca_file = \"x\"\n":       "",
		"SCRAM-SHA-256-PLUS = \"required\"\n[users]\nhelper = [\"/bin/x\"]": `:2: SCRAM-SHA-256-PLUS is required, and the helper`,
	} {
		_, err := Load(write(t, "[mechanisms]\n"+text), Flags{Data: "/d"}, noEnv)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
