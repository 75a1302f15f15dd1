// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
)

// writing notes how long the longest write to a client was.
type writing struct {
	net.Conn
	mu      sync.Mutex
	longest int
}

func (c *writing) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.longest = max(c.longest, len(p))
	c.mu.Unlock()
	return c.Conn.Write(p)
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
		conn := &writing{Conn: theirs}
		go s.ServeConn(context.Background(), conn, secure)
		if secure {
			mine = tls.Client(mine, clientTLS())
		}
		c := newClient(t, mine).signIn()
		c.ask("RETR 1", "+OK")
		if got := len(c.text()); got != 600_005 {
			t.Errorf("%d octets came", got)
		}
		c.ask("QUIT", "+OK")
		c.ended()
		conn.mu.Lock()
		defer conn.mu.Unlock()
		return conn.longest
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
