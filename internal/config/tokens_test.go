// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	const issuer = "issuer = \"https://login.example.org/realms/office\"\n"
	const asked = "introspection = \"https://login.example.org/introspect\"\n"
	const who = "client_id = \"restante\"\nclient_secret_file = \"secret\"\n"
	const on = "mechanisms = { OAUTHBEARER = \"on\" }\n[tokens]\n"
	for _, text := range []string{
		issuer + "audience = [\"restante\"]",
		issuer + "audience = [\"a\", \"b\"]\nscopes = [\"mail\"]\nuser_claim = \"sub\"\nalgorithms = [\"ES256\"]\nclock_skew = \"0s\"",
		asked + who + "scopes = [\"mail\"]\ncache = \"0s\"",
		issuer + asked + who + "audience = [\"restante\"]",
		"introspection = \"http://127.0.0.1:8080/introspect\"\naudience = [\"r\"]\n" + who,
	} {
		c, err := Load(write(t, on+text), Flags{Data: "/d"}, noEnv)
		switch {
		case err != nil:
			t.Errorf("%s\n%v", text, err)
		case !c.Tokens.On():
			t.Errorf("%s\nswitches tokens off", text)
		}
	}
	for text, want := range map[string]string{
		issuer: "needs audience",
		"issuer = \"http://login.example.org/\"\naudience = [\"r\"]":                      "must begin with https",
		"issuer = \"login.example.org\"\naudience = [\"r\"]":                              "no address",
		"issuer = \"https://u:p@login.example.org\"\naudience = [\"r\"]":                  "no password",
		"issuer = \"https://e.org/.well-known/openid-configuration\"\naudience = [\"r\"]": "before /.well-known/",
		issuer + "audience = [\"\"]":                                                      "empty text",
		issuer + "audience = [\"r\"]\nalgorithms = [\"HS256\"]":                           "prove nothing",
		issuer + "audience = [\"r\"]\nalgorithms = [\"none\"]":                            "prove nothing",
		issuer + "audience = [\"r\"]\nclock_skew = \"11m\"":                               "from 0s to 10m",
		issuer + "audience = [\"r\"]\nclock_skew = \"-1s\"":                               "from 0s to 10m",
		issuer + "audience = [\"r\"]\ntimeout = \"0s\"":                                   "from 100ms to 1m",
		issuer + "audience = [\"r\"]\nclient_id = \"r\"":                                  "without introspection",
		asked + who:                  "needs audience or scopes",
		asked + "audience = [\"r\"]": "needs client_id",
		asked + who + "scopes = [\"m\"]\ncache = \"2h\"":           "from 0s to 1h",
		asked + who + "scopes = [\"m\"]\nalgorithms = [\"RS256\"]": "algorithms means nothing",
		"audience = [\"r\"]":          "without issuer",
		"client_secret = \"hunter2\"": "has no \"client_secret\"",
	} {
		_, err := Load(write(t, on+text), Flags{Data: "/d"}, noEnv)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "c.toml:") {
			t.Errorf("%s\nis answered with %v, want %q", text, err, want)
		}
	}
	provider := "[tokens]\n" + issuer + "audience = [\"r\"]\n"
	listener := "[[listener]]\nservice = \"pop3s\"\naddress = \"127.0.0.1:9995\"\nmechanisms = { XOAUTH2 = \"on\" }\n"
	for text, want := range map[string]string{
		provider:            "c.toml:2: [tokens] names a provider, and no way",
		on:                  "c.toml:1: OAUTHBEARER or XOAUTH2 is on, and [tokens] names no provider",
		listener:            "OAUTHBEARER or XOAUTH2 is on, and [tokens] names no provider",
		provider + listener: "",
	} {
		_, err := Load(write(t, text), Flags{Data: "/d"}, noEnv)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\nis answered with %v, want %q", text, err, want)
		}
	}
}
