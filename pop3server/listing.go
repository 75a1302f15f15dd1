// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"strconv"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// listRow appends a scan listing: number and size. RFC 1939 section 5, LIST.
func listRow(b []byte, n int, info maildrop.Info) []byte {
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ' ')
	return strconv.AppendInt(b, info.Size, 10)
}

// uidlRow appends a unique-id listing. RFC 1939 section 7, UIDL.
func uidlRow(b []byte, n int, info maildrop.Info) []byte {
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ' ')
	return append(b, info.UID...)
}

// listing answers LIST and UIDL, with the number of a message or for all.
func (c *conn) listing(cmd pop3.Command, row func([]byte, int, maildrop.Info) []byte, all func()) Ending {
	words, ok := cmd.Words(nil, 1)
	if !ok {
		return c.wrongCommand("%s takes one number at most", cmd.Word)
	}
	if len(words) == 0 {
		all()
		return ""
	}
	n, end, ok := c.number1(words[0])
	if !ok {
		return end
	}
	c.row(row(append(c.w.Available(), "+OK "...), n, c.session.snap.Info(n)))
	return ""
}

func (c *conn) listAll() {
	c.okCount(c.session.left())
	c.rows(listRow)
}

func (c *conn) uidlAll() {
	c.ok("unique ids follow")
	c.rows(uidlRow)
}

// rows writes a row for each message that is not marked, without allocating.
// A row is at most 9 digits, a blank, 70 octets of UID and CRLF long.
func (c *conn) rows(row func([]byte, int, maildrop.Info) []byte) {
	s := c.session
	for n := 1; n <= s.total && c.w.Err() == nil; n++ {
		if s.marked(n) {
			continue
		}
		b := row(c.w.Available(), n, s.snap.Info(n))
		_, _ = c.w.Write(append(b, '\r', '\n')) // the error stays in the writer
	}
	c.w.WriteString(".\r\n")
}
