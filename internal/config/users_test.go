// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSourcesOfUsers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.toml")
	load := func(text string) (*Config, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(file, Flags{Data: "/data"}, func(string) string { return "" })
	}
	c, err := load("[users]\npasswd_file = \"users\"\nhelper = [\"/usr/bin/check\", \"x\"]\nunknown_recipients = \"refuse\"\n")
	if err != nil || c.Users.PasswdFile != filepath.Join(filepath.Dir(file), "users") || len(c.Users.Helper) != 2 ||
		c.Users.UnknownRecipients != UnknownRefuse || c.Users.HelperRemember != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = load("[users]\nhelper = [\"check\"]\nhelper_timeout = \"1h\"\nhelper_at_once = 0\nhelper_remember = \"2d\"\nunknown_recipients = \"no\"\n")
	for _, want := range []string{":2: helper \"check\" must be", ":3: helper_timeout", ":4: helper_at_once", ":5: helper_remember", ":6: users.unknown_recipients"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s in\n%v", want, err)
		}
	}
}
