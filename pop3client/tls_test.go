// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/pop3"
	"restante.example/pop3server/pop3fault"
)

// certificate makes one for mail.example.org and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"mail.example.org"}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// A server that wants TLS from the start waits for it, in clear text and before STLS.
func TestSilenceInClearText(t *testing.T) {
	silent := func(conn net.Conn) { _, _ = io.ReadAll(conn) }
	closes := func(after time.Duration, text string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.WriteString(conn, text)
			time.Sleep(after)
			conn.Close()
		}
	}
	for _, one := range []struct {
		name  string
		serve func(net.Conn)
		want  bool
	}{
		{"silent", silent, true},
		{"closes", closes(30*time.Second, ""), true},
		{"turned away", closes(0, ""), false},
		{"half a greeting", closes(30*time.Second, "+OK"), false},
		{"half a greeting and silence", closes(2*time.Minute, "+OK"), false},
	} {
		for _, stls := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				var serving sync.WaitGroup
				serving.Go(func() { one.serve(theirs) })
				defer serving.Wait()
				var err error
				if stls {
					_, err = NewSTLS(t.Context(), ours, "mail.example.org", nil)
				} else {
					_, err = New(t.Context(), ours, nil)
				}
				if err == nil || errors.Is(err, ErrNoGreeting) != one.want {
					t.Errorf("%s: %v", one.name, err)
				}
			})
		}
	}
	synctest.Test(t, func(t *testing.T) { // in TLS it is a server that hangs
		cert, pool := certificate(t)
		ours, theirs := net.Pipe()
		go func() {
			conn := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}})
			if conn.Handshake() == nil {
				silent(conn)
			}
		}()
		_, err := New(t.Context(), tls.Client(ours, &tls.Config{RootCAs: pool, ServerName: "mail.example.org"}), nil)
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrNoGreeting) {
			t.Error(err)
		}
	})
}

// office dials one conversation, in TLS from the start.
type office struct {
	t            *testing.T
	config       *tls.Config
	conversation string
	network      string // as dialled
	address      string
}

func (o *office) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	o.network, o.address = network, address
	// A real connection: a failing handshake writes on both sides at once.
	client, server := loopback(o.t)
	done := make(chan error, 1)
	go func() {
		secured := tls.Server(server, o.config)
		err := secured.HandshakeContext(context.Background())
		if err == nil {
			err = play(secured, o.conversation)
		}
		_ = server.Close()
		done <- err
	}()
	o.t.Cleanup(func() {
		_ = client.Close()
		if err := <-done; err != nil && o.conversation != "" {
			o.t.Errorf("conversation: %v", err)
		}
	})
	return client, nil
}

// loopback returns the two ends of a TCP connection.
func loopback(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := server.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func (o *office) options(pool *x509.CertPool) *Options {
	return &Options{Dialer: o, TLS: &tls.Config{RootCAs: pool}, SkipCapabilities: true}
}

func newOffice(t *testing.T, conversation string) (*office, *x509.CertPool) {
	cert, pool := certificate(t)
	config := &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true, NextProtos: []string{pop3.ALPN}}
	return &office{t: t, config: config, conversation: conversation}, pool
}

func TestDialTLS(t *testing.T) {
	o, pool := newOffice(t, signedIn)
	c, err := DialTLS(t.Context(), "mail.example.org", o.options(pool))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if o.network != "tcp" || o.address != "mail.example.org:995" {
		t.Error(o.network, o.address)
	}
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	if state, ok := c.TLS(); !ok || state.NegotiatedProtocol != "pop3" || state.Version != tls.VersionTLS13 {
		t.Errorf("%+v", state)
	}
}

// TestCertificates: nothing is said to a server that is not the right one, and
// the error has the fingerprint that may be pinned.
func TestCertificates(t *testing.T) {
	for _, test := range []struct {
		name   string
		host   string
		change func(opt *Options, leaf *x509.Certificate)
		want   error // nil: works
	}{
		{"trusted", "mail.example.org", func(*Options, *x509.Certificate) {}, nil},
		{"unknown", "mail.example.org", func(o *Options, _ *x509.Certificate) { o.TLS = nil }, errAny},
		{"other name", "other.example.org", func(*Options, *x509.Certificate) {}, errAny},
		{"pinned", "other.example.org", func(o *Options, leaf *x509.Certificate) {
			o.TLS, o.PinSHA256 = nil, []string{strings.Repeat("00", 32), strings.ToUpper(Fingerprint(leaf))}
		}, nil},
		{"other pin", "mail.example.org", func(o *Options, _ *x509.Certificate) {
			o.PinSHA256 = []string{strings.Repeat("AB:", 31) + "AB"}
		}, ErrPin},
		{"old version", "mail.example.org", func(o *Options, _ *x509.Certificate) { o.TLS.MinVersion = tls.VersionTLS13 + 1 }, errAny},
	} {
		t.Run(test.name, func(t *testing.T) {
			conversation := "S: +OK"
			if test.want != nil {
				conversation = ""
			}
			o, pool := newOffice(t, conversation)
			opt := o.options(pool)
			test.change(opt, o.config.Certificates[0].Leaf)
			c, err := DialTLS(t.Context(), test.host, opt)
			switch {
			case test.want == nil && err == nil:
				_ = c.Close()
			case (test.want == nil) != (err == nil), test.want == ErrPin && !errors.Is(err, ErrPin):
				t.Fatal(err)
			case test.name != "old version":
				if got, ok := CertificateFingerprint(err); !ok || got != Fingerprint(o.config.Certificates[0].Leaf) {
					t.Errorf("fingerprint %q of %v", got, err)
				}
			}
		})
	}
}

var errAny = errors.New("any error")

// TestTLSOptions: what would be unsafe is refused before anybody is dialled.
func TestTLSOptions(t *testing.T) {
	for _, opt := range []*Options{
		{TLS: &tls.Config{InsecureSkipVerify: true}},
		{PinSHA256: []string{"12:34"}},
		{PinSHA256: []string{strings.Repeat("zz", 32)}},
	} {
		opt.Dialer = noDialer{}
		if _, err := DialTLS(t.Context(), "mail.example.org", opt); err == nil || errors.Is(err, errDialled) {
			t.Errorf("%+v: %v", opt, err)
		}
		if _, err := DialSTLS(t.Context(), "mail.example.org", opt); err == nil || errors.Is(err, errDialled) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}

var errDialled = errors.New("dialled")

type noDialer struct{}

func (noDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errDialled
}

// TestClientCertificate: a certificate of the client's is shown.
func TestClientCertificate(t *testing.T) {
	o, pool := newOffice(t, "S: +OK")
	mine, myPool := certificate(t)
	o.config.ClientAuth, o.config.ClientCAs = tls.RequireAnyClientCert, myPool
	opt := o.options(pool)
	opt.TLS.Certificates = []tls.Certificate{mine}
	c, err := DialTLS(t.Context(), "mail.example.org", opt)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// TestPinOfAConnection: New checks the pin on a connection that is there.
func TestPinOfAConnection(t *testing.T) {
	o, pool := newOffice(t, "S: +OK")
	conn := dialed(t, o)
	secured := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "mail.example.org"})
	if _, err := New(t.Context(), secured, &Options{PinSHA256: []string{strings.Repeat("00", 32)}}); !errors.Is(err, ErrPin) {
		t.Error(err)
	}
}

// TestNoFallBack: without STLS there is no sign-in, in clear text least of all.
func TestNoFallBack(t *testing.T) {
	conn := script(t, `
		S: +OK
		C: STLS
		S: -ERR not here`)
	_, err := NewSTLS(t.Context(), conn, "mail.example.org", nil)
	if refusal, ok := errors.AsType[*pop3.Error](err); !errors.Is(err, ErrNoSTLS) || !ok || refusal.Text != "not here" {
		t.Error(err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection is still open: %v", err)
	}
}

// TestInjection: what was sent in clear text behind the reply to STLS is never
// taken for an answer. The server of pop3fault puts refusals there.
func TestInjection(t *testing.T) {
	server, err := pop3fault.Start(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{pop3fault.InjectedBeforeTLS()}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	opt := &Options{TLS: &tls.Config{RootCAs: server.Roots()}}
	c, err := DialSTLS(t.Context(), server.Address(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if caps, err := c.Capabilities(t.Context()); err != nil || !caps.Has(pop3.CapUIDL) || caps.Has(pop3.CapSTLS) {
		t.Fatal(caps, err)
	}
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	if n, octets, err := c.Stat(t.Context()); n != 5 || octets != 5000 || err != nil {
		t.Fatal(n, octets, err)
	}
}

// TestUnasked: octets that nobody asked for are never taken for the reply to
// the next command; a refusal is the server's farewell.
func TestUnasked(t *testing.T) {
	for _, test := range []struct{ said, shows string }{
		{`s: +OK\r\n+OK too early\r\n`, "too early"},
		{`s: +OK\r\n-ERR [SYS/TEMP] going down\r\n`, "going down"},
		{`s: +OK\r\n\r\n`, "not a POP3 reply"},
	} {
		c := scripted(t, clear, "C: NOOP\n"+test.said)
		if err := c.Noop(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := c.Dele(t.Context(), 1)
		if err == nil || !strings.Contains(err.Error(), test.shows) {
			t.Errorf("%q: %v", test.said, err)
		}
		if _, refused := errors.AsType[*pop3.Error](err); refused {
			t.Errorf("%q was taken for an answer", test.said)
		}
		if farewell, ok := errors.AsType[*FarewellError](err); ok != strings.Contains(test.said, "-ERR") || ok && farewell.Code != pop3.CodeSysTemp {
			t.Errorf("%q: %+v", test.said, farewell)
		}
		if c.Err() == nil {
			t.Errorf("%q: still in use", test.said)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"mail.example.org": "mail.example.org:110", "mail.example.org:1110": "mail.example.org:1110",
		"127.0.0.1": "127.0.0.1:110", "::1": "[::1]:110", "[::1]": "[::1]:110", "[::1]:995": "[::1]:995",
		"": "", ":110": "", "a:b": "", "host:0": "", "host:70000": "", "a:b:c": "", "a\r\nb": "", "a b:1": "",
	} {
		p, err := splitAddress(address, 110)
		if got := net.JoinHostPort(p.host, fmt.Sprint(p.port)); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %q, %v", address, got, err)
		}
	}
}
