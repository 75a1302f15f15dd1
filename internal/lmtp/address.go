// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is wrong with an argument of MAIL or RCPT.
var (
	errSyntax       = errors.New("lmtp: wrong syntax")
	errNeedsUTF8    = errors.New("lmtp: not ASCII, and SMTPUTF8 was not said")
	errUnknownParam = errors.New("lmtp: parameter not known")
)

// maxAddress is the longest address, in octets. RFC 5321 section 4.5.3.1 asks
// for 320; list managers put a recipient into the local part of the sender.
const maxAddress = 512

// cutPath takes "FROM:<path> parameters" apart. The path comes without its angle
// brackets; blanks in front of it are passed over, as many senders write one.
func cutPath(arg, keyword string) (path, rest string, err error) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", errSyntax
	}
	arg = strings.TrimLeft(arg[len(keyword):], " ")
	if arg == "" || arg[0] != '<' {
		return "", "", errSyntax
	}
	quoted := false
	for i := 1; i < len(arg); i++ {
		switch c := arg[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			rest = arg[i+1:]
			if rest != "" && rest[0] != ' ' {
				return "", "", errSyntax
			}
			return arg[1:i], strings.Trim(rest, " "), nil
		}
	}
	return "", "", errSyntax
}

// ParseAddress checks a path that is not empty and returns its address as one
// text that stands for it: without a source route, which RFC 5321 appendix C
// wants accepted and ignored, and with a local part that is quoted where it
// must be and nowhere else (RFC 5321 section 4.1.2: "a"@x and a@x are the same).
//
// A local part without a domain is an address too: postmaster (RFC 5321 section
// 4.5.1), and users that have no domain here.
func ParseAddress(path string, smtputf8 bool) (string, error) {
	if len(path) > maxAddress {
		return "", errSyntax
	}
	if err := checkCharacters(path, smtputf8); err != nil {
		return "", err
	}
	if strings.HasPrefix(path, "@") {
		route, address, found := strings.Cut(path, ":")
		if !found || !validRoute(route) {
			return "", errSyntax
		}
		path = address
	}
	local, rest, err := cutLocal(path)
	if err != nil {
		return "", err
	}
	local = quoteLocal(local)
	if rest == "" {
		return local, nil
	}
	if rest[0] != '@' || !validDomain(rest[1:]) {
		return "", errSyntax
	}
	return local + rest, nil
}

// checkCharacters refuses what may stand nowhere in an address.
func checkCharacters(s string, smtputf8 bool) error {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if !ascii && !smtputf8 {
		return errNeedsUTF8
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return errSyntax
	}
	return nil
}

// ParseArgument is ParseAddress for an address that a mail server hands over on a
// command line, where some put it into angle brackets, leave out the quotes of the
// local part (Postfix without flags=q), or keep the dot of the root.
func ParseArgument(arg string) (string, error) {
	if len(arg) >= 2 && arg[0] == '<' && arg[len(arg)-1] == '>' {
		arg = arg[1 : len(arg)-1]
	}
	if strings.Contains(arg, "@") {
		arg = strings.TrimSuffix(arg, ".")
	}
	address, err := ParseAddress(arg, true)
	if err == nil {
		return address, nil
	}
	// A "<" belongs to a whole header field, such as "Ana <ana@example.org>".
	if arg == "" || len(arg) > maxAddress || checkCharacters(arg, true) != nil || strings.ContainsAny(arg, "<>") {
		return "", err
	}
	at := strings.LastIndexByte(arg, '@')
	if at < 0 {
		return quoteLocal(arg), nil
	}
	if at == 0 || !validDomain(arg[at+1:]) {
		return "", err
	}
	return quoteLocal(arg[:at]) + arg[at:], nil
}

func validRoute(route string) bool {
	for hop := range strings.SplitSeq(route, ",") {
		if hop == "" || hop[0] != '@' || !validDomain(hop[1:]) {
			return false
		}
	}
	return true
}

// cutLocal takes the local part off the front and undoes its quoting.
func cutLocal(s string) (local, rest string, err error) {
	if s == "" || s[0] != '"' {
		n := 0
		for n < len(s) && (s[n] == '.' || isAtext(s[n])) {
			n++
		}
		if n == 0 {
			return "", "", errSyntax
		}
		return s[:n], s[n:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i == len(s) || s[i] >= utf8.RuneSelf {
				return "", "", errSyntax
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errSyntax
}

// quoteLocal quotes a local part that is no Dot-string.
func quoteLocal(local string) string {
	plain := local != ""
	for i := range len(local) {
		if local[i] == '.' {
			plain = plain && i > 0 && i < len(local)-1 && local[i-1] != '.'
		} else {
			plain = plain && isAtext(local[i])
		}
	}
	if plain {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}

// isAtext reports whether c may stand in an atom: RFC 5322 section 3.2.3, and RFC
// 6531 section 3.3 for what is not ASCII.
func isAtext(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// validDomain reports whether s is a domain, also with an underscore, as some
// have, or an address literal. RFC 5321 section 4.1.2.
func validDomain(s string) bool {
	if len(s) == 0 || len(s) > 255 {
		return false
	}
	if s[0] == '[' {
		inner := strings.TrimSuffix(s[1:], "]")
		return len(inner) == len(s)-2 && inner != "" && !strings.ContainsAny(inner, "[]\\ ") && isASCII(inner)
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !(c == '-' || c == '_' || c >= utf8.RuneSelf || c >= '0' && c <= '9' ||
				c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
				return false
			}
		}
	}
	return true
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// mailParams are the parameters of MAIL.
type mailParams struct {
	size int64
	utf8 bool
}

// parseMailParams reads the parameters behind the path of MAIL. The one of
// 8BITMIME is checked and changes nothing: octets stay octets.
func parseMailParams(rest string) (mailParams, error) {
	var p mailParams
	seen := make(map[string]bool)
	for param := range strings.FieldsSeq(rest) {
		key, value, hasValue := strings.Cut(param, "=")
		key = strings.ToUpper(key)
		if seen[key] {
			return p, errSyntax
		}
		seen[key] = true
		switch key {
		case "SIZE":
			if !isSize(value) {
				return p, errSyntax
			}
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				n = math.MaxInt64 // more than can be
			}
			p.size = n
		case "BODY":
			switch strings.ToUpper(value) {
			case "7BIT", "8BITMIME":
			case "BINARYMIME":
				return p, errUnknownParam // RFC 3030 is not offered
			default:
				return p, errSyntax
			}
		case "SMTPUTF8":
			if hasValue {
				return p, errSyntax
			}
			p.utf8 = true
		default:
			return p, errUnknownParam
		}
	}
	return p, nil
}

// isSize: RFC 1870 section 5, 1*20DIGIT.
func isSize(s string) bool {
	return len(s) >= 1 && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}
