// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"crypto/tls"
	"io"
	"iter"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"restante.example/pop3server"
)

// pushed is what somebody on the way would like to have done. Each test lets it
// be possible in clear text too, so that only the rules of STLS are in its way.
const pushed = "USER ana\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n"

// cuts gives the ways to send octets: in one segment, in two cut at every octet,
// and in segments of a single octet.
func cuts(stream string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for k := 1; k < len(stream); k++ {
			if !yield([]string{stream[:k], stream[k:]}) {
				return
			}
		}
		_ = yield([]string{stream}) && yield(strings.Split(stream, ""))
	}
}

// Commands pushed in behind STLS, at every border between two segments, are not
// answered and do nothing. RFC 2595 section 4.
func TestOctetsBehindSTLS(t *testing.T) {
	for stream, answered := range map[string]int{
		"STLS\r\n" + pushed:                                     0,
		"stls\n" + pushed:                                       0,
		"CAPA\r\nSTLS\r\nCAPA\r\n" + pushed:                     1,
		"USER ana\r\nSTLS\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n": 1,
		"STLS\r\nSTLS\r\n" + pushed:                             0,
		"STLS\r\n\r\n" + pushed:                                 0,
		"NOOP\r\nSTLS\r\n\x00" + pushed:                         0,
	} {
		for segments := range cuts(stream) {
			synctest.Test(t, func(t *testing.T) {
				o := office(t, "a\n\n1\n")
				opt := withTLS(o)
				ends := make(chan pop3server.Summary, 1)
				opt.OnEnd = func(s pop3server.Summary) { ends <- s }
				mine, theirs := net.Pipe()
				go serve(t, opt).ServeConn(t.Context(), theirs, false)
				heard := make(chan string, 1)
				go func() {
					b, _ := io.ReadAll(mine) // a cut connection is an end too
					heard <- string(b)
				}()
				for _, s := range segments {
					if _, err := io.WriteString(mine, s); err != nil {
						break // the server has closed it
					}
					synctest.Wait()
				}
				mine.Close()
				end, said := <-ends, <-heard
				_, behind, begun := strings.Cut(said, "+OK begin TLS\r\n")
				if end.User != "" || end.End != pop3server.EndInjection && end.End != pop3server.EndTLS {
					t.Errorf("%q: %+v", segments, end)
				}
				if strings.Contains(behind, "+OK") || strings.Contains(behind, "-ERR") {
					t.Errorf("%q: answered behind STLS: %q", segments, behind)
				}
				// The greeting, what was asked before, and STLS itself.
				want := 1 + answered
				if begun {
					want++
				}
				if got := strings.Count("\n"+said, "\n+OK"); got != want {
					t.Errorf("%q: %d answers, want %d: %q", segments, got, want, said)
				}
				if len(o.Messages("ana")) != 1 {
					t.Errorf("%q: mail was deleted", segments)
				}
			})
		}
	}
}

// The same with a handshake behind them, as somebody on the way does it to a
// client that knows nothing of it: with a single octet pushed in there is no
// session, be it in the segment of STLS or in that of the handshake.
func TestOctetsBetweenSTLSAndHandshake(t *testing.T) {
	for k := range len(pushed) + 1 {
		for _, withSTLS := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				opt := withTLS(office(t))
				ends := make(chan pop3server.Summary, 1)
				opt.OnEnd = func(s pop3server.Summary) { ends <- s }
				mine, theirs := net.Pipe()
				go serve(t, opt).ServeConn(t.Context(), theirs, false)
				c := newClient(t, mine)
				c.want("+OK")
				raw := &pushing{mine, 0, pushed[:k]}
				if withSTLS {
					raw.octets = ""
					c.raw("STLS\r\n" + pushed[:k])
				} else {
					c.raw("STLS\r\n")
				}
				answer := c.line()
				secured := tls.Client(raw, clientTLS())
				agreed := answer == "+OK begin TLS" && secured.Handshake() == nil
				mine.Close()
				if end := <-ends; agreed != (k == 0) || end.User != "" {
					t.Errorf("%q pushed in, with STLS %t: TLS %t, %q, %+v", pushed[:k], withSTLS, agreed, answer, end)
				}
			})
		}
	}
}

// What was said before STLS, however it is cut, is forgotten, and the session
// under TLS is a new one.
func TestOctetsBeforeSTLS(t *testing.T) {
	for segments := range cuts("USER ana\r\nLANG es\r\nSTLS\r\n") {
		synctest.Test(t, func(t *testing.T) {
			c := dial(t, serve(t, withTLS(office(t))), "")
			for _, s := range segments {
				c.raw(s)
				synctest.Wait()
			}
			for _, want := range []string{"+OK POP3", "+OK send", "+OK es", "+OK empiece TLS"} {
				c.want(want)
			}
			c.startTLS(clientTLS())
			c.ask("PASS secret", "-ERR send USER first")
			c.ask("USER ana", "+OK")
			c.ask("PASS secret", "+OK")
			c.ask("QUIT", "+OK")
			c.ended()
		})
	}
}

// pushing is the connection of a client into which somebody pushes octets.
type pushing struct {
	net.Conn
	at     int // in front of which octet of the client's
	octets string
}

func (p *pushing) Write(b []byte) (int, error) {
	if p.at < 0 || p.at >= len(b) {
		p.at -= len(b)
		return p.Conn.Write(b)
	}
	at := p.at
	p.at = -1
	all := string(b[:at]) + p.octets + string(b[at:])
	if _, err := io.WriteString(p.Conn, all); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Octets pushed in at any place from the beginning of the handshake to the end of
// the first commands under TLS break the connection: nobody is signed in.
func TestOctetsInsideTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := clientTLS()
		config.MinVersion, config.MaxVersion = version, version
		config.CurvePreferences = []tls.CurveID{tls.X25519} // a short hello
		at, reached := 0, true
		for ; reached; at++ {
			synctest.Test(t, func(t *testing.T) {
				o := office(t, "a\n\n1\n")
				opt := withTLS(o)
				ends := make(chan pop3server.Summary, 1)
				opt.OnEnd = func(s pop3server.Summary) { ends <- s }
				mine, theirs := net.Pipe()
				go serve(t, opt).ServeConn(t.Context(), theirs, false)
				c := newClient(t, mine)
				c.want("+OK")
				c.ask("STLS", "+OK")
				raw := &pushing{mine, at, pushed}
				secured := tls.Client(raw, config)
				if err := secured.Handshake(); err == nil {
					go io.Copy(io.Discard, secured) // until it ends, in whatever way
					if _, err := io.WriteString(secured, "USER ana\r\nPASS secret\r\n"); err == nil {
						synctest.Wait()
					}
				}
				mine.Close()
				end := <-ends
				reached = raw.at < 0
				if (end.User == "") != reached || len(o.Messages("ana")) != 1 {
					t.Errorf("%s, in front of octet %d (%t): %+v", tls.VersionName(version), at, reached, end)
				}
			})
		}
		if at < 300 {
			t.Errorf("%s: only %d places", tls.VersionName(version), at)
		}
	}
}

// A resumed TLS session is one more connection that nobody has signed in on.
func TestResumptionSignsNobodyIn(t *testing.T) {
	s := pop3server.New(withTLS(office(t, "a\n\n1\n")))
	clear, implicit := listen(t, s.Serve), listen(t, s.ServeTLS)
	t.Cleanup(func() { s.Close() })
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := clientTLS()
		config.MaxVersion = version
		config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		resumed := 0
		for _, how := range []string{"implicit", "STLS", "implicit", "STLS"} {
			address := map[string]string{"implicit": implicit, "STLS": clear}[how]
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, conn)
			if how == "STLS" {
				c.want("+OK")
				c.ask("STLS", "+OK")
			}
			if c.startTLS(config).DidResume {
				resumed++
			}
			if how == "implicit" {
				c.want("+OK")
			}
			for _, command := range []string{"STAT", "RETR 1", "DELE 1", "PASS secret"} {
				c.ask(command, "-ERR")
			}
			c.ask("USER ana", "+OK")
			c.ask("PASS secret", "+OK")
			c.ask("QUIT", "+OK")
			c.ended()
		}
		if resumed != 3 {
			t.Errorf("%s: %d sessions of 4 were resumed", tls.VersionName(version), resumed)
		}
	}
}
