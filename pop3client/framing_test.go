// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Replies pushed in by somebody on the way, in front of, with and behind those
// that STLS has, in one segment, in two cut at every octet, and in single
// octets: either there is no connection, or all that it says comes from the
// server under TLS. RFC 2595 section 4.
func TestOctetsAroundSTLS(t *testing.T) {
	const greeting, begin = "+OK hi\r\n", "+OK begin TLS\r\n"
	type speech struct{ greeting, answer string }
	var cases []speech
	for _, pushed := range []string{
		"+OK begin TLS\r\n", "+OK\r\nX-PUSHED\r\n.\r\n", "-ERR [AUTH] go away\r\n", "+OK 7 700\r\n", "x", "\r\n", "+OK",
	} {
		cases = append(cases,
			speech{pushed + greeting, begin}, speech{greeting + pushed, begin},
			speech{greeting, pushed + begin}, speech{greeting, begin + pushed})
	}
	for _, c := range cases {
		for k := range len(c.answer) + 1 {
			playsOrFails(t, []string{c.greeting}, []string{c.answer[:k], c.answer[k:]})
		}
		for k := range len(c.greeting) + 1 {
			playsOrFails(t, []string{c.greeting[:k], c.greeting[k:]}, []string{c.answer})
		}
		playsOrFails(t, strings.Split(c.greeting, ""), strings.Split(c.answer, ""))
	}
	// Nothing pushed in: it works however it is cut.
	for k := range len(begin) + 1 {
		if !playsOrFails(t, strings.Split(greeting, ""), []string{begin[:k], begin[k:]}) {
			t.Errorf("cut behind %q: no connection", begin[:k])
		}
	}
}

// playsOrFails lets a server greet and answer STLS in these segments, and then
// begin TLS. It reports whether the client takes part.
func playsOrFails(t *testing.T, greeting, answer []string) (works bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cert, pool := certificate(t)
		client, server := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			send := func(segments []string) {
				for _, s := range segments {
					if s == "" {
						continue
					}
					if _, err := io.WriteString(server, s); err != nil {
						return // the client has gone, as it may
					}
					time.Sleep(time.Millisecond)
				}
			}
			var greeted sync.WaitGroup
			greeted.Go(func() { send(greeting) })
			defer greeted.Wait()
			defer server.Close()
			line, err := bufio.NewReaderSize(server, 16).ReadString('\n')
			if err != nil || line != "STLS\r\n" {
				return
			}
			greeted.Wait()
			send(answer)
			secured := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
			if secured.Handshake() != nil {
				return
			}
			// What fails shows at the client.
			_ = play(secured, "C: CAPA\nS: +OK\nS: X-TRUE\nS: .\nC: QUIT\nS: +OK")
		}()
		c, err := NewSTLS(t.Context(), client, "mail.example.org", &Options{TLS: &tls.Config{RootCAs: pool}})
		if err == nil {
			caps, err := c.Capabilities(t.Context())
			if err == nil {
				works = true
				if !caps.Has("X-TRUE") || len(caps) != 1 {
					t.Errorf("%q, %q: capabilities %v", greeting, answer, caps)
				}
				if err := c.Quit(t.Context()); err != nil {
					t.Errorf("%q, %q: %v", greeting, answer, err)
				}
			}
			c.Close()
		}
		client.Close()
		<-ended
	})
	return works
}
