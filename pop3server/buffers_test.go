// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// inWrites is a client's end of a pipe, which gives on the octets of one write at
// a time. It notes how long the longest was.
type inWrites struct {
	net.Conn
	buffer  [1 << 20]byte
	rest    []byte
	longest int
}

func (c *inWrites) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		n, err := c.Conn.Read(c.buffer[:])
		if err != nil {
			return 0, err
		}
		c.rest, c.longest = c.buffer[:n], max(c.longest, n)
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// A message goes out in few long writes, records of TLS together, also when many
// clients have gone in the middle of one.
func TestLongWrites(t *testing.T) {
	o := office(t, "a\n\n"+strings.Repeat("0123456789\n", 50_000))
	opt := withTLS(o)
	opt.Limits.PerAddress = -1
	s := serve(t, opt)
	retr := func(secure bool) int {
		mine, theirs := net.Pipe()
		go s.ServeConn(context.Background(), theirs, secure)
		pieces := &inWrites{Conn: mine}
		var conn net.Conn = pieces
		if secure {
			conn = tls.Client(pieces, clientTLS())
		}
		c := newClient(t, conn).signIn()
		c.ask("RETR 1", "+OK")
		if got := len(c.text()); got != 600_005 {
			t.Errorf("%d octets came", got)
		}
		c.ask("QUIT", "+OK")
		c.ended()
		return pieces.longest
	}
	for range 300 { // one after the other
		mine, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.ServeConn(context.Background(), theirs, false)
		}()
		c := newClient(t, mine).signIn()
		c.ask("RETR 1", "+OK")
		c.close()
		<-ended
	}
	for _, secure := range []bool{false, true} {
		if n := retr(secure); n < 100_000 {
			t.Errorf("TLS %t: the longest write had %d octets", secure, n)
		}
	}
}
