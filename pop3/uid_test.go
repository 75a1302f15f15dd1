// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3_test

import (
	"strings"
	"testing"

	"restante.example/pop3"
)

// RFC 1939 section 7: one to 70 characters from 0x21 to 0x7E.
func TestValidUID(t *testing.T) {
	for uid, want := range map[string]bool{
		"x": true, "!~": true, strings.Repeat("u", 70): true,
		"": false, strings.Repeat("u", 71): false, "a b": false, "\x7f": false, "ñ": false, "a\r": false,
	} {
		if got := pop3.ValidUID(uid); got != want {
			t.Errorf("%q: %v", uid, got)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for word, want := range map[string]int{"1": 1, "10": 10, "007": 7, "999999999": 999999999} {
		if got, err := pop3.ParseNumber(word); err != nil || got != want {
			t.Errorf("%q: %d, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "0", "-1", "+1", "1 ", "1x", "0x1", "1000000000", "100000000000000000000", "１"} {
		if got, err := pop3.ParseNumber(word); err == nil {
			t.Errorf("%q: %d", word, got)
		}
	}
}
