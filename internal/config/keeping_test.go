// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

// EXPIRE says what is guaranteed, or nothing. RFC 2449 section 6.7.
func TestExpireAndRetention(t *testing.T) {
	for text, want := range map[string]int{
		"":                           0,
		"expire = \"30\"":            30,
		"expire = \"never\"":         -1,
		"[retention]\nage = \"90d\"": 90,
		"[retention]\nage = \"36h\"": 1,
		"[retention]\nage = \"5h\"":  0,
		"[retention]\nage = \"9d\"\nmessages = 5":     0,
		"[retention]\noctets = \"1GiB\"":              0,
		"expire = \"30\"\n[retention]\nage = \"30d\"": 30,
	} {
		c, err := Load(write(t, text), Flags{Data: "/d"}, noEnv)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, err := c.ExpireDays(); got != want || err != nil {
			t.Errorf("%q announces %d, want %d, %v", text, got, want, err)
		}
	}
	// What users have of their own can make it less, and never more.
	days := func(n int) Retention { return Retention{Age: Duration(n) * day} }
	for _, c := range []struct {
		expire string
		all    Retention
		own    []Retention
		want   int
	}{
		{"", Retention{}, []Retention{{}}, 0},
		{"", Retention{}, []Retention{{}, days(40), days(30)}, 30},
		{"", days(20), []Retention{days(30), {}}, 20},
		{"", days(20), []Retention{days(10), days(30)}, 10},
		{"", days(20), []Retention{{Messages: 5}, days(30)}, 0},
		{"", Retention{Octets: 1}, []Retention{days(30)}, 0},
		{"never", Retention{}, []Retention{{}}, -1},
		{"never", Retention{}, []Retention{days(30)}, 30},
		{"7", Retention{}, []Retention{days(30)}, 7},
		{"7", Retention{}, []Retention{{Age: 5}}, 0},
	} {
		got, err := (&Config{Expire: c.expire, Retention: c.all}).ExpireDays(c.own...)
		if got != c.want || err != nil {
			t.Errorf("%+v announces %d, %v", c, got, err)
		}
	}
	for _, text := range []string{
		"expire = \"never\"\n[retention]\nage = \"90d\"",
		"expire = \"31\"\n[retention]\nage = \"30d\"",
		"expire = \"1\"\n[retention]\nmessages = 1000",
		"[retention]\nage = \"-1h\"",
		"[retention]\nmessages = -1",
		"keep_removed = \"-1h\"",
		"keep_removed = \"sevend\"",
		"[delivery]\nover_quota = \"bounce\"",
	} {
		if _, err := Load(write(t, text), Flags{Data: "/d"}, noEnv); err == nil {
			t.Errorf("%q was taken", text)
		} else if !strings.Contains(err.Error(), "c.toml:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
