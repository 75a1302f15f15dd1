// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"restante.example/pop3server"
)

// Octets that somebody pushes in behind STLS end the connection; they are
// never taken for said under TLS. RFC 2595 section 4, CVE-2011-0411 and kin.
func TestSTLSDiscardsInjectedOctets(t *testing.T) {
	for _, behind := range []string{"CAPA\r\n", "USER mallory\r\nPASS x\r\n", "x"} {
		c := dial(t, serve(t, withTLS(office(t))), "192.0.2.1")
		c.want("+OK")
		c.raw("STLS\r\n" + behind)
		c.want("-ERR")
		c.ended()
	}
}

// What comes between +OK and the handshake is no handshake.
func TestSTLSTakesNoClearTextAfterOK(t *testing.T) {
	c := dial(t, serve(t, withTLS(office(t))), "192.0.2.1")
	c.want("+OK")
	c.ask("STLS", "+OK")
	c.raw("USER ana\r\nPASS secret\r\nSTAT\r\n")
	if got := c.rest(); strings.Contains(got, "+OK") {
		t.Errorf("clear text was answered: %q", got)
	}
}

// listen serves on a free port of this machine and returns its address.
func listen(t testing.TB, serve func(net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve(l) }()
	t.Cleanup(func() {
		if err := <-ended; err != pop3server.ErrServerClosed {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return l.Addr().String()
}

// Implicit TLS with ALPN: "pop3" is taken, absence is accepted, and a foreign
// protocol is refused (ALPACA). RFC 8314 section 3, RFC 7301 section 3.2.
func TestServeTLS(t *testing.T) {
	s := pop3server.New(withTLS(office(t, "a\n\n1\n")))
	addr := listen(t, s.ServeTLS)
	t.Cleanup(func() { s.Close() })
	for _, test := range []struct {
		offer []string
		want  string
		fails bool
	}{
		{[]string{"pop3"}, "pop3", false},
		{[]string{"imap", "pop3"}, "pop3", false},
		{nil, "", false},
		{[]string{"http/1.1"}, "", true},
		{[]string{"imap", "h2"}, "", true},
	} {
		config := clientTLS()
		config.NextProtos = test.offer
		conn, err := tls.Dial("tcp", addr, config)
		if test.fails {
			if err == nil {
				conn.Close()
				t.Errorf("%v was accepted", test.offer)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", test.offer, err)
			continue
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != test.want {
			t.Errorf("%v: negotiated %q", test.offer, got)
		}
		c := newClient(t, conn).signIn()
		c.ask("STLS", "-ERR")
		c.ask("STAT", "+OK 1 8")
		c.ask("QUIT", "+OK")
		c.ended()
	}
}

// A configuration that a callback chooses is held to the same rules.
func TestChosenTLSConfigIsHardened(t *testing.T) {
	opt := withTLS(office(t))
	inner := serverTLS()
	opt.TLSConfig = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }}
	s := pop3server.New(opt)
	addr := listen(t, s.ServeTLS)
	t.Cleanup(func() { s.Close() })
	config := clientTLS()
	config.NextProtos = []string{"imap"}
	if conn, err := tls.Dial("tcp", addr, config); err == nil {
		conn.Close()
		t.Error("a foreign protocol was accepted")
	}
	config = clientTLS()
	config.MaxVersion = tls.VersionTLS11
	config.MinVersion = tls.VersionTLS10
	if conn, err := tls.Dial("tcp", addr, config); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	for range 2 {
		conn, err := tls.Dial("tcp", addr, clientTLS())
		if err != nil {
			t.Fatal(err)
		}
		newClient(t, conn).signIn().ask("QUIT", "+OK")
	}
}

func TestServeTLSNeedsACertificate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := pop3server.New(nil).ServeTLS(l); err == nil || err == pop3server.ErrServerClosed {
		t.Errorf("got %v", err)
	}
	mine, theirs := net.Pipe()
	go pop3server.New(nil).ServeConn(t.Context(), theirs, true)
	newClient(t, mine).ended()
}
