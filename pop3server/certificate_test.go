// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/sasl"
)

// withCertificates takes certificates of clients that are verified like the
// server's own, which stand for names.
func withCertificates(opt *pop3server.Options, names ...string) *pop3server.Options {
	opt.TLSConfig = serverTLS()
	opt.TLSConfig.ClientAuth, opt.TLSConfig.ClientCAs = tls.VerifyClientCertIfGiven, clientTLS().RootCAs
	opt.Mechanisms = policies{"EXTERNAL": pop3server.PolicyOn}
	opt.Certificate = func(state tls.ConnectionState) ([]string, error) {
		if len(state.VerifiedChains) == 0 || !state.PeerCertificates[0].Equal(certificate().Leaf) {
			return nil, errors.New("who is that?")
		}
		return names, nil
	}
	return opt
}

// showing connects with STLS and shows a certificate.
func showing(t *testing.T, s *pop3server.Server, shown ...tls.Certificate) *client {
	t.Helper()
	c := dial(t, s, "192.0.2.1")
	c.want("+OK")
	c.ask("STLS", "+OK")
	config := clientTLS()
	config.Certificates = shown
	c.startTLS(config)
	return c
}

func TestExternal(t *testing.T) {
	const wrong = "-ERR [AUTH] wrong name or password"
	for _, test := range []struct {
		names    []string
		identity string
		want     string
		guard    string
	}{
		{[]string{"ana"}, "", "+OK 1 messages", "ana true"},
		{[]string{"ana"}, "ana", "+OK 1 messages", "ana true"},
		{[]string{"ana"}, "Ana", "+OK 1 messages", "ana true"},
		{[]string{"ana"}, "bob", wrong, ""},
		{[]string{"ana", "bob"}, "bob", "+OK 0 messages", "bob true"},
		{[]string{"ana", "bob"}, "", wrong, ""}, // which of them?
		{[]string{"ana", "bob"}, "off", wrong, ""},
		{[]string{"off"}, "", wrong, "off false"},
		{[]string{"nobody"}, "", wrong, "nobody false"},
		{[]string{"ana"}, "a\x00", "-ERR the response is malformed", ""},
	} {
		o := office(t, "a\n\n1\n")
		o.AddUser("bob", "secret")
		o.AddUser("off", "secret")
		if err := o.Disable("off"); err != nil {
			t.Fatal(err)
		}
		guard := &notingGuard{}
		opt := withCertificates(options(o), test.names...)
		opt.Guard = guard
		s := serve(t, opt)
		c := showing(t, s, certificate())
		if got := c.announced(); !strings.HasPrefix(got, "EXTERNAL ") {
			t.Fatalf("announced %s", got)
		}
		if test.identity == "" {
			c.ask("AUTH EXTERNAL =", test.want)
			c.ask("QUIT", "+OK")
			c.ended()
			c = showing(t, s, certificate())
			c.ask("AUTH EXTERNAL", "+ ")
			c.ask("", test.want)
		} else if strings.Contains(test.identity, "\x00") {
			c.ask("AUTH EXTERNAL YQA=", test.want)
		} else if got := c.authenticate(sasl.ExternalClient(test.identity)); !strings.HasPrefix(got, test.want) {
			t.Errorf("%v as %q: %q", test.names, test.identity, got)
		}
		want := test.guard
		if test.identity == "" && want != "" {
			want += ", " + want
		}
		if got := guard.told(); got != want {
			t.Errorf("%v as %q: the guard was told %s", test.names, test.identity, got)
		}
	}
}

// EXTERNAL is there only for who has shown a certificate that stands for
// somebody; it is not there before TLS, and after it only where it is on.
func TestExternalIsAnnounced(t *testing.T) {
	log := &lockedBuffer{}
	opt := withCertificates(options(office(t)), "ana")
	opt.Logger = log.logger()
	s := serve(t, opt)
	c := dial(t, s, "192.0.2.1")
	c.want("+OK")
	c.ask("AUTH EXTERNAL =", "-ERR that mechanism is not offered")
	refuses := func(name string, c *client) {
		t.Helper()
		if got := c.announced(); strings.Contains(got, "EXTERNAL") {
			t.Errorf("%s: %s", name, got)
		}
		c.ask("AUTH EXTERNAL =", "-ERR that mechanism is not offered")
	}
	refuses("no certificate", showing(t, s))

	for name, change := range map[string]func(*pop3server.Options){
		"off":                  func(opt *pop3server.Options) { opt.Mechanisms = nil },
		"it stands for nobody": func(opt *pop3server.Options) { opt.Certificate = nil },
		"nobody is identified": func(opt *pop3server.Options) { opt.Directory = struct{ maildrop.Directory }{opt.Directory} },
		"it is not verified":   func(opt *pop3server.Options) { opt.TLSConfig.ClientAuth = tls.RequestClientCert },
		"no names": func(opt *pop3server.Options) {
			opt.Certificate = func(tls.ConnectionState) ([]string, error) { return nil, nil }
		},
	} {
		opt := withCertificates(options(office(t)), "ana")
		opt.Logger = log.logger()
		change(opt)
		refuses(name, showing(t, serve(t, opt), certificate()))
	}
	if n := strings.Count(log.String(), `level=INFO msg="the client certificate opens nothing"`); n != 1 ||
		!strings.Contains(log.String(), `subject="CN=localhost" error="who is that?"`) {
		t.Errorf("%d lines say why a certificate opens nothing: %s", n, log)
	}

	// One listener asks for certificates, the other does not.
	opt = withCertificates(options(office(t)), "ana")
	opt.Listeners = map[string]pop3server.Rules{"devices": {TLSConfig: opt.TLSConfig, Mechanisms: policies{"EXTERNAL": pop3server.PolicyRequired}}}
	opt.TLSConfig, opt.Mechanisms = serverTLS(), nil
	s = serve(t, opt)
	refuses("another listener", showing(t, s, certificate()))
}

// A resumed session is that of the certificate that was shown at its beginning.
func TestExternalAfterResumption(t *testing.T) {
	s := pop3server.New(withCertificates(options(office(t)), "ana"))
	addr := listen(t, s.ServeTLS)
	t.Cleanup(func() { s.Close() })
	config := clientTLS()
	config.Certificates, config.ClientSessionCache = []tls.Certificate{certificate()}, tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		nc, err := tls.Dial("tcp", addr, config)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.want("+OK")
		if nc.ConnectionState().DidResume != resumed {
			t.Fatalf("resumed: %v", !resumed)
		}
		c.ask("AUTH EXTERNAL =", "+OK")
		c.ask("QUIT", "+OK")
		c.ended()
	}
}

// A certificate of somebody whom the authorities do not know ends the handshake
// where TLS verifies it.
func TestForeignClientCertificate(t *testing.T) {
	opt := withCertificates(options(office(t)), "ana")
	opt.TLSConfig.ClientCAs = x509.NewCertPool()
	s := serve(t, opt)
	c := dial(t, s, "192.0.2.1")
	c.want("+OK")
	c.ask("STLS", "+OK")
	config := clientTLS()
	config.Certificates = []tls.Certificate{certificate()}
	tc := tls.Client(c.conn, config)
	err := tc.Handshake()
	if err == nil {
		_, err = tc.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("a foreign certificate was accepted")
	}
}
