// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// text is what a reply says to people, in English, which is its key too:
// spanish has it in Spanish. A constant of this type that has no translation
// fails a test.
type text string

// The languages of the replies, as tags of RFC 5646.
const (
	English = "en"
	Spanish = "es"
)

// speech is how the server speaks on a connection. The zero value is what RFC
// 1939 knows: English in ASCII.
type speech struct {
	spanish bool // LANG has chosen it
	utf8    bool // UTF8 was said
}

// say returns a text as it is to be sent. What is not in the table, such as
// what a backend has chosen, comes back as it is.
func (c *conn) say(t text) string {
	if !c.speech.spanish {
		return string(t)
	}
	translated, ok := spanish[t]
	if !ok {
		return string(t)
	}
	return c.written(translated)
}

// sayf is say of a text with arguments, which are numbers and words of commands.
func (c *conn) sayf(t text, args []any) string {
	if len(args) == 0 {
		return c.say(t)
	}
	return fmt.Sprintf(c.say(t), args...)
}

// written returns a text in the characters that the client takes. RFC 6856
// section 2.1: nothing beyond ASCII goes to a client that has not said UTF8;
// section 3.2 has the texts behind LANG in UTF-8, which ASCII is as well.
func (c *conn) written(s string) string {
	if c.speech.utf8 {
		return s
	}
	return asciiOnly(s)
}

// asciiOnly writes Spanish letters without their marks, as in telegrams; other
// characters beyond ASCII become '?'.
func asciiOnly(s string) string {
	if isASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			return r
		}
		if p, ok := plain[r]; ok {
			return p
		}
		return '?'
	}, s)
}

var plain = map[rune]rune{
	'á': 'a', 'é': 'e', 'í': 'i', 'ó': 'o', 'ú': 'u', 'ü': 'u', 'ñ': 'n',
	'Á': 'A', 'É': 'E', 'Í': 'I', 'Ó': 'O', 'Ú': 'U', 'Ü': 'U', 'Ñ': 'N',
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// utf8Command lets UTF-8 through, both ways, for the rest of the connection.
// RFC 6856 section 2.1.
func (c *conn) utf8Command(cmd pop3.Command) Ending {
	if ok, end := c.bare(cmd); !ok {
		return end
	}
	c.speech.utf8 = true
	c.ok("UTF-8 from here on")
	return ""
}

// utf8Capability is how UTF8 is announced: with USER where names and passwords
// in UTF-8 are prepared. RFC 6856 section 2.2.
func (c *conn) utf8Capability() []string {
	if d, ok := c.opt.Directory.(maildrop.UTF8Directory); ok && d.TakesUTF8() {
		return []string{pop3.CapUTF8, pop3.CapUser}
	}
	return []string{pop3.CapUTF8}
}

// langCommand lists the languages, or chooses one. RFC 6856 section 3.2.
func (c *conn) langCommand(cmd pop3.Command) Ending {
	words, ok := cmd.Words(nil, 1)
	if !ok {
		return c.wrongCommand("LANG takes one language at most")
	}
	if len(words) == 0 {
		c.ok("languages follow")
		c.w.WriteString(English + " English\r\n")
		c.w.WriteString(Spanish + " " + c.written("Español") + "\r\n.\r\n")
		return ""
	}
	if !isRange(words[0]) {
		return c.wrongCommand("that is no language tag, such as en or es")
	}
	tag := c.opt.Language // "*": what the administrator prefers, whoever is signing in
	if words[0] != "*" {
		tag = lookUp(words[0])
	}
	if tag == "" {
		c.refuse("", "that language is not spoken here; LANG lists those that are")
		return ""
	}
	c.speech.spanish = tag == Spanish
	c.okTagged(tag, "language chosen")
	return ""
}

// isRange reports whether s is a basic language range. RFC 4647 section 2.1.
func isRange(s string) bool {
	if s == "*" {
		return true
	}
	for i, subtag := range strings.Split(s, "-") {
		if len(subtag) == 0 || len(subtag) > 8 {
			return false
		}
		for _, c := range []byte(subtag) {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

// lookUp returns the language for a range, or "": the range loses subtags from
// its end until it is one of ours, so es-MX finds es. RFC 4647 section 3.4.
func lookUp(languageRange string) string {
	primary, _, _ := strings.Cut(languageRange, "-")
	for _, tag := range []string{English, Spanish} {
		if strings.EqualFold(primary, tag) {
			return tag
		}
	}
	return ""
}
