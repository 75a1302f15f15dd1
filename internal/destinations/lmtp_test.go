// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"restante.example/collect"
)

// office is an LMTP server that shares no code with ours.
type office struct {
	mu         sync.Mutex
	texts      []string
	recipients []string
	sessions   int
	refuse     func(recipient string, n int) error
}

func (o *office) NewSession(*smtp.Conn) (smtp.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions++
	return &officeSession{o: o}, nil
}

type officeSession struct {
	o  *office
	to string
}

func (s *officeSession) Reset()                               {}
func (s *officeSession) Logout() error                        { return nil }
func (s *officeSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *officeSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.to = to
	if s.o.refuse != nil {
		return s.o.refuse(to, len(s.o.texts))
	}
	return nil
}

func (s *officeSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.texts = append(s.o.texts, string(data))
	s.o.recipients = append(s.o.recipients, s.to)
	return nil
}

func startOffice(t *testing.T, o *office, network, address string) net.Addr {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(o)
	server.LMTP, server.MaxLineLength, server.Domain = true, 1<<20, "localhost"
	var wait sync.WaitGroup
	wait.Go(func() { _ = server.Serve(listener) }) // ends with Close
	t.Cleanup(func() { server.Close(); wait.Wait() })
	return listener.Addr()
}

func TestLMTP(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		var o office
		var spec string
		if network == "unix" {
			if runtime.GOOS == "windows" {
				continue
			}
			path := filepath.Join(t.TempDir(), "s")
			startOffice(t, &o, "unix", path)
			spec = "lmtp:unix:" + path
		} else {
			spec = "lmtp:" + startOffice(t, &o, "tcp", "127.0.0.1:0").String()
		}
		d := openAt(t, spec, Options{Recipient: "u1@example.org", Timeout: 10 * time.Second})
		var j collect.Memory
		a := account(serve(t), d)
		a.Keep.Delete = true
		if r := run(t, a, &j); !r.Complete() {
			t.Errorf("%+v", r)
		}
		o.mu.Lock()
		// The oracle's reader takes CR LF apart from lone CRs and LFs in its own way.
		plain := func(list []string) (out []string) {
			for _, s := range list {
				if !strings.Contains(s, "lone") {
					out = append(out, s)
				}
			}
			return out
		}
		expect(t, plain(o.texts), plain(wanted(t, true)))
		if len(o.texts) != len(letters()) || o.sessions != 1 || slices.Compact(o.recipients)[0] != "u1@example.org" {
			t.Errorf("%d messages, %d sessions, %v", len(o.texts), o.sessions, slices.Compact(o.recipients))
		}
		o.mu.Unlock()
	}
}

func TestLMTPRefusals(t *testing.T) {
	o := office{refuse: func(_ string, n int) error {
		if n == 3 {
			return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full\x1b[2J"}
		}
		return nil
	}}
	address := startOffice(t, &o, "tcp", "127.0.0.1:0").String()
	d := openAt(t, "lmtp:"+address, Options{Recipient: "u1@example.org"})
	var j collect.Memory
	s := serve(t)
	r := run(t, account(s, d), &j)
	if r.Complete() || len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Err.Error(), "452") ||
		strings.Contains(r.Problems[0].Err.Error(), "\x1b") {
		t.Errorf("%+v", r)
	}
	o.mu.Lock()
	o.refuse = nil
	o.mu.Unlock()
	if r := run(t, account(s, d), &j); !r.Complete() || len(o.texts) != len(letters()) {
		t.Errorf("%+v, %d messages", r, len(o.texts))
	}
}

// A connection that was closed while it was idle is made anew.
func TestLMTPConnectionLost(t *testing.T) {
	var o office
	address := startOffice(t, &o, "tcp", "127.0.0.1:0").String()
	d := openAt(t, "lmtp:"+address, Options{Recipient: "u1@example.org"})
	file(t, d, item(t, d, "1", "Subject: 1\r\n\r\n"))
	d.(*lmtp).conn.conn.Close()
	file(t, d, item(t, d, "2", "Subject: 2\r\n\r\n"))
	if len(o.texts) != 2 || o.sessions != 2 {
		t.Errorf("%d messages, %d sessions", len(o.texts), o.sessions)
	}
}
