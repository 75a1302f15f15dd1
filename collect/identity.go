// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
)

// flagFields are header fields in which servers that keep mail in mbox files
// store flags and counters: they change when a message has been read, and the
// message is the same.
var flagFields = [][]byte{
	[]byte("status:"), []byte("x-status:"), []byte("x-uid:"), []byte("x-keywords:"), []byte("x-uidl:"), []byte("x-imap:"),
	[]byte("x-imapbase:"),
}

// longestFlagField bounds what is looked at to tell a field from its name.
const longestFlagField = len("x-imapbase:")

// idField is the field that no two messages share.
var idField = []byte("message-id:")

// identity computes what a message is recognised by, from its octets in wire
// form. It passes the header line by line and the body in whole pieces.
type identity struct {
	sum    hash.Hash
	header Hash
	inBody bool
	skip   bool   // inside a line that does not count
	known  bool   // the beginning of this line has been judged
	begin  []byte // of a line that is not judged yet
	octets int64
	named  bool // the header has a Message-ID
}

func newIdentity() *identity {
	return &identity{sum: sha256.New(), begin: make([]byte, 0, longestFlagField)}
}

func (d *identity) Write(p []byte) (int, error) {
	d.octets += int64(len(p))
	n := len(p)
	for len(p) > 0 && !d.inBody {
		i := bytes.IndexByte(p, '\n')
		piece := p
		if i >= 0 {
			piece = p[:i+1]
		}
		p = p[len(piece):]
		d.headerPiece(piece, i >= 0)
	}
	d.sum.Write(p)
	return n, nil
}

// headerPiece takes a piece of one header line, with its end if end.
func (d *identity) headerPiece(piece []byte, end bool) {
	if !d.known {
		room := longestFlagField - len(d.begin)
		take := min(room, len(piece))
		d.begin = append(d.begin, piece[:take]...)
		piece = piece[take:]
		if len(d.begin) == longestFlagField || end {
			d.judge()
		}
	}
	if d.known && !d.skip && !d.inBody {
		d.sum.Write(piece)
	}
	if end {
		d.known, d.begin = false, d.begin[:0]
	}
}

// judge decides on a line by its beginning.
func (d *identity) judge() {
	d.known = true
	if line := bytes.TrimRight(d.begin, "\r\n"); len(line) == 0 && len(d.begin) > 0 && d.begin[len(d.begin)-1] == '\n' {
		d.endHeader()
		d.sum.Write(d.begin)
		return
	}
	if c := d.begin[0]; c != ' ' && c != '\t' { // else it continues the field above
		d.skip = false
		d.named = d.named || bytes.EqualFold(d.begin, idField)
		for _, f := range flagFields {
			if len(d.begin) >= len(f) && bytes.EqualFold(d.begin[:len(f)], f) {
				d.skip = true
			}
		}
	}
	if !d.skip {
		d.sum.Write(d.begin)
	}
}

func (d *identity) endHeader() {
	if !d.inBody {
		d.inBody = true
		d.sum.Sum(d.header[:0])
	}
}

// result returns the hashes of content and header and the number of octets.
func (d *identity) result() (content, header Hash, octets int64) {
	if len(d.begin) > 0 && !d.known {
		d.judge() // the text ended inside a line
	}
	d.endHeader()
	d.sum.Sum(content[:0])
	return content, d.header, d.octets
}

// headerUID stands in for the UID where the server has none. It begins with an
// octet that no server can send in one.
func headerUID(header Hash) string { return "\x00header:" + hex.EncodeToString(header[:]) }

func isHeaderUID(uid string) bool { return len(uid) > 0 && uid[0] == 0 }

// messageKey makes the key of the nth message with this id and content.
func messageKey(account, uid string, content Hash, nth int) string {
	h := sha256.New()
	for _, s := range []string{account, uid, string(content[:]), strconv.Itoa(nth)} {
		h.Write([]byte(strconv.Itoa(len(s))))
		h.Write([]byte{':'})
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
