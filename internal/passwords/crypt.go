// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of what crypt(3) may be asked for, each some seconds at most.
const (
	maxRounds     = 2_000_000 // of SHA-crypt
	maxBcrypt     = 15
	maxYescryptKB = 256 * 1024 // of memory
)

var (
	errCrypt = errors.New("its password is not what crypt(3) makes, or of a kind that cannot be checked here, such as DES; " +
		"set it anew, for instance with `doveadm pw -s SHA512-CRYPT`")
	errCostly = errors.New("checking its password would take too long; set it anew with less work")
)

// parseCrypt reads what crypt(3) makes, of one of the kinds that have these
// prefixes.
func parseCrypt(data string, prefixes ...string) (Check, error) {
	for _, prefix := range prefixes {
		rest, ok := strings.CutPrefix(data, prefix)
		if !ok || len(data) > 512 {
			continue
		}
		switch prefix {
		case "$1$":
			return parseMD5Crypt(rest)
		case "$5$":
			return parseSHACrypt(rest, sha256.New, 43)
		case "$6$":
			return parseSHACrypt(rest, sha512.New, 86)
		case "$y$":
			return parseYescrypt(data)
		default:
			return parseBcrypt(data)
		}
	}
	return nil, errCrypt
}

// parseMD5Crypt reads SALT$SUM.
func parseMD5Crypt(rest string) (Check, error) {
	salt, sum, ok := strings.Cut(rest, "$")
	if !ok || len(salt) > 8 || len(sum) != 22 {
		return nil, errCrypt
	}
	return compare(sum, func(password string) []byte { return crypt.KeyMD5Crypt([]byte(password), []byte(salt)) }), nil
}

// parseSHACrypt reads SALT$SUM or rounds=N$SALT$SUM.
func parseSHACrypt(rest string, newHash func() hash.Hash, length int) (Check, error) {
	rounds := 5000
	if n, after, ok := strings.Cut(rest, "$"); ok && strings.HasPrefix(n, "rounds=") {
		var err error
		if rounds, err = strconv.Atoi(n[len("rounds="):]); err != nil || rounds < 1000 {
			return nil, errCrypt
		}
		rest = after
	}
	if rounds > maxRounds {
		return nil, errCostly
	}
	salt, sum, ok := strings.Cut(rest, "$")
	if !ok || len(salt) > 16 || len(sum) != length {
		return nil, errCrypt
	}
	return compare(sum, func(password string) []byte {
		return crypt.KeySHACrypt(newHash, []byte(password), []byte(salt), rounds)
	}), nil
}

// parseBcrypt reads $2b$COST$..., and $2a$ and $2y$, which are the same since a
// mistake in an old implementation was mended; what that one made is $2x$.
func parseBcrypt(data string) (Check, error) {
	cost, err := bcrypt.Cost([]byte(data))
	if err != nil || len(data) != 60 {
		return nil, errCrypt
	}
	if cost > maxBcrypt {
		return nil, errCostly
	}
	return func(password string) bool {
		// crypt(3) looks at 72 octets.
		return bcrypt.CompareHashAndPassword([]byte(data), []byte(password[:min(len(password), 72)])) == nil
	}, nil
}

// parseYescrypt reads $y$PARAMETERS$SALT$SUM, of the parameters that libxcrypt
// makes: "j", then memory and block size in a letter each.
func parseYescrypt(data string) (Check, error) {
	parts := strings.Split(data, "$")
	if len(parts) != 5 || len(parts[4]) != 43 {
		return nil, errCrypt
	}
	const letters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if len(parts[2]) != 3 || parts[2][0] != 'j' {
		return nil, fmt.Errorf("its yescrypt has parameters that cannot be checked here; set the password anew with those of crypt(3)")
	}
	n, r := strings.IndexByte(letters, parts[2][1])+1, strings.IndexByte(letters, parts[2][2])+1
	if n < 10 || n > 18 || r < 1 || r > 32 || yescrypt.Decode64([]byte(parts[3])) == nil {
		return nil, errCrypt
	}
	if (1<<n)*r/8 > maxYescryptKB { // 128 octets for each
		return nil, errCostly
	}
	return compare(data, func(password string) []byte {
		got, err := yescrypt.Hash([]byte(password), []byte(data))
		if err != nil {
			return nil
		}
		return got
	}), nil
}

// compare checks by computing the same.
func compare(want string, compute func(password string) []byte) Check {
	return func(password string) bool {
		return subtle.ConstantTimeCompare(compute(password), []byte(want)) == 1
	}
}
