// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"strings"

	"restante.example/maildrop"
)

// An app password is that of a device: 32 characters in groups of four, such as
// "k7fm-2q9x-...". The first six name the password among those of its user, so
// that one look-up finds it; the other 26 are 130 random bits. Letter case,
// blanks and dashes do not matter where the password itself is sent. By SCRAM
// a program proves that it knows the very characters that were typed, so there
// it has to be typed as it is shown.
const (
	appLetters = "abcdefghijkmnpqrstuvwxyz23456789" // 32, without 0, 1, l and o
	appID      = 6
	appLength  = 32
	appGroup   = 4
)

// newAppPassword makes an app password as it is shown to people.
func newAppPassword() string {
	raw := make([]byte, appLength)
	rand.Read(raw) // never fails: crypto/rand ends the process instead
	var b strings.Builder
	for i, r := range raw {
		if i > 0 && i%appGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(appLetters[r%32])
	}
	return b.String()
}

// appDashes are the dashes and blanks that keyboards make of "-" and " ".
const appDashes = "- \t\u00a0\u00ad\u2007\u200b\u2009\u2010\u2011\u2012\u2013\u2014\u2015\u202f\u2212\ufe63\uff0d\ufeff"

// parseAppPassword returns the characters of an app password as somebody has
// typed it, and reports whether it has the form of one.
func parseAppPassword(typed string) (canonical string, ok bool) {
	// A blank of two octets after each character is as much as makes sense.
	if len(typed) < appLength || len(typed) > 4*appLength {
		return "", false
	}
	letters := make([]byte, 0, appLength)
	for _, r := range typed {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		switch {
		case r < 0x80 && strings.IndexByte(appLetters, byte(r)) >= 0:
			if len(letters) == appLength {
				return "", false
			}
			letters = append(letters, byte(r))
		case !strings.ContainsRune(appDashes, r):
			return "", false
		}
	}
	return string(letters), len(letters) == appLength
}

// appSalt is how many octets of salt stand before the hash of an app password.
const appSalt = 16

// hashApp returns what is stored of an app password: a salt and a keyed hash.
// 130 random bits need no slow one, and every poll of a device computes it.
func hashApp(id maildrop.ID, canonical string) []byte {
	salt := make([]byte, appSalt)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	return sumApp(salt, id, canonical)
}

func sumApp(salt []byte, id maildrop.ID, canonical string) []byte {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(id))
	h.Write([]byte{0}) // no id has one
	h.Write([]byte(canonical))
	return h.Sum(append(make([]byte, 0, appSalt+sha256.Size), salt...))
}

// isApp reports whether the app password has the stored hash.
func isApp(stored []byte, id maildrop.ID, canonical string) bool {
	return len(stored) == appSalt+sha256.Size && hmac.Equal(sumApp(stored[:appSalt], id, canonical), stored)
}
