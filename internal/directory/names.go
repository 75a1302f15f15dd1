// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

// maxName is the longest name, in octets.
const maxName = 255

// CleanName brings the name of a user or alias into the one form in which it
// is stored and compared: "u1" or "u1@example.org" in lower case, other scripts
// by PRECIS UsernameCaseMapped (RFC 8265 section 3.3), domains as U-labels. The
// error says what is wrong with a name and what to do. Names become names of
// directories, so what has a meaning there is refused.
func CleanName(name string) (string, error) {
	if name == "" || len(name) > maxName {
		return "", fmt.Errorf("a name has 1 to %d octets, this one has %d; choose another", maxName, len(name))
	}
	if err := checkCharacters(name); err != nil {
		return "", err
	}
	local, domain, address := strings.Cut(name, "@")
	if address && (local == "" || domain == "" || strings.Contains(domain, "@")) {
		return "", fmt.Errorf("%q is neither a name such as u1 nor an address such as u1@example.org", name)
	}
	local, err := cleanLocal(local)
	if err != nil {
		return "", err
	}
	if !address {
		return local, nil
	}
	if domain, err = CleanDomain(domain); err != nil {
		return "", err
	}
	if len(local)+1+len(domain) > maxName {
		return "", fmt.Errorf("the name has more than %d octets; choose a shorter one", maxName)
	}
	return local + "@" + domain, nil
}

// checkCharacters refuses what no part of a name may hold.
func checkCharacters(name string) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("the name %q is not UTF-8; write it in UTF-8", name)
	}
	for _, r := range name {
		switch {
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return fmt.Errorf("the name %q holds a control character; leave it out", name)
		case r == ' ':
			return fmt.Errorf("the name %q holds a blank; leave it out, or put a dot in its place", name)
		case r == '/' || r == '\\':
			return fmt.Errorf("the name %q holds %q, which parts directories; leave it out", name, r)
		case strings.ContainsRune(`"<>,;:()[]`, r):
			return fmt.Errorf("the name %q holds %q, which has a meaning in addresses; leave it out", name, r)
		}
	}
	if strings.Contains(name, "..") {
		return fmt.Errorf("the name %q holds two dots in a row; write one", name)
	}
	return nil
}

// cleanLocal cleans the part before the "@", or a whole name without one.
func cleanLocal(local string) (string, error) {
	clean := local
	if isASCII(local) {
		clean = strings.ToLower(local)
	} else {
		// RFC 8264 section 7: a string is prepared until it does not change.
		for round, before := 0, ""; before != clean; round++ {
			var err error
			before = clean
			if clean, err = precis.UsernameCaseMapped.String(before); err != nil || round > 3 {
				return "", fmt.Errorf("the name %q has characters that a name cannot have (RFC 8265); use letters and digits", local)
			}
		}
		// The preparation may have made an ASCII character of another.
		if err := checkCharacters(clean); err != nil {
			return "", err
		}
	}
	if strings.HasPrefix(clean, ".") || strings.Contains(clean, "@") {
		return "", fmt.Errorf("the name %q begins with a dot or holds a second @; choose another", local)
	}
	return clean, nil
}

// CleanDomain brings a domain into the form in which it is compared.
func CleanDomain(domain string) (string, error) {
	bad := fmt.Errorf("%q is not a domain such as example.org", domain)
	clean := strings.ToLower(domain)
	if !isASCII(clean) || strings.Contains(clean, "xn--") {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", bad
		}
		if clean, err = idna.Lookup.ToUnicode(ascii); err != nil {
			return "", bad
		}
	}
	if clean == "" || len(clean) > maxName || clean[0] == '.' || clean[len(clean)-1] == '.' || strings.Contains(clean, "..") {
		return "", bad
	}
	for _, r := range clean {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' ||
			r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r))
		if !letter && r != '-' && r != '.' && r != '_' {
			return "", bad
		}
	}
	return clean, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// splitAddress takes a recipient apart; domain is empty where there is none. A
// quoted local part loses its quotes. RFC 5321 section 4.1.2.
func splitAddress(address string) (local, domain string, ok bool) {
	local = address
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		local, domain = address[:at], address[at+1:]
		if domain == "" {
			return "", "", false
		}
	}
	if len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"' {
		local = unquote(local[1 : len(local)-1])
	}
	return local, domain, local != ""
}

// unquote drops the backslashes of quoted pairs.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// preparePassword makes the ways in which a keyboard can type a password the
// same: PRECIS OpaqueString (RFC 8265 section 4.2). It reports false for what is
// no UTF-8 or has characters that the profile prohibits: such a password is
// nobody's. RFC 6856 section 2.2.
func preparePassword(password string) (string, bool) {
	if isASCII(password) {
		return password, !strings.ContainsFunc(password, unicode.IsControl)
	}
	// The profile would make every octet that is no UTF-8 the same character.
	if !utf8.ValidString(password) {
		return "", false
	}
	prepared, err := precis.OpaqueString.String(password)
	return prepared, err == nil
}

// checkPassword refuses a new password that could not be used to sign in.
func checkPassword(password string) error {
	switch {
	case password == "":
		return errors.New("the password is empty; choose one")
	case len(password) > 255:
		return fmt.Errorf("the password has %d octets; 255 are allowed", len(password))
	}
	for i := range len(password) {
		if password[i] < ' ' || password[i] == 0x7f {
			return errors.New("the password holds a control character, which mail programs cannot send; leave it out")
		}
	}
	if !utf8.ValidString(password) {
		return errors.New("the password is not UTF-8; write it in UTF-8")
	}
	if _, ok := preparePassword(password); !ok {
		return errors.New("the password holds a character that a password cannot have (RFC 8265); leave it out")
	}
	return nil
}
