// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwords

import "testing"

func TestHashStrings(t *testing.T) {
	phc := Hash("password")
	c, salt, sum, err := decodeHash(phc, "argon2id")
	if err != nil || c != defaultCost() || !check(t, phc, "password") || check(t, phc, "Password") || len(salt) != 16 || len(sum) != 32 {
		t.Errorf("%s: %+v, %v", phc, c, err)
	}
	if Hash("password") == phc {
		t.Error("two hashes with the same salt")
	}
	for _, bad := range []string{"", "x", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=18$m=19456,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=0,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=2,p=1$!!$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAA$"} {
		if check, err := Parse(bad); check != nil || err == nil {
			t.Errorf("%q is taken: %v", bad, err)
		}
	}
}

// check reports whether something was stored of a password.
func check(t testing.TB, stored, password string) bool {
	t.Helper()
	c, err := Parse(stored)
	if err != nil {
		t.Fatalf("%q: %v", stored, err)
	}
	return c(password)
}
