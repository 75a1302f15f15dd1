// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The name of a file that we deliver is
//
//	<sec>.M<usec>P<pid>Q<n>R<random>.<host>,S=<octets>,W=<octets>,C=<crc>[,U]
//
// as other programs name theirs, with two fields of our own: C is the CRC-32C of
// the wire form in eight hex digits, U the mark of SMTPUTF8. S and W are the
// size of the file and of its wire form, which are equal here. Behind a colon
// other programs put flags.

// facts is what a name says. Only own names are believed.
type facts struct {
	// own: the name has the form of ours.
	own, utf8 bool
	// s and w are -1 where the name does not say.
	s, w int64
	crc  uint32
	// time is nanoseconds since 1970, 0 where the name does not say.
	time int64
}

// stem is a name without its flags.
func stem(name string) string {
	if i := strings.IndexByte(name, ':'); i >= 0 {
		return name[:i]
	}
	return name
}

// base is what a message keeps for life: its name up to the first ',' or ':'.
func base(name string) string {
	for i := range len(name) {
		if name[i] == ',' || name[i] == ':' {
			return name[:i]
		}
	}
	return name
}

// uidOf returns the UID of a name: its base, or a hash of that where RFC 1939
// section 7 would not have it.
func uidOf(base string) string {
	if validUID(base) {
		return base
	}
	return hashUID(base)
}

func hashUID(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// validUID: 1 to 70 characters from 0x21 to 0x7E. RFC 1939 section 7.
func validUID(s string) bool {
	if len(s) == 0 || len(s) > 70 {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// digits reads a decimal number at the beginning of s and returns the rest; n
// is -1 when there is none of 1 to 18 digits.
func digits(s string) (n int64, rest string) {
	i := 0
	for i < len(s) && i < 19 && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int64(s[i]-'0')
		i++
	}
	if i == 0 || i == 19 {
		return -1, s
	}
	return n, s[i:]
}

// latest is the last second that a name may speak of, in the year 2262:
// nanoseconds have room for no more.
const latest = 9_223_372_035

// parseName reads the facts from a name.
func parseName(name string) facts {
	f := facts{s: -1, w: -1}
	b := base(name)
	sec, rest := digits(b)
	if sec >= 0 && sec <= latest && strings.HasPrefix(rest, ".") {
		f.time = sec * int64(time.Second)
		// Microseconds: M<usec> in the second part, where Dovecot and Postfix
		// have them too.
		second, _, _ := strings.Cut(rest[1:], ".")
		if i := strings.IndexByte(second, 'M'); i >= 0 {
			if usec, _ := digits(second[i+1:]); usec >= 0 && usec < 1e6 {
				f.time += usec * int64(time.Microsecond)
			}
		}
	}
	var c string
	own := true
	fields := stem(name)[len(b):]
	for n := 0; strings.HasPrefix(fields, ","); n++ {
		var field string
		field, fields, _ = cutField(fields[1:])
		switch {
		case strings.HasPrefix(field, "S="):
			f.s = size(field[2:])
			own = own && n == 0
		case strings.HasPrefix(field, "W="):
			f.w = size(field[2:])
			own = own && n == 1
		case strings.HasPrefix(field, "C="):
			c = field[2:]
			own = own && n == 2
		case field == "U":
			f.utf8 = true
			own = own && n == 3
		default:
			own = false
		}
	}
	crc, err := strconv.ParseUint(c, 16, 32)
	f.own = own && err == nil && len(c) == 8 && f.s >= 0 && f.s == f.w && ownBase(b)
	if f.own {
		f.crc = uint32(crc)
	} else {
		f.utf8 = false
	}
	return f
}

// cutField returns what stands before the next comma, and the rest with it.
func cutField(s string) (field, rest string, found bool) {
	if i := strings.IndexByte(s, ','); i >= 0 {
		return s[:i], s[i:], true
	}
	return s, "", false
}

func size(s string) int64 {
	n, rest := digits(s)
	if rest != "" {
		return -1
	}
	return n
}

// ownBase reports whether a base has the form <sec>.M<usec>P<pid>Q<n>R<random>.<host>.
func ownBase(b string) bool {
	_, rest := digits(b)
	for _, mark := range []string{".M", "P", "Q"} {
		var n int64
		after, ok := strings.CutPrefix(rest, mark)
		if !ok {
			return false
		}
		if n, rest = digits(after); n < 0 {
			return false
		}
	}
	random, host, ok := strings.Cut(rest, ".")
	return ok && host != "" && len(random) == 9 && random[0] == 'R'
}

// newName makes the base of a name of ours.
func newName(at time.Time, pid int, n uint64, random uint32, host string) string {
	return fmt.Sprintf("%d.M%06dP%dQ%dR%08x.%s", at.Unix(), at.Nanosecond()/1000, pid, n, random, host)
}

// fullName adds the facts to a base.
func fullName(base string, size int64, crc uint32, utf8 bool) string {
	name := fmt.Sprintf("%s,S=%d,W=%d,C=%08x", base, size, size, crc)
	if utf8 {
		name += ",U"
	}
	return name
}

// hostPart makes a host name fit for file names and short enough for a UID.
func hostPart(host string) string {
	clean := []byte(host)
	for i, c := range clean {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			clean[i] = '_'
		}
	}
	if len(clean) == 0 {
		return "localhost"
	}
	return string(clean[:min(len(clean), 20)])
}
