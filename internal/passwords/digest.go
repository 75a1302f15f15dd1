// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"restante.example/sasl"
)

// digest is a scheme that hashes a password once, with a salt behind it or
// without.
type digest struct {
	newHash func() hash.Hash
	salted  bool
}

// digests are the schemes of one hash. They are here for people who move; a
// stolen one is soon guessed.
var digests = map[string]digest{
	"PLAIN-MD5": {md5.New, false}, "LDAP-MD5": {md5.New, false}, "SMD5": {md5.New, true},
	"SHA": {sha1.New, false}, "SHA1": {sha1.New, false}, "SSHA": {sha1.New, true},
	"SHA256": {sha256.New, false}, "SSHA256": {sha256.New, true},
	"SHA512": {sha512.New, false}, "SSHA512": {sha512.New, true},
}

// maxSalt is the longest salt, in octets.
const maxSalt = 256

func (d digest) parse(scheme, data string) (Check, error) {
	size := d.newHash().Size()
	var raw []byte
	var err error
	// Without a salt the length tells hex from base64.
	if len(data) == 2*size && !d.salted {
		raw, err = hex.DecodeString(data)
	} else {
		raw, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(data, "="))
	}
	if err != nil || len(raw) < size || !d.salted && len(raw) != size || len(raw) > size+maxSalt {
		return nil, fmt.Errorf("its password is not what {%s} stores", scheme)
	}
	want, salt := raw[:size], raw[size:]
	return func(password string) bool {
		h := d.newHash()
		h.Write([]byte(password))
		h.Write(salt)
		return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1
	}, nil
}

// maxIterations bounds PBKDF2 and SCRAM to some seconds.
const maxIterations = 5_000_000

// parsePBKDF2 reads Dovecot's form, $1$SALT$ITERATIONS$HEX, which is SHA-1 with
// the salt as it is written.
func parsePBKDF2(data string) (Check, error) {
	parts := strings.Split(data, "$")
	bad := fmt.Errorf("its password is not what {PBKDF2} stores, or has more than %d iterations", maxIterations)
	if len(parts) != 5 || parts[0] != "" || parts[1] != "1" || len(parts[2]) > maxSalt {
		return nil, bad
	}
	iterations, err := strconv.Atoi(parts[3])
	want, err2 := hex.DecodeString(parts[4])
	if err != nil || err2 != nil || iterations < 1 || iterations > maxIterations || len(want) != sha1.Size {
		return nil, bad
	}
	return func(password string) bool {
		got, err := pbkdf2.Key(sha1.New, password, []byte(parts[2]), iterations, len(want))
		return err == nil && subtle.ConstantTimeCompare(got, want) == 1
	}, nil
}

// parseSCRAM reads Dovecot's form, ITERATIONS,SALT,STORED-KEY,SERVER-KEY, the
// last three in base64. RFC 5802 section 3.
func parseSCRAM(hashName, data string) (*sasl.SCRAMKeys, error) {
	bad := fmt.Errorf("its password is not what {SCRAM-%s} stores, or has fewer than %d or more than %d iterations",
		hashName, sasl.MinIterations, maxIterations)
	size := map[string]int{"SHA-1": sha1.Size, "SHA-256": sha256.Size}[hashName]
	parts := strings.Split(data, ",")
	if len(parts) != 4 {
		return nil, bad
	}
	iterations, err := strconv.Atoi(parts[0])
	if err != nil || iterations < sasl.MinIterations || iterations > maxIterations {
		return nil, bad
	}
	var raw [3][]byte
	for i := range raw {
		if raw[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return nil, bad
		}
	}
	if len(raw[0]) == 0 || len(raw[0]) > maxSalt || len(raw[1]) != size || len(raw[2]) != size {
		return nil, bad
	}
	return &sasl.SCRAMKeys{Salt: raw[0], Iterations: iterations,
		Keys: []sasl.SCRAMKey{{StoredKey: raw[1], ServerKey: raw[2]}}}, nil
}

func checkSCRAM(hashName, data string) (Check, error) {
	k, err := parseSCRAM(hashName, data)
	if err != nil {
		return nil, err
	}
	return func(password string) bool {
		got, err := sasl.DeriveSCRAM(hashName, password, k.Salt, k.Iterations)
		return err == nil && subtle.ConstantTimeCompare(got.StoredKey, k.Keys[0].StoredKey) == 1
	}, nil
}
