// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package passwords is what a stored password is: a hash that a password can be
// checked against, and the bound on how many are checked at once.
package passwords

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// cost are the parameters of argon2id. RFC 9106; the values are OWASP's.
type cost struct {
	Time, Memory uint32 // passes, KiB
	Threads      uint8
}

func defaultCost() cost { return cost{Time: 2, Memory: 19 * 1024, Threads: 1} }

// Hash returns what is stored of a password: argon2id as a PHC string. It costs
// about 0.1 seconds and 19 MiB, so the caller holds a slot.
func Hash(password string) string {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	c := defaultCost()
	sum := argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, 32)
	return encodeHash(c, salt, sum)
}

// Check reports whether a password is the one that something was stored of. It
// may cost much, so the caller holds a slot.
type Check func(password string) bool

// parseArgon2 reads the PHC string of a variant, argon2id or argon2i.
func parseArgon2(phc, variant string) (Check, error) {
	c, salt, want, err := decodeHash(phc, variant)
	if err != nil {
		return nil, err
	}
	key := argon2.IDKey
	if variant == "argon2i" {
		key = argon2.Key
	}
	return func(password string) bool {
		got := key([]byte(password), salt, c.Time, c.Memory, c.Threads, uint32(len(want)))
		return subtle.ConstantTimeCompare(got, want) == 1
	}, nil
}

func encodeHash(c cost, salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		c.Memory, c.Time, c.Threads, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// Dummy costs as much as a real hash and belongs to no password.
func Dummy() string { return encodeHash(defaultCost(), make([]byte, 16), make([]byte, 32)) }

// decodeHash reads the PHC string of a variant. Its costs are bounded, so that a damaged row
// cannot stop the server.
func decodeHash(phc, variant string) (c cost, salt, sum []byte, err error) {
	var version int
	var salt64, sum64 string
	bad := fmt.Errorf("a stored password hash is not an %s PHC string, or too costly; set the password anew", variant)
	head, rest, ok := cutN(phc, '$', 4)
	if !ok {
		return c, nil, nil, bad
	}
	if _, err := fmt.Sscanf(head, "$"+variant+"$v=%d$m=%d,t=%d,p=%d", &version, &c.Memory, &c.Time, &c.Threads); err != nil {
		return c, nil, nil, bad
	}
	salt64, sum64, ok = cutN(rest, '$', 1)
	if !ok || version != argon2.Version || c.Memory < 8 || c.Memory > 256*1024 || c.Time < 1 || c.Time > 16 || c.Threads < 1 {
		return c, nil, nil, bad
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(salt64)
	sum, err2 := base64.RawStdEncoding.DecodeString(sum64)
	if err1 != nil || err2 != nil || len(salt) < 8 || len(sum) < 16 || len(sum) > 64 {
		return c, nil, nil, bad
	}
	return c, salt, sum, nil
}

// cutN cuts s at the n-th sep.
func cutN(s string, sep byte, n int) (before, after string, ok bool) {
	for i := range len(s) {
		if s[i] != sep {
			continue
		}
		if n--; n == 0 {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
