// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"restante.example/pop3server"
)

// held is a connection whose octets wait until the test sends them.
type held struct {
	net.Conn
	hold    bool
	waiting []byte
}

func (h *held) Write(p []byte) (int, error) {
	if !h.hold {
		return h.Conn.Write(p)
	}
	h.waiting = append(h.waiting, p...)
	return len(p), nil
}

// SetWriteDeadline does nothing: package tls forbids writing after its alert.
func (h *held) SetWriteDeadline(time.Time) error { return nil }

// send sends the next octets of those that wait.
func (h *held) send(t *testing.T, n int) {
	t.Helper()
	if _, err := h.Conn.Write(h.waiting[:n]); err != nil {
		t.Fatal(err)
	}
	h.waiting = h.waiting[n:]
}

// heldSession is a session under TLS over TCP, whose client's octets wait from
// now on.
func heldSession(t *testing.T, opt *pop3server.Options, version uint16) (*pop3server.Server, *held, *tls.Conn, *bufio.Reader) {
	t.Helper()
	s := pop3server.New(opt)
	address := listen(t, s.ServeTLS)
	t.Cleanup(func() { s.Close() })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	h := &held{Conn: conn}
	config := clientTLS()
	config.MaxVersion = version
	secured := tls.Client(h, config)
	r := bufio.NewReader(secured)
	for _, say := range []string{"", "USER ana\r\n", "PASS secret\r\n"} {
		io.WriteString(secured, say)
		wantOK(t, r)
	}
	h.hold = true
	return s, h, secured, r
}

func wantOK(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
		t.Fatalf("%q, %v", line, err)
	}
}

// TestSecuredPieces: however records of TLS come, cut or many at once, each
// command in them is answered, whichever way the server waits.
func TestSecuredPieces(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			_, h, secured, r := heldSession(t, withTLS(office(t)), version)
			for _, pause := range []time.Duration{0, 300 * time.Millisecond} { // shorter and longer than that
				io.WriteString(secured, "NOOP\r\n")
				for len(h.waiting) > 0 {
					h.send(t, 1)
					time.Sleep(time.Millisecond) // so that the server sees the piece alone
					if len(h.waiting) == 20 {
						time.Sleep(pause)
					}
				}
				wantOK(t, r)
			}

			const many = 50
			for range many {
				io.WriteString(secured, "NOOP\r\n")
			}
			h.send(t, len(h.waiting)-1)
			for range many - 1 {
				wantOK(t, r)
			}
			h.send(t, 1)
			wantOK(t, r)

			// Longer than what the server reads at once, as one record.
			io.WriteString(secured, strings.Repeat("NOOP\r\n", 500))
			h.send(t, len(h.waiting))
			for range 500 {
				wantOK(t, r)
			}
		})
	}
}

// TestSecuredBeforeAlert: a command is answered although what follows it, an
// alert, has not come whole.
func TestSecuredBeforeAlert(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			_, h, secured, r := heldSession(t, withTLS(office(t)), version)
			io.WriteString(secured, "NOOP\r\n")
			if err := secured.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			h.send(t, len(h.waiting)-3)
			wantOK(t, r)
			h.send(t, 3)
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 && !strings.HasPrefix(string(rest), "-ERR") {
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
}

// TestSecuredEnds: who waits under TLS is woken by the time limit, by the end of
// the connection, and by the end of the server.
func TestSecuredEnds(t *testing.T) {
	for name, end := range map[string]func(*pop3server.Server, *held){
		"idle": func(*pop3server.Server, *held) {},
		"gone": func(_ *pop3server.Server, h *held) { h.Conn.(*net.TCPConn).CloseWrite() },
		"shutdown": func(s *pop3server.Server, _ *held) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			s.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			opt := withTLS(office(t))
			if name == "idle" {
				opt.Timeouts.Idle = 600 * time.Millisecond
			}
			s, h, _, r := heldSession(t, opt, tls.VersionTLS13)
			time.Sleep(300 * time.Millisecond) // longer than it waits in the ordinary way
			end(s, h)
			if rest, err := io.ReadAll(r); err != nil && err != io.ErrUnexpectedEOF || len(rest) > 0 && !strings.HasPrefix(string(rest), "-ERR") {
				t.Errorf("%q, %v", rest, fmt.Sprint(err))
			}
		})
	}
}
