// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"restante.example/pop3server"
	"restante.example/sasl"
)

// foreign is a SCRAM client of another implementation.
type foreign struct {
	*scram.ClientConversation
	mechanism string
}

func (f foreign) Start() (string, []byte, error) {
	first, err := f.Step("")
	return f.mechanism, []byte(first), err
}

func (f foreign) Next(challenge []byte) ([]byte, error) {
	answer, err := f.Step(string(challenge))
	return []byte(answer), err
}

var foreignHashes = map[string]scram.HashGeneratorFcn{"SHA-1": scram.SHA1, "SHA-256": scram.SHA256}

func newForeign(t *testing.T, hash, password string) *scram.Client {
	t.Helper()
	client, err := foreignHashes[hash].NewClient("ana", password, "")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Another implementation signs in with both hashes, with and without binding.
func TestSCRAMAgainstAnotherImplementation(t *testing.T) {
	opt := withTLS(office(t))
	opt.Mechanisms = policies{"SCRAM-SHA-1": pop3server.PolicyOn}
	opt.Limits.Failures = -1
	s := serve(t, opt)
	for hash := range foreignHashes {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c, state := overTLS(t, s, version)
			bound := func() scram.ChannelBinding {
				make := scram.NewTLSServerEndpointBinding
				if version == tls.VersionTLS13 {
					make = scram.NewTLSExporterBinding
				}
				b, err := make(&state)
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			for password, want := range map[string]string{"wrong": "-ERR [AUTH]", "secret": "+OK"} {
				x := foreign{newForeign(t, hash, password).NewConversation(), "SCRAM-" + hash}
				if got := c.authenticate(x); !strings.HasPrefix(got, want) || x.Valid() != (want == "+OK") {
					t.Errorf("%s, %x, %s: %q", hash, version, password, got)
				}
				if want == "+OK" {
					c.ask("QUIT", "+OK")
					c.ended()
					c, state = overTLS(t, s, version)
				}
				x = foreign{newForeign(t, hash, password).NewConversationWithChannelBinding(bound()), "SCRAM-" + hash + "-PLUS"}
				if got := c.authenticate(x); !strings.HasPrefix(got, want) || x.Valid() != (want == "+OK") {
					t.Errorf("%s-PLUS, %x, %s: %q", hash, version, password, got)
				}
				if want == "+OK" {
					c.ask("QUIT", "+OK")
					c.ended()
					c, state = overTLS(t, s, version)
				}
			}
			// It could bind, and believes that the server cannot: somebody has changed
			// the list. RFC 5802 section 6.
			x := foreign{newForeign(t, hash, "secret").NewConversationAdvertisingChannelBinding(), "SCRAM-" + hash}
			if got := c.authenticate(x); !strings.HasPrefix(got, "-ERR channel binding") {
				t.Errorf("%s: a downgrade: %q", hash, got)
			}
			c.close()
		}
	}
}

// The downgrade may be to another hash, which has no PLUS here.
func TestDowngradeToAnotherHash(t *testing.T) {
	opt := withTLS(office(t))
	opt.Mechanisms = policies{"SCRAM-SHA-1": pop3server.PolicyOn, "SCRAM-SHA-1-PLUS": pop3server.PolicyOff}
	c, _ := overTLS(t, serve(t, opt), 0)
	if got := c.announced(); got != "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN USER" {
		t.Fatalf("announced %s", got)
	}
	if got := c.authenticate(sasl.SCRAMClient("SHA-1", "", "ana", "secret", true)); !strings.HasPrefix(got, "-ERR channel binding") {
		t.Errorf("%q", got)
	}
	if got := c.authenticate(sasl.SCRAMClient("SHA-1", "", "ana", "secret", false)); !strings.HasPrefix(got, "+OK") {
		t.Errorf("a client that knows no binding: %q", got)
	}
}

// Without being asked for, and for a directory without keys, SHA-1 is not there.
func TestSCRAMSHA1IsOff(t *testing.T) {
	c := dial(t, serve(t, options(office(t))), "")
	c.want("+OK")
	if got := c.authenticate(sasl.SCRAMClient("SHA-1", "", "ana", "secret", false)); got != "-ERR that mechanism is not offered" {
		t.Errorf("%q", got)
	}
}

// What one connection has said opens no other: not the same messages again, nor
// the proof for a nonce of before.
func TestSCRAMReplay(t *testing.T) {
	opt := options(office(t))
	opt.Mechanisms = policies{"SCRAM-SHA-1": pop3server.PolicyOn}
	s := serve(t, opt)
	for _, hash := range []string{"SHA-256", "SHA-1"} {
		c := dial(t, s, "")
		c.want("+OK")
		x := sasl.SCRAMClient(hash, "", "ana", "secret", false)
		name, raw, err := x.Start()
		if err != nil {
			t.Fatal(err)
		}
		first := "AUTH " + name + " " + base64.StdEncoding.EncodeToString(raw)
		next := func(challenge string) string {
			t.Helper()
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(challenge, "+ "))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err = x.Next(raw); err != nil {
				t.Fatal(err)
			}
			return base64.StdEncoding.EncodeToString(raw)
		}
		final := next(c.ask(first, "+ "))
		next(c.ask(final, "+ "))
		c.ask("", "+OK")
		c.ask("QUIT", "+OK")

		c = dial(t, s, "")
		c.want("+OK")
		c.ask(first, "+ ")
		c.ask(final, "-ERR the response is malformed") // the nonce is another one
		// With the nonce of now the proof is one of something else.
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.ask(first, "+ "), "+ "))
		if err != nil {
			t.Fatal(err)
		}
		nonce, _, _ := strings.Cut(string(challenge), ",")
		old, err := base64.StdEncoding.DecodeString(final)
		if err != nil {
			t.Fatal(err)
		}
		_, proof, _ := strings.Cut(string(old), ",p=")
		c.ask(base64.StdEncoding.EncodeToString([]byte("c=biws,"+nonce+",p="+proof)), "-ERR [AUTH]")
		c.ask("AUTH PLAIN", "+ ")
		c.ask("*", "-ERR cancelled")
	}
}

// Somebody in between has a certificate that the client believes, and hands
// every line on. Neither binding lets that pass, and the client's password
// proves nothing to anybody.
func TestManInTheMiddle(t *testing.T) {
	opt := withTLS(office(t))
	opt.Mechanisms = policies{"SCRAM-SHA-1": pop3server.PolicyOn}
	opt.Limits.Failures = -1
	s := serve(t, opt)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, hash := range []string{"SHA-1", "SHA-256"} {
			victim, state := intercepted(t, s, version)
			for _, b := range sasl.ClientBindings(state) {
				got := victim.authenticate(sasl.SCRAMPlusClient(hash, "", "ana", "secret", b))
				if !strings.HasPrefix(got, "-ERR channel binding does not match") {
					t.Errorf("%x, %s, %s: %q", version, hash, b.Type, got)
				}
			}
			// Without a binding it works: so the lines do come through.
			if got := victim.authenticate(sasl.SCRAMClient(hash, "", "ana", "secret", false)); !strings.HasPrefix(got, "+OK") {
				t.Errorf("%x, %s, without binding: %q", version, hash, got)
			}
			victim.ask("QUIT", "+OK")
		}
	}
}

// intercepted connects a client to a server through somebody who speaks TLS with
// both, with a certificate of another key.
func intercepted(t *testing.T, s *pop3server.Server, version uint16) (*client, tls.ConnectionState) {
	t.Helper()
	far, _ := overTLS(t, s, version)
	forged := newCertificate()
	mine, theirs := net.Pipe()
	between := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{forged}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer between.Close()
		lines := bufio.NewReader(between)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			far.raw(line)
			// One line for each line is all that these conversations have.
			answer, err := far.r.ReadString('\n')
			if err != nil {
				return
			}
			if _, err := io.WriteString(between, answer); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { mine.Close(); <-done })
	config := clientTLS()
	config.MinVersion, config.MaxVersion = version, version
	config.RootCAs.AddCert(forged.Leaf)
	c := newClient(t, mine)
	return c, c.startTLS(config)
}
