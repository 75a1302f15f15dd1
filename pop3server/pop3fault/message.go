// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Message is a message in the maildrop.
type Message struct {
	// UID is its unique id.
	UID string
	// Size is how many octets Open gives.
	Size int64
	// Open gives its text in wire form (CRLF), without dot-stuffing. It is
	// called for each retrieval.
	Open func() io.Reader
}

// Sum returns the SHA-256 of the text in hexadecimal digits: what a program
// that retrieves without fault has.
func (m Message) Sum() string {
	hash := sha256.New()
	// Neither a hash nor the readers of this package fail.
	_, _ = io.Copy(hash, m.Open())
	return hex.EncodeToString(hash.Sum(nil))
}

// Text makes a message of a text, which is sent as it is.
func Text(uid, text string) Message {
	return Message{UID: uid, Size: int64(len(text)), Open: func() io.Reader { return strings.NewReader(text) }}
}

// Generated makes a message of size octets, but at least 200, whose text
// is made while it is read and differs for each number. Lines that begin with
// dots are among it.
func Generated(number int, size int64) Message {
	block := fmt.Sprintf("letter %d: %s\r\n..two dots\r\n.\r\nand one more line\r\n", number, strings.Repeat("abc ", 12))
	return built(number, size, block)
}

// Numbered makes count messages of about size octets each, with unique ids
// from uid-1 on.
func Numbered(count int, size int64) []Message {
	list := make([]Message, count)
	for i := range list {
		list[i] = Generated(i+1, size)
	}
	return list
}

// built makes a message whose body repeats a block, without the line ends that
// are not in it.
func built(number int, size int64, block string) Message {
	const tail = "\r\n-- \r\nend\r\n"
	head := fmt.Sprintf("From: office@example.org\r\nSubject: letter %d\r\nMessage-ID: <%d@example.org>\r\n\r\n", number, number)
	size = max(size, 200)
	return Message{
		UID:  fmt.Sprintf("uid-%d", number),
		Size: size,
		Open: func() io.Reader {
			body := io.LimitReader(&cycle{block: block}, size-int64(len(head))-int64(len(tail)))
			return io.MultiReader(strings.NewReader(head), body, strings.NewReader(tail))
		},
	}
}

// prefixed puts a header line in front of a message.
func prefixed(line string, m Message) Message {
	return Message{UID: m.UID, Size: int64(len(line)) + m.Size, Open: func() io.Reader {
		return io.MultiReader(strings.NewReader(line), m.Open())
	}}
}

// cycle repeats a block for ever.
type cycle struct {
	block string
	at    int
}

func (c *cycle) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], c.block[c.at:])
		c.at = (c.at + k) % len(c.block)
		n += k
	}
	return n, nil
}

// stuffer doubles the dots at the beginnings of lines on their way to w. RFC
// 1939 section 3. It is written apart from what the rest of the project uses,
// so that a test does not compare a mistake with itself.
type stuffer struct {
	w    io.Writer
	last [2]byte // what was written last
}

func newStuffer(w io.Writer) *stuffer { return &stuffer{w: w, last: [2]byte{'\r', '\n'}} }

func (s *stuffer) Write(p []byte) (int, error) {
	from := 0
	for i, c := range p {
		if c == '.' && s.last == [2]byte{'\r', '\n'} {
			if _, err := s.w.Write(p[from:i]); err != nil {
				return from, err
			}
			if _, err := io.WriteString(s.w, "."); err != nil {
				return i, err
			}
			from = i
		}
		s.last = [2]byte{s.last[1], c}
	}
	if _, err := s.w.Write(p[from:]); err != nil {
		return from, err
	}
	return len(p), nil
}
