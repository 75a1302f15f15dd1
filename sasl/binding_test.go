// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// noted is a connection that remembers what certificate was shown on it.
type noted struct {
	net.Conn
	shown atomic.Pointer[tls.Certificate]
}

func (c *noted) NoteCertificate(cert *tls.Certificate) { c.shown.Store(cert) }

func selfSigned(t *testing.T, name string, curve elliptic.Curve) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// handshake returns what both sides see of a TLS connection.
func handshake(t *testing.T, server, client *tls.Config) (clientSide, serverSide []ChannelBinding) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	conn := &noted{Conn: b}
	tlsServer, tlsClient := tls.Server(conn, NoteCertificate(server)), tls.Client(a, client)
	failed := make(chan error, 1)
	go func() {
		failed <- tlsServer.Handshake()
		// What follows the handshake (tickets) has to be taken from the pipe.
		_, _ = tlsServer.Read(make([]byte, 1))
	}()
	if err := tlsClient.Handshake(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = tlsClient.Read(make([]byte, 1)) }()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return ClientBindings(tlsClient.ConnectionState()), ServerBindings(tlsServer.ConnectionState(), conn.shown.Load())
}

func TestBindingsAgree(t *testing.T) {
	one, two := selfSigned(t, "one.example.org", elliptic.P256()), selfSigned(t, "two.example.org", elliptic.P384())
	fixed := &tls.Config{Certificates: []tls.Certificate{one, two}}
	chosen := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &two, nil }}
	exporters := map[string]bool{}
	for _, test := range []struct {
		name    string
		server  *tls.Config
		sni     string
		version uint16
		types   []string
		end     []byte
	}{
		{"first", fixed, "one.example.org", tls.VersionTLS13, []string{BindExporter, BindServerEndPoint}, digest256(one)},
		{"second", fixed, "two.example.org", tls.VersionTLS13, []string{BindExporter, BindServerEndPoint}, digest384(two)},
		{"chosen", chosen, "one.example.org", tls.VersionTLS13, []string{BindExporter, BindServerEndPoint}, digest384(two)},
		{"TLS 1.2", fixed, "one.example.org", tls.VersionTLS12, []string{BindServerEndPoint}, digest256(one)},
	} {
		client := &tls.Config{ServerName: test.sni, InsecureSkipVerify: true, MaxVersion: test.version}
		c, s := handshake(t, test.server, client)
		if len(c) != len(test.types) || len(s) != len(test.types) {
			t.Errorf("%s: %d and %d bindings", test.name, len(c), len(s))
			continue
		}
		for i := range c {
			if c[i].Type != test.types[i] || s[i].Type != c[i].Type || !bytes.Equal(c[i].Data, s[i].Data) {
				t.Errorf("%s: %v and %v", test.name, c[i], s[i])
			}
			if c[i].Type == BindServerEndPoint && !bytes.Equal(c[i].Data, test.end) {
				t.Errorf("%s: end point %x, want %x", test.name, c[i].Data, test.end)
			}
			if c[i].Type == BindExporter {
				exporters[string(c[i].Data)] = true
			}
		}
		lookup := fixedKeys(keysFor(t, "SHA-256", "p"))
		if err := converse(t, SCRAMPlusClient("SHA-256", "", "u1", "p", c[0]), SCRAMPlusServer("SHA-256", lookup, s), true); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if len(exporters) != 3 {
		t.Errorf("%d different exporter values on 3 connections", len(exporters))
	}
}

func digest256(c tls.Certificate) []byte { d := sha256.Sum256(c.Certificate[0]); return d[:] }
func digest384(c tls.Certificate) []byte { d := sha512.Sum384(c.Certificate[0]); return d[:] }

// RFC 5929 section 4.1.
func TestEndPointHash(t *testing.T) {
	raw := []byte("certificate")
	for algorithm, size := range map[x509.SignatureAlgorithm]int{
		x509.MD5WithRSA: 32, x509.SHA1WithRSA: 32, x509.ECDSAWithSHA256: 32, x509.SHA384WithRSAPSS: 48,
		x509.SHA512WithRSA: 64, x509.PureEd25519: 0, x509.UnknownSignatureAlgorithm: 0,
	} {
		if got := endPoint(&x509.Certificate{Raw: raw, SignatureAlgorithm: algorithm}); len(got) != size {
			t.Errorf("%v: %d octets, want %d", algorithm, len(got), size)
		}
	}
}

// A client certificate is not mistaken for the server's.
func TestServerBindingsIgnoreThePeer(t *testing.T) {
	state := tls.ConnectionState{Version: tls.VersionTLS12, PeerCertificates: []*x509.Certificate{
		{Raw: []byte("client"), SignatureAlgorithm: x509.SHA256WithRSA, PublicKey: ed25519.PublicKey{}}}}
	if got := ServerBindings(state, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestNoteCertificatePassesErrors(t *testing.T) {
	broken := errors.New("no certificate today")
	config := NoteCertificate(&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, broken }})
	if _, err := config.GetCertificate(&tls.ClientHelloInfo{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if cert, err := NoteCertificate(&tls.Config{}).GetCertificate(&tls.ClientHelloInfo{}); cert != nil || err != nil {
		t.Errorf("without certificates: %v, %v", cert, err)
	}
}
