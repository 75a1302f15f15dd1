// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// transact handles what comes after sign-in. RFC 1939 section 5.
func (x *session) transact(command, args string) {
	words := strings.Fields(args)
	first := strings.Join(words[:min(1, len(words))], "")
	switch {
	case command == "NOOP":
		x.ok("")
	case command == "RSET":
		clear(x.marked)
		x.ok("")
	case command == "STAT":
		x.stat()
	case command == "LIST":
		x.list(first, x.sizeOf, x.plan.endlessLIST)
	case command == "UIDL" && !x.plan.noUIDL:
		x.list(first, x.uidOf, x.plan.endlessUIDL)
	case command == "RETR":
		x.retr(first)
	case command == "TOP" && !x.plan.noTOP && len(words) == 2:
		x.top(first, words[1])
	case command == "DELE":
		if n, _, ok := x.find(first); ok {
			x.marked[n] = true
			x.ok("marked")
		}
	default:
		x.refuse("unknown command")
	}
}

func (x *session) stat() {
	count, octets := 0, int64(0)
	for _, n := range x.numbers() {
		count++
		octets += x.message(x.shown[n-1]).Size
	}
	x.write(fmt.Sprintf("+OK %d %d\r\n", count, octets))
}

// numbers returns the numbers of the messages that are not marked.
func (x *session) numbers() []int {
	var list []int
	for i := range x.shown {
		if !x.marked[i+1] {
			list = append(list, i+1)
		}
	}
	return list
}

// list answers LIST and UIDL, for one message or for all.
func (x *session) list(arg string, show func(index int) string, endless bool) {
	if arg != "" {
		if n, index, ok := x.find(arg); ok {
			x.write(fmt.Sprintf("+OK %d %s\r\n", n, show(index)))
		}
		return
	}
	numbers := x.numbers()
	if x.plan.rows != nil {
		numbers = x.plan.rows(numbers)
	}
	x.ok("listing")
	for _, n := range numbers {
		x.write(strconv.Itoa(n) + " " + show(x.shown[n-1]) + "\r\n")
	}
	for n := len(x.shown) + 1; endless; n++ {
		if _, err := fmt.Fprintf(x.w, "%d %d\r\n", n, n); err != nil {
			x.cut()
			return
		}
	}
	x.write(".\r\n")
}

func (x *session) retr(arg string) {
	_, index, ok := x.find(arg)
	if !ok {
		return
	}
	mode, m := x.plan.retr[index+1], x.message(index)
	switch mode {
	case retrRefused:
		x.refuse("this message cannot be retrieved")
		return
	case retrGone:
		x.update(func(records []Record) { records[index].Hidden = true })
		x.refuse("no such message")
		return
	}
	x.ok("message follows")
	switch mode {
	case retrEmpty:
		x.write(".\r\n")
		return
	case retrEndless:
		x.text(io.MultiReader(m.Open(), endless()))
		x.cut()
		return
	case retrCut, retrHangs:
		x.text(io.LimitReader(m.Open(), m.Size/2))
		if mode == retrHangs {
			x.hang()
		}
		x.cut()
		return
	}
	if !x.text(m.Open()) {
		x.cut()
		return
	}
	if mode == retrNoDot {
		x.cut()
		return
	}
	x.write(".\r\n")
	x.retrieved[index] = true
	x.update(func(records []Record) { records[index].Retrieved++ })
}

// text sends a text with its dots stuffed, as far as the client takes it.
func (x *session) text(r io.Reader) bool {
	_, err := io.Copy(newStuffer(x.w), r)
	return err == nil
}

// top sends the header and some lines of the body. RFC 1939 section 7.
func (x *session) top(arg, lines string) {
	count, err := strconv.Atoi(lines)
	if err != nil || count < 0 {
		x.refuse("how many lines?")
		return
	}
	if _, index, ok := x.find(arg); ok {
		x.ok("top follows")
		x.text(&topReader{src: x.message(index).Open(), lines: count})
		x.write(".\r\n")
	}
}

// topReader ends after the header and some lines of the body.
type topReader struct {
	src    io.Reader
	lines  int
	last   [4]byte // octets before
	inBody bool
	ended  bool // nothing more is wanted
}

func (t *topReader) Read(p []byte) (int, error) {
	if t.ended {
		return 0, io.EOF
	}
	n, err := t.src.Read(p)
	for i, c := range p[:n] {
		t.last = [4]byte{t.last[1], t.last[2], t.last[3], c}
		if c != '\n' {
			continue
		}
		if t.inBody {
			t.lines--
		} else if bytes.Equal(t.last[:], []byte("\r\n\r\n")) {
			t.inBody = true
		}
		if t.inBody && t.lines <= 0 {
			t.ended = true
			return i + 1, nil
		}
	}
	return n, err
}
