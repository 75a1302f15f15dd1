// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dial connects in memory, for tests of time.
func dial(t *testing.T, s *Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := s.DialContext(t.Context(), "tcp", "ignored:110")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, bufio.NewReader(conn)
}

func say(t *testing.T, conn net.Conn, r *bufio.Reader, line, want string) {
	t.Helper()
	if line != "" {
		if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(got, want) {
		t.Fatalf("%s: %q, %v", line, got, err)
	}
}

func TestHangs(t *testing.T) {
	for _, test := range []struct {
		fault Fault
		say   string
		want  int // octets that come before it hangs
	}{{HangingCAPA(), "CAPA", 0}, {HangInMessage(1), "RETR 1", 150}} {
		t.Run(test.fault.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := New(t.Context(), &Options{Faults: []Fault{test.fault}, Messages: Numbered(1, 300)})
				if err != nil {
					t.Fatal(err)
				}
				conn, r := dial(t, s)
				say(t, conn, r, "", "+OK")
				say(t, conn, r, "USER u1", "+OK")
				say(t, conn, r, "PASS secret", "+OK")
				if err := conn.SetReadDeadline(time.Now().Add(24 * time.Hour)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(conn, test.say+"\r\n"); err != nil {
					t.Fatal(err)
				}
				said, err := io.ReadAll(r)
				if !errors.Is(err, os.ErrDeadlineExceeded) || len(said) < test.want || test.want == 0 && len(said) > 0 {
					t.Fatalf("%q, %v", said, err)
				}
				if err := errors.Join(conn.Close(), s.Close()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestOneOctetASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(t.Context(), &Options{Faults: []Fault{OneOctetASecond()}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		conn, r := dial(t, s)
		say(t, conn, r, "", "+OK ready\r\n")
		if took := time.Since(begin); took != 11*time.Second {
			t.Errorf("11 octets took %v", took)
		}
		if err := errors.Join(conn.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBrokenPipelining(t *testing.T) {
	s := start(t, &Options{Faults: []Fault{BrokenPipelining()}})
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	say(t, conn, r, "", "+OK")
	say(t, conn, r, "USER u1\r\nPASS lost\r\nNOOP\r\nUSER lost", "+OK")
	say(t, conn, r, "PASS secret", "+OK welcome")
	say(t, conn, r, "STAT", "+OK 5")
}

func TestTLS(t *testing.T) {
	for _, test := range []struct {
		name  string
		opt   Options
		reply string
		works bool
	}{
		{"STLS", Options{}, "+OK begin TLS\r\n", true},
		{"NoSTLS", Options{NoSTLS: true}, "-ERR no TLS here\r\n", false},
		{"Broken", Options{Faults: []Fault{BrokenSTLS()}}, "+OK begin TLS\r\n", false},
		{"Injected", Options{Faults: []Fault{InjectedBeforeTLS()}}, "+OK begin\r\n+OK injected\r\n.\r\n-ERR [AUTH] injected\r\n", true},
		{"Implicit", Options{ImplicitTLS: true}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, &test.opt)
			conn, err := net.Dial("tcp", s.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if !test.opt.ImplicitTLS {
				reply := make([]byte, len("+OK ready\r\n")+len(test.reply))
				if _, err := io.WriteString(conn, "STLS\r\n"); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "+OK ready\r\n"+test.reply {
					t.Fatalf("%q, %v", reply, err)
				}
			}
			secured := tls.Client(conn, &tls.Config{RootCAs: s.Roots(), ServerName: "localhost"})
			if test.opt.NoSTLS {
				return // nobody would answer the handshake with anything but -ERR
			}
			if err := secured.HandshakeContext(t.Context()); (err == nil) != test.works {
				t.Fatal(err)
			}
			if test.works && !test.opt.ImplicitTLS {
				say(t, secured, bufio.NewReader(secured), "USER u1", "+OK")
			}
		})
	}
}
