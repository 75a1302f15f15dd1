// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"strconv"
	"sync"
)

// reply gathers what is to be sent and borrows a buffer for it meanwhile.
type reply struct {
	conn net.Conn
	buf  *[]byte
	err  error
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

// room makes sure that n octets more fit, n being far less than a buffer.
func (r *reply) room(n int) {
	if r.buf == nil {
		r.buf = buffers.Get().(*[]byte)
	}
	if len(*r.buf)+n > cap(*r.buf) {
		r.write()
	}
}

func (r *reply) write() {
	if r.err == nil {
		_, r.err = r.conn.Write(*r.buf)
	}
	*r.buf = (*r.buf)[:0]
}

func (r *reply) line(text string) {
	r.room(len(text) + 2)
	*r.buf = append(append(*r.buf, text...), '\r', '\n')
}

func (r *reply) row(n int, text string) {
	r.room(len(text) + 24)
	*r.buf = append(append(strconv.AppendInt(*r.buf, int64(n), 10), ' '), text...)
	*r.buf = append(*r.buf, '\r', '\n')
}

// flush sends what there is unless more commands are there already, and gives
// the buffer back. It reports whether the connection stands.
func (r *reply) flush(in *bufio.Reader) bool {
	if r.buf != nil && (in == nil || in.Buffered() == 0) {
		r.write()
		buffers.Put(r.buf)
		r.buf = nil
	}
	return r.err == nil
}

// message sends a file with CRLF line ends and dot-stuffed.
func (r *reply) message(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) > 0 && line[0] == '.' {
			r.room(1)
			*r.buf = append(*r.buf, '.')
		}
		for len(line) > 32<<10 {
			r.room(32 << 10)
			*r.buf = append(*r.buf, line[:32<<10]...)
			line = line[32<<10:]
		}
		r.room(len(line) + 2)
		*r.buf = append(append(*r.buf, line...), '\r', '\n')
	}
	return r.err
}
