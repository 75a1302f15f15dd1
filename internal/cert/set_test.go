// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package cert

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// source makes a certificate for names and opens it.
func source(t *testing.T, names ...string) *Source {
	t.Helper()
	certificate, key, err := generate(names)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "c.pem")
	write(t, name, append(key, certificate...))
	s, err := Load(name, name, discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rsaSource is source with a key of RSA.
func rsaSource(t *testing.T, name string) *Source {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rsa.pem")
	write(t, file, append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...))
	s, err := Load(file, file, discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shown returns the fingerprint of what a client of TLS is shown.
func shown(t *testing.T, s *Set, client *tls.Config) string {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() { _ = tls.Server(there, Config(s, "pop3")).Handshake() }() // the client tells of a failure
	client.InsecureSkipVerify = true
	c := tls.Client(here, client)
	if err := c.Handshake(); err != nil {
		t.Fatalf("%s: %v", client.ServerName, err)
	}
	return Fingerprint(&tls.Certificate{Certificate: [][]byte{c.ConnectionState().PeerCertificates[0].Raw}})
}

// The certificate is chosen by the name that the client asks for.
func TestCertificateByName(t *testing.T) {
	byDefault := source(t, "mail.example.org")
	wild := source(t, "*.example.com", "example.net")
	exact := source(t, "pop.example.com")
	set := &Set{Default: byDefault, Others: []*Source{wild, exact}}
	for name, want := range map[string]*Source{
		"":                  byDefault,
		"mail.example.org":  byDefault,
		"elsewhere.example": byDefault,
		"example.com":       byDefault, // the wildcard stands for one label, not for none
		"a.b.example.com":   byDefault, // nor for two
		"www.example.com":   wild,
		"WWW.Example.COM":   wild,
		"example.net":       wild,
		"pop.example.com":   exact, // though the wildcard comes first
		"POP.example.com":   exact,
		"192.0.2.1":         byDefault, // an address is no name, RFC 6066 section 3
	} {
		if got := shown(t, set, &tls.Config{ServerName: name}); got != want.Fingerprint() {
			t.Errorf("%q: the wrong certificate", name)
		}
	}
}

// A certificate that is renewed, with other names too, counts from then on.
func TestRenewedCertificateByName(t *testing.T) {
	byDefault, other := source(t, "mail.example.org"), source(t, "old.example.com")
	set := &Set{Default: byDefault, Others: []*Source{other}}
	clock := time.Now()
	other.now = func() time.Time { return clock }
	if got := shown(t, set, &tls.Config{ServerName: "new.example.com"}); got != byDefault.Fingerprint() {
		t.Error("before: the wrong certificate")
	}
	certificate, key, err := generate([]string{"new.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	write(t, other.certFile, append(key, certificate...))
	clock = clock.Add(2 * checkEvery)
	got := shown(t, set, &tls.Config{ServerName: "new.example.com"})
	if got == byDefault.Fingerprint() || got != other.Fingerprint() {
		t.Error("after: the wrong certificate")
	}
	if got := shown(t, set, &tls.Config{ServerName: "old.example.com"}); got != byDefault.Fingerprint() {
		t.Error("the old name still leads to it")
	}
}

// Two certificates for a name serve clients that know one kind of key only.
func TestCertificateByKindOfKey(t *testing.T) {
	ecdsa, rsa := source(t, "mail.example.org"), rsaSource(t, "mail.example.org")
	set := &Set{Default: ecdsa, Others: []*Source{rsa}}
	old := &tls.Config{ServerName: "mail.example.org", MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	if got := shown(t, set, old); got != rsa.Fingerprint() {
		t.Error("a client that knows RSA alone: the wrong certificate")
	}
	if got := shown(t, set, &tls.Config{ServerName: "mail.example.org"}); got != ecdsa.Fingerprint() {
		t.Error("a client that knows both: the wrong certificate")
	}
}
