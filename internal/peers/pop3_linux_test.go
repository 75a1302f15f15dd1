// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestPOP3Servers: each server starts, hands out what it was given, removes what
// it is told to, and ends.
func TestPOP3Servers(t *testing.T) {
	messages := []string{
		"Subject: one\n\nhello\n",
		"Subject: two\n\n.\n..dots\n\nof two lines\n",
		"Subject: three\n\n" + strings.Repeat("a long text\n", 10_000),
	}
	for _, c := range []struct {
		name  string
		start func(testing.TB, []string) *POP3Server
		tls   bool
	}{
		{"Dovecot", Dovecot, true},
		{"Courier", Courier, true},
		{"Cyrus", Cyrus, true},
		{"popa3d", Popa3d, false},
		{"mailutils", Mailutils, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := c.start(t, messages)
			if left := lines(server.Left()); !slices.Equal(left, messages) {
				t.Errorf("before anything it holds %.200q", left)
			}
			if got := collect(t, dial(t, server, false), server, "2"); !slices.Equal(got, messages) {
				t.Errorf("it hands out %.200q", got)
			}
			want := []string{messages[0], messages[2]}
			if left := lines(server.Left()); !slices.Equal(left, want) {
				t.Errorf("after DELE 2 it holds %.200q", left)
			}
			if c.tls != (server.TLSAddr != "") {
				t.Fatalf("POP3S is at %q", server.TLSAddr)
			}
			if c.tls {
				for name, conn := range map[string]net.Conn{"POP3S": dial(t, server, true), "STLS": stls(t, server)} {
					if got := collect(t, conn, server, ""); !slices.Equal(withoutNotes(got), want) {
						t.Errorf("by %s it hands out %.200q", name, got)
					}
				}
			}
		})
	}
}

// lines gives texts LF line ends: some servers keep them so, and some do not.
func lines(texts []string) []string {
	for i := range texts {
		texts[i] = strings.ReplaceAll(texts[i], "\r\n", "\n")
	}
	return texts
}

// withoutNotes takes off what servers with an mbox write into messages.
func withoutNotes(texts []string) []string {
	for i := range texts {
		texts[i] = mboxFields.ReplaceAllString(texts[i], "")
	}
	return texts
}

func config(t *testing.T, server *POP3Server) *tls.Config {
	t.Helper()
	ca, err := os.ReadFile(server.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func dial(t *testing.T, server *POP3Server, secure bool) net.Conn {
	t.Helper()
	if secure {
		conn, err := tls.Dial("tcp", server.TLSAddr, config(t, server))
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// stls begins TLS on the plain port. What it returns greets once more, as a
// connection that has just been made does, so that collect can have it.
func stls(t *testing.T, server *POP3Server) net.Conn {
	t.Helper()
	conn := dial(t, server, false)
	in := bufio.NewReader(conn)
	if s, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(s, "+OK") {
		t.Fatalf("the greeting is %q, %v", s, err)
	}
	io.WriteString(conn, "STLS\r\n")
	if s, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(s, "+OK") || in.Buffered() > 0 {
		t.Fatalf("STLS was answered %q, %v", s, err)
	}
	secure := tls.Client(conn, config(t, server))
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return greeted{secure, strings.NewReader("+OK\r\n")}
}

type greeted struct {
	net.Conn
	greeting *strings.Reader
}

func (g greeted) Read(p []byte) (int, error) {
	if g.greeting.Len() > 0 {
		return g.greeting.Read(p)
	}
	return g.Conn.Read(p)
}

// collect retrieves every message, with LF line ends, and deletes one.
func collect(t *testing.T, conn net.Conn, server *POP3Server, remove string) []string {
	t.Helper()
	defer conn.Close()
	in := bufio.NewReader(conn)
	line := func() string {
		s, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("reading: %q, %v", s, err)
		}
		return strings.TrimSuffix(s, "\r\n")
	}
	say := func(format string, args ...any) string {
		if format != "" {
			fmt.Fprintf(conn, format+"\r\n", args...)
		}
		reply := line()
		if !strings.HasPrefix(reply, "+OK") {
			t.Fatalf("%s was answered %q", format, reply)
		}
		return reply
	}
	say("")
	say("USER %s", server.User)
	say("PASS %s", server.Password)
	var count, octets int
	if _, err := fmt.Sscanf(say("STAT"), "+OK %d %d", &count, &octets); err != nil {
		t.Fatal(err)
	}
	var list []string
	for n := range count {
		say("RETR %d", n+1)
		var b strings.Builder
		for s := line(); s != "."; s = line() {
			s = strings.TrimPrefix(s, ".")
			b.WriteString(s + "\n")
		}
		list = append(list, b.String())
	}
	if remove != "" {
		say("DELE %s", remove)
	}
	say("QUIT")
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("behind QUIT: %v", err)
	}
	return list
}
