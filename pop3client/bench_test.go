// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"restante.example/pop3"
)

// repeater says the same reply without end.
type repeater struct {
	reply []byte
	at    int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := copy(p, r.reply[r.at:])
	r.at = (r.at + n) % len(r.reply)
	return n, nil
}

// signedInTo returns a client that is signed in; say gives it replies.
func signedInTo(b *testing.B) (c *Client, say func(io.Reader)) {
	b.Helper()
	c, err := New(b.Context(), canned{said: strings.NewReader("+OK\r\n"), most: 1 << 20}, nil)
	if err != nil {
		b.Fatal(err)
	}
	c.signedIn()
	c.caps, c.capsKnown = pop3.Capabilities{pop3.CapPipelining: nil}, true
	return c, func(said io.Reader) {
		c.conn.Conn = canned{said: said, most: 1 << 20}
		c.r.Reset(c.conn)
	}
}

func BenchmarkRetrAll(b *testing.B) {
	for _, size := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			reply := append([]byte("+OK\r\n"), bytes.Repeat([]byte("forty octets in a line, the last two are\r\n"), size/42)...)
			reply = append(reply, ".\r\n"...)
			c, say := signedInTo(b)
			say(&repeater{reply: reply})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			wants := func(yield func(Want) bool) {
				for b.Loop() {
					if !yield(Want{1, int64(size)}) {
						return
					}
				}
			}
			for m, err := range c.RetrAll(b.Context(), iter.Seq[Want](wants)) {
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUIDL reads a listing of 10,000 rows.
func BenchmarkUIDL(b *testing.B) {
	var reply bytes.Buffer
	reply.WriteString("+OK\r\n")
	for n := range 10_000 {
		fmt.Fprintf(&reply, "%d %08x%08x\r\n", n+1, n, 1_234_567_890)
	}
	reply.WriteString(".\r\n")
	c, say := signedInTo(b)
	b.SetBytes(int64(reply.Len()))
	b.ReportAllocs()
	for b.Loop() {
		say(bytes.NewReader(reply.Bytes()))
		rows := 0
		for _, err := range c.UIDL(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			rows++
		}
		if rows != 10_000 {
			b.Fatal(rows)
		}
	}
}
