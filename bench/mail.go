// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// mail makes the same messages for every server: a seed, nothing else.
type mail struct{ rng *rand.Rand }

func newMail() *mail { return &mail{rand.New(rand.NewPCG(20, 26))} }

// message returns a message of about the given octets, with LF line ends. None
// of its lines begins with a dot or with "From ".
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

// name returns a name as other programs give to a file in a Maildir. Names do
// not follow each other in order, since those that do flatter some hash tables
// and hurt others.
func (m *mail) name() string {
	return fmt.Sprintf("%d.M%dP%d.mail%d.example.org", 1_780_000_000+m.rng.IntN(10_000_000), m.rng.IntN(1_000_000), m.rng.IntN(60_000), m.rng.IntN(4))
}

// sizesIn returns what Dovecot adds to a name so that sizes are known from it.
func sizesIn(text []byte) string {
	return fmt.Sprintf(",S=%d,W=%d", len(text), len(text)+bytes.Count(text, []byte("\n")))
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

func flat(octets int) func(int) int { return func(int) int { return octets } }

// stock is mail that was written once and is given to every server: as further
// names of the same files, which no server writes to, or as copies of one mbox.
type stock struct {
	dir  string
	size func(int) int

	mu     sync.Mutex
	mail   *mail
	names  []string
	sizes  []string // what is added to the names so that they tell sizes
	mboxes map[int]string
}

func newStock(dir string, size func(int) int) *stock {
	return &stock{dir: dir, size: size, mail: newMail(), mboxes: map[int]string{}}
}

// grow writes messages until there are n.
func (s *stock) grow(n int) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	for i := len(s.names); i < n; i++ {
		text := s.mail.message(s.size(i))
		name := s.mail.name()
		if err := writeOpen(filepath.Join(s.dir, name), text); err != nil {
			return err
		}
		s.names, s.sizes = append(s.names, name), append(s.sizes, sizesIn(text))
	}
	return nil
}

// writeOpen writes a file that every server can read and remove.
func writeOpen(path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o666); err != nil {
		return err
	}
	return os.Chmod(path, 0o666)
}

// fill makes the box of a user and puts n messages into it, in a Maildir with
// their sizes in the names or without.
func (s *stock) fill(in *instance, user, n int, sizes bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.grow(n); err != nil {
		return err
	}
	box := in.box(user)
	if err := os.MkdirAll(filepath.Dir(box), 0o755); err != nil {
		return err
	}
	if in.mbox {
		return s.fillMbox(box, n, in.uid)
	}
	if err := makeMaildir(box, in.uid); err != nil {
		return err
	}
	for i, name := range s.names[:n] {
		to := filepath.Join(box, "cur", name)
		if sizes {
			to += s.sizes[i]
		}
		if err := os.Link(filepath.Join(s.dir, name), to+":2,S"); err != nil {
			return err
		}
	}
	return nil
}

// makeMaildir makes an empty Maildir, in place of what is there.
func makeMaildir(box string, uid int) error {
	if err := os.RemoveAll(box); err != nil {
		return err
	}
	for _, folder := range []string{box, filepath.Join(box, "cur"), filepath.Join(box, "new"), filepath.Join(box, "tmp")} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
		if err := os.Lchown(folder, uid, uid); err != nil {
			return err
		}
	}
	return nil
}

// fillMbox puts a copy of an mbox of n messages there.
func (s *stock) fillMbox(box string, n, uid int) error {
	from, ok := s.mboxes[n]
	if !ok {
		from = filepath.Join(s.dir, fmt.Sprintf("mbox-%d", n))
		out, err := os.Create(from)
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		for _, name := range s.names[:n] {
			text, err := os.ReadFile(filepath.Join(s.dir, name))
			if err != nil {
				return err
			}
			if _, err := out.Write(inMbox(text)); err != nil {
				return err
			}
		}
		s.mboxes[n] = from
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(box, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	// A server may wait for the second to pass in which an mbox was changed.
	past := time.Now().Add(-time.Hour)
	return errors.Join(os.Chown(box, uid, uid), os.Chtimes(box, past, past))
}

// inMbox returns a message as it stands in an mbox.
func inMbox(text []byte) []byte {
	return []byte("From ana@example.org Mon Nov  2 10:00:00 2026\n" + string(text) + "\n")
}

// arrive puts one more message into a box, as another program does.
func (m *mail) arrive(in *instance, user, octets int) error {
	text := m.message(octets)
	box := in.box(user)
	if in.mbox {
		f, err := os.OpenFile(box, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if _, err := f.Write(inMbox(text)); err != nil {
			_ = f.Close()
			return err
		}
		return f.Close()
	}
	name := m.name()
	tmp := filepath.Join(box, "tmp", name)
	if err := writeOpen(tmp, text); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(box, "new", name))
}

// wireForm returns a message as LMTP sends it, without the final dot.
func wireForm(text []byte) string {
	return strings.ReplaceAll(strings.ReplaceAll(string(text), "\n", "\r\n"), "\r\n.", "\r\n..")
}
