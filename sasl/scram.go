// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// Bounds on what a server may ask a client to compute. RFC 5802 section 5.1
// has 4,096 as the least count; the greatest keeps a hostile server from
// burning the client's time (about three seconds).
const (
	MinIterations = 4096
	MaxIterations = 10_000_000
)

const (
	maxSCRAM = 8 * 1024 // octets of one message
	maxNonce = 1024     // octets of a whole nonce
	maxSalt  = 1024     // octets of a salt
)

// SCRAMKey is what a server stores of one password. RFC 5802 section 3.
type SCRAMKey struct {
	StoredKey []byte
	ServerKey []byte
}

// SCRAMKeys is what a server looks up for one name: the salt and iteration
// count that are told to the client, and a key for each of the passwords of
// which any will do. Without keys the exchange runs and fails at its end.
type SCRAMKeys struct {
	Salt       []byte
	Iterations int
	Keys       []SCRAMKey
}

// hashNamed returns the hash of a SCRAM mechanism. RFC 5802 section 4, RFC 7677.
func hashNamed(name string) (func() hash.Hash, error) {
	switch name {
	case "SHA-1":
		return sha1.New, nil
	case "SHA-256":
		return sha256.New, nil
	}
	return nil, fmt.Errorf("sasl: no SCRAM with hash %q; there are SHA-256 and SHA-1", name)
}

// DeriveSCRAM computes what a server stores of a password, for the hash
// "SHA-256" or "SHA-1"; the password is prepared by Prep. It takes time in
// proportion to the iterations.
func DeriveSCRAM(hash, password string, salt []byte, iterations int) (SCRAMKey, error) {
	newHash, err := hashNamed(hash)
	if err != nil {
		return SCRAMKey{}, err
	}
	salted, err := saltedPassword(newHash, password, salt, iterations)
	if err != nil {
		return SCRAMKey{}, err
	}
	return SCRAMKey{
		StoredKey: sum(newHash, mac(newHash, salted, "Client Key")),
		ServerKey: mac(newHash, salted, "Server Key"),
	}, nil
}

// saltedPassword is Hi() of RFC 5802 section 2.2, over the prepared password.
func saltedPassword(newHash func() hash.Hash, password string, salt []byte, iterations int) ([]byte, error) {
	prepared, err := Prep(password)
	if err != nil {
		return nil, err
	}
	if prepared == "" {
		return nil, fmt.Errorf("%w: the password is empty", ErrMalformed)
	}
	if iterations < 1 || iterations > MaxIterations || len(salt) == 0 {
		return nil, errors.New("sasl: salt or iteration count is out of range")
	}
	return pbkdf2.Key(newHash, prepared, salt, iterations, newHash().Size())
}

func mac(newHash func() hash.Hash, key []byte, message string) []byte {
	h := hmac.New(newHash, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

func sum(newHash func() hash.Hash, data []byte) []byte {
	h := newHash()
	h.Write(data)
	return h.Sum(nil)
}

// xor returns a XOR b; both have the same length.
func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	subtle.XORBytes(out, a, b)
	return out
}

// newNonce returns 24 printable characters without a comma. RFC 5802 section 5.1.
func newNonce() string {
	var raw [18]byte
	rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return base64.StdEncoding.EncodeToString(raw[:])
}

// validNonce reports whether s is printable ASCII without a comma.
func validNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != "" && len(s) <= maxNonce
}

// attribute takes "x=value" off the front of a message; the value ends at the
// next comma.
func attribute(message string, name byte) (value, rest string, ok bool) {
	part, rest, more := strings.Cut(message, ",")
	if len(part) < 2 || part[0] != name || part[1] != '=' || more && rest == "" {
		return "", "", false
	}
	return part[2:], rest, true
}

// extensions reports whether rest is a list of attributes that may be passed
// over: each a letter, "=" and a value. An "m" must not be passed over, and a
// "p" has its place elsewhere. RFC 5802 section 7.
func extensions(rest string) bool {
	for rest != "" {
		part, after, more := strings.Cut(rest, ",")
		if len(part) < 3 || part[1] != '=' || !isLetter(part[0]) || part[0] == 'm' || part[0] == 'p' || more && after == "" {
			return false
		}
		rest = after
	}
	return true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// decode reads base64 of between one octet and limit octets, strictly.
func decode(s string, limit int) ([]byte, bool) {
	if s == "" || len(s) > base64.StdEncoding.EncodedLen(limit) {
		return nil, false
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	return data, err == nil && len(data) > 0 && len(data) <= limit && !strings.ContainsAny(s, "\r\n")
}
