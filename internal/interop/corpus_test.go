// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// letter is a message of the corpus, as it is delivered.
type letter struct {
	name string
	text string
}

// corpus is what every program collects: mail as it comes, and the traps.
// Each letter has a name in its Subject, where it has a header.
func corpus() []letter {
	random := rand.New(rand.NewPCG(1, 2)) // the same in every run
	var big strings.Builder
	for big.Len() < 300_000 {
		line := make([]byte, random.IntN(90))
		for i := range line {
			line[i] = "abcdefghijklmnopqrstuvwxyz .-"[random.IntN(29)]
		}
		fmt.Fprintf(&big, "%s\r\n", line)
	}
	list := []letter{
		{"plain", "Hello,\r\n\r\na letter as it comes.\r\n"},
		{"dots", ".\r\n..\r\n...\r\n.hidden\r\n. \r\nmiddle . dot\r\n.\r\n"},
		{"no line end", "The last line does not end"},
		{"line feeds", "these\nlines\nend\nin\n.\nline feeds\n"},
		{"from", "From here on\r\n>From there\r\n\r\nFrom bea@example.net Mon Jan  1 00:00:00 2024\r\n"},
		{"octets", "\xe1\xf1 Latin, \xc3\xa1\xc3\xb1 UTF-8, \x7f\x1b[31m and \xff\r\n"},
		{"empty body", ""},
		{"blank lines", "\r\n\r\n\r\n"},
		{"blanks", "  leading\r\ntrailing  \r\n\t\r\n"},
		{"big", big.String()},
	}
	for i, l := range list {
		list[i].text = header(l.name) + "\r\n" + l.text
	}
	return append(list, letter{"no body", header("no body")})
}

// header is a small one, without the blank line behind it.
func header(name string) string {
	return "From: Bea <bea@example.net>\r\nTo: ana@example.org\r\n" +
		"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <" + strings.ReplaceAll(name, " ", "-") + "@example.net>\r\n" +
		"Subject: " + name + "\r\n"
}

// Letters that not every program can take.
func nulLetter() letter {
	return letter{"nul", header("nul") + "\r\nbefore\x00after\r\n\x00\r\n"}
}

func returnsLetter() letter {
	return letter{"returns", header("returns") + "\r\na lone \r return\r\n\rfirst\r\nlast\r\r\n"}
}

func longLetter() letter {
	return letter{"long line", header("long line") + "\r\n" + strings.Repeat("no end of it ", 80_000) + "\r\n"}
}

// wire is the model of what restanted hands out: it says where the message came
// from and to whom, then the message with CRLF at the end of each line. It shares
// nothing with the code of the server.
func wire(user, text string) string {
	out := []byte("Return-Path: <" + sender + ">\r\nDelivered-To: " + user + "\r\n")
	for i := range len(text) {
		if text[i] == '\n' && (i == 0 || text[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, text[i])
	}
	if !strings.HasSuffix(string(out), "\r\n") {
		out = append(out, "\r\n"...)
	}
	return string(out)
}

// asIs is for programs that show a message as they got it.
func asIs(_ account, message string) string { return message }

// unix is for those that store it with the line ends of Unix.
func unix(_ account, message string) string { return strings.ReplaceAll(message, "\r\n", "\n") }

// same checks that two sets of messages are the same, each as often as it is
// there.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if len(got) != len(want) {
		t.Errorf("%s: %d messages, want %d", what, len(got), len(want))
	}
	missing, extra := minus(want, got), minus(got, want)
	for i := range max(len(missing), len(extra)) {
		if i < len(missing) {
			t.Errorf("%s: missing:\n%s", what, excerpt(missing[i]))
		}
		if i < len(extra) {
			t.Errorf("%s: not expected:\n%s", what, excerpt(extra[i]))
		}
	}
}

// minus returns what is in a and not in b, both as sets in which something may
// be more than once.
func minus(a, b []string) []string {
	count := map[string]int{}
	for _, s := range b {
		count[s]++
	}
	var rest []string
	for _, s := range a {
		if count[s]--; count[s] < 0 {
			rest = append(rest, s)
		}
	}
	return rest
}

// excerpt quotes a message for a person.
func excerpt(s string) string {
	if len(s) > 1200 {
		return fmt.Sprintf("%q ... %q, %d octets", s[:800], s[len(s)-400:], len(s))
	}
	return fmt.Sprintf("%q", s)
}
