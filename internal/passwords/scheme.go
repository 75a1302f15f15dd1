// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"restante.example/sasl"
)

// Foreign is what another program stored of a password, ready to be stored here.
type Foreign struct {
	// Stored is for Parse. It never holds the password in clear.
	Stored string
	// Keys are SCRAM keys, where the scheme has them, for the hash Hash, such as
	// SHA-256; they are nil otherwise.
	Keys *sasl.SCRAMKeys
	Hash string
}

// Import reads the field of a password as Dovecot's passwd-file has it:
// {SCHEME}data, {SCHEME.ENCODING}data, or what crypt(3) makes. The error says
// what is wrong, without the data.
func Import(field string) (Foreign, error) {
	if field == "" {
		return Foreign{}, errors.New("it has no password")
	}
	if bare := strings.TrimPrefix(field, "{CRYPT}"); bare != "" && (bare[0] == '!' || bare[0] == '*') {
		return Foreign{Stored: Dummy()}, nil // locked: no password is right
	}
	field = pamPasswdFile(field)
	if field[0] != '{' {
		field = "{CRYPT}" + field
	}
	if password, clear, err := clearText(field); err != nil {
		return Foreign{}, err
	} else if clear {
		if password == "" {
			return Foreign{}, errors.New("its password is empty")
		}
		salt := make([]byte, 16)
		rand.Read(salt) // never fails: crypto/rand ends the process instead
		sum := sha512.Sum512(append([]byte(password), salt...))
		return Foreign{Stored: "{SSHA512}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))}, nil
	}
	f := Foreign{Stored: field}
	if _, err := Parse(field); err != nil {
		return Foreign{}, err
	}
	if scheme, data, err := unwrap(field); err == nil && strings.HasPrefix(scheme, "SCRAM-") {
		f.Hash = strings.TrimPrefix(scheme, "SCRAM-")
		f.Keys, err = parseSCRAM(f.Hash, data)
		if err != nil {
			return Foreign{}, err
		}
	}
	return f, nil
}

// pamPasswdFile gives a field its scheme where it says which by a number behind
// it, as libpam-pwdfile does.
func pamPasswdFile(field string) string {
	for suffix, scheme := range map[string]string{"[13]": "{CRYPT}", "[34]": "{PLAIN-MD5}"} {
		if data, ok := strings.CutSuffix(field, suffix); ok && field[0] != '{' {
			return scheme + data
		}
	}
	return field
}

// clearText returns the password of a field that has it in clear.
func clearText(field string) (password string, clear bool, err error) {
	scheme, data, err := unwrap(field)
	if err != nil {
		return "", false, err
	}
	switch scheme {
	case "PLAIN", "CLEAR", "CLEARTEXT":
		return data, true, nil
	}
	return "", false, nil
}

// unwrap takes a field apart. Where an encoding is named, the data is decoded.
func unwrap(field string) (scheme, data string, err error) {
	name, data, ok := strings.Cut(field, "}")
	if !ok || name == "" || name[0] != '{' || len(name) > 40 {
		return "", "", errors.New("its password is neither {SCHEME}... nor what crypt(3) makes")
	}
	scheme, encoding, encoded := strings.Cut(strings.ToUpper(name[1:]), ".")
	if !encoded {
		return scheme, data, nil
	}
	var raw []byte
	switch encoding {
	case "HEX":
		raw, err = hex.DecodeString(data)
	case "B64", "BASE64":
		raw, err = base64.StdEncoding.DecodeString(data)
	default:
		return "", "", errors.New("its password has an unknown encoding; there are HEX and B64")
	}
	if err != nil {
		return "", "", fmt.Errorf("its password is not %s as {%s.%s} says", encoding, scheme, encoding)
	}
	if _, digest := digests[scheme]; digest {
		raw = []byte(base64.StdEncoding.EncodeToString(raw)) // the one form that they are parsed in
	}
	return scheme, string(raw), nil
}

// Parse reads what was stored of a password, by Hash or Import. What checking
// costs is bounded, so that a wrong line cannot stop the server.
func Parse(stored string) (Check, error) {
	if !strings.HasPrefix(stored, "{") {
		return parseArgon2(stored, "argon2id")
	}
	scheme, data, err := unwrap(stored)
	if err != nil {
		return nil, err
	}
	if d, ok := digests[scheme]; ok {
		return d.parse(scheme, data)
	}
	switch scheme {
	case "CRYPT":
		return parseCrypt(data, "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$")
	case "MD5-CRYPT":
		return parseCrypt(data, "$1$")
	case "BLF-CRYPT":
		return parseCrypt(data, "$2a$", "$2b$", "$2y$")
	case "SHA256-CRYPT":
		return parseCrypt(data, "$5$")
	case "SHA512-CRYPT":
		return parseCrypt(data, "$6$")
	case "MD5": // Dovecot means either of two
		if strings.HasPrefix(data, "$1$") {
			return parseCrypt(data, "$1$")
		}
		return digests["PLAIN-MD5"].parse(scheme, data)
	case "ARGON2I", "ARGON2ID":
		return parseArgon2(data, strings.ToLower(scheme))
	case "PBKDF2":
		return parsePBKDF2(data)
	case "SCRAM-SHA-1", "SCRAM-SHA-256":
		return checkSCRAM(strings.TrimPrefix(scheme, "SCRAM-"), data)
	}
	return nil, fmt.Errorf("the scheme {%s} of its password cannot be checked here; give it one such as {SHA512-CRYPT}", shown(scheme))
}

// shown is a scheme as it may stand in an error: what is in its place may be
// part of a password.
func shown(scheme string) string {
	for _, known := range []string{"DES-CRYPT", "CRAM-MD5", "HMAC-MD5", "DIGEST-MD5", "PLAIN-MD4", "PLAIN-TRUNC", "OTP", "NTLM", "LANMAN", "RPA", "SKEY"} {
		if scheme == known {
			return scheme
		}
	}
	return "..."
}
