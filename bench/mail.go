// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// mail makes the same messages for every server: a seed, nothing else.
type mail struct{ rng *rand.Rand }

func newMail() *mail { return &mail{rand.New(rand.NewPCG(20, 26))} }

// message returns a message of about the given octets, with LF line ends.
func (m *mail) message(octets int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Ana <ana@example.org>\nTo: u@example.org\nSubject: letter %d\nMessage-ID: <%x@example.org>\n"+
		"Date: Mon, 02 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n", m.rng.IntN(1e6), m.rng.Uint64())
	const words = "the quick brown fox jumps over the lazy dog and carries a letter to the office where it is kept until its owner calls "
	for b.Len() < octets {
		from := m.rng.IntN(len(words) - 1)
		line := (words[from:] + words)[:min(72, octets-b.Len()+1)]
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// mixed returns the size of message i of a mixed maildrop: many small ones, some
// of 100 KB, a few of megabytes. A thousand of them are about 129 MB.
func mixed(i int) int {
	switch {
	case i%100 == 0:
		return 5 << 20
	case i%10 == 0:
		return 600 << 10
	case i%5 == 0:
		return 150 << 10
	}
	return 4 << 10
}

// fill writes n messages into cur/ of a Maildir, in the manner of another
// program: LF line ends and names that do not follow each other in order. With
// sizes, the names carry S= and W= as Dovecot writes them.
func fill(maildir string, n int, size func(int) int, sizes bool) error {
	m := newMail()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(maildir, sub), 0o777); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(maildir, sub), 0o777); err != nil {
			return err
		}
	}
	if err := os.Chmod(maildir, 0o777); err != nil {
		return err
	}
	for i := range n {
		if err := put(filepath.Join(maildir, "cur"), m, size(i), sizes, ":2,S"); err != nil {
			return err
		}
	}
	return nil
}

// put writes one message as another program does.
func put(folder string, m *mail, size int, sizes bool, flags string) error {
	text := m.message(size)
	name := fmt.Sprintf("%d.M%dP%d.mail%d.example.org", 1_780_000_000+m.rng.IntN(10_000_000), m.rng.IntN(1_000_000), m.rng.IntN(60_000), m.rng.IntN(4))
	if sizes {
		name += fmt.Sprintf(",S=%d,W=%d", len(text), len(text)+bytes.Count(text, []byte("\n")))
	}
	path := filepath.Join(folder, name+flags)
	if err := os.WriteFile(path, text, 0o666); err != nil {
		return err
	}
	return os.Chmod(path, 0o666)
}

// wireForm returns a message as LMTP sends it, without the final dot.
func wireForm(text []byte) string {
	return strings.ReplaceAll(strings.ReplaceAll(string(text), "\n", "\r\n"), "\r\n.", "\r\n..")
}
