// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, by *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "An authority"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), KeyUsage: x509.KeyUsageCertSign}
	a := &authority{key: key}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	a.cert = sign(t, template, parent, key, signer)
	return a
}

func sign(t testing.TB, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) issue(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	acct, _ := url.Parse("acct:ana@example.org")
	web, _ := url.Parse("https://example.org/bob")
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "ana"},
		EmailAddresses: []string{"ana@example.org", "a@example.org"}, DNSNames: []string{"phone.example.org"}, URIs: []*url.URL{acct, web},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	return sign(t, template, a.cert, key, a.key)
}

func presented(chain ...*x509.Certificate) tls.ConnectionState {
	return tls.ConnectionState{PeerCertificates: chain}
}

func TestClients(t *testing.T) {
	root := newAuthority(t, nil)
	middle := newAuthority(t, root)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	ana := root.issue(t, nil)
	fingerprint := fmt.Sprintf("%x", sha256.Sum256(ana.Raw))
	now := time.Unix(1.5e9, 0)
	all := []string{NameEmail, NameCommon, NameDNS, NameURI}
	foreign := newAuthority(t, nil).issue(t, nil)
	verified := presented(foreign)
	verified.VerifiedChains = [][]*x509.Certificate{{foreign}}
	for _, test := range []struct {
		name    string
		clients Clients
		state   tls.ConnectionState
		want    string // names, or what the error says
	}{
		{"email", Clients{Authorities: pool, Names: []string{NameEmail}}, presented(ana), "ana@example.org a@example.org"},
		{"common name", Clients{Authorities: pool, Names: []string{NameCommon}}, presented(ana), "ana"},
		{"host name", Clients{Authorities: pool, Names: []string{NameDNS}}, presented(ana), "phone.example.org"},
		{"URI", Clients{Authorities: pool, Names: []string{NameURI}}, presented(ana), "ana@example.org"},
		{"by way of another authority", Clients{Authorities: pool, Names: []string{NameCommon}}, presented(middle.issue(t, nil), middle.cert), "ana"},
		{"TLS has verified it", Clients{Names: []string{NameCommon}}, verified, "ana"},
		{"fingerprint", Clients{Fingerprints: map[string][]string{fingerprint: {"bea", "carl"}}}, presented(ana), "bea carl"},
		{"not all are accepted", Clients{Authorities: pool, Names: all, Accept: func(name string) error {
			if strings.Contains(name, "@") {
				return errors.New("no")
			}
			return nil
		}}, presented(ana), "ana phone.example.org"},

		{"no certificate", Clients{Authorities: pool, Names: all}, presented(), "there is no certificate"},
		{"nobody is believed", Clients{Names: all}, presented(ana), "fingerprint is not known"},
		{"another authority", Clients{Authorities: pool, Names: all}, presented(foreign), "unknown authority"},
		{"the authority between is missing", Clients{Authorities: pool, Names: all}, presented(middle.issue(t, nil)), "unknown authority"},
		{"for servers", Clients{Authorities: pool, Names: all}, presented(root.issue(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})), "key usage"},
		{"expired", Clients{Authorities: pool, Names: all, Now: func() time.Time { return time.Unix(2e9+1, 0) }}, presented(ana), "expired"},
		{"a fingerprint, expired", Clients{Fingerprints: map[string][]string{fingerprint: {"bea"}},
			Now: func() time.Time { return time.Unix(2e9+1, 0) }}, presented(ana), "expired"},
		{"no name", Clients{Authorities: pool, Names: []string{NameEmail}}, presented(root.issue(t, func(c *x509.Certificate) { c.EmailAddresses = nil })), "names nobody"},
		{"nobody is accepted", Clients{Authorities: pool, Names: []string{NameCommon}, Accept: func(string) error { return errors.New("not here") }}, presented(ana), `"ana": not here`},
	} {
		c := test.clients
		if c.Now == nil {
			c.Now = func() time.Time { return now }
		}
		names, err := c.Of(test.state)
		got := strings.Join(names, " ")
		if err != nil {
			if len(names) > 0 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, %v", test.name, names, err)
			}
		} else if got != test.want {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}

func TestCleanFingerprint(t *testing.T) {
	hex := strings.Repeat("aB", 32)
	colons := strings.TrimSuffix(strings.Repeat("Ab:", 32), ":")
	for _, s := range []string{hex, colons, strings.ToUpper(hex)} {
		if got, err := CleanFingerprint(s); got != strings.ToLower(hex) || err != nil {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "ab", hex + "00", strings.Repeat("g", 64), "sha256:" + hex} {
		if got, err := CleanFingerprint(s); err == nil {
			t.Errorf("%q: %q", s, got)
		}
	}
}

// Whatever somebody puts into a certificate, it stands for the names that are in
// it, or for nobody.
func FuzzClients(f *testing.F) {
	root := newAuthority(f, nil)
	f.Add(root.issue(f, nil).Raw)
	f.Add(root.cert.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		state := presented(leaf)
		if names, err := (&Clients{Authorities: x509.NewCertPool(), Names: []string{NameEmail, NameCommon}}).Of(state); err == nil {
			t.Fatalf("nobody has issued it, and it stands for %q", names)
		}
		state.VerifiedChains = [][]*x509.Certificate{{leaf}}
		names, err := (&Clients{Names: []string{NameCommon, NameURI}}).Of(state)
		for _, name := range names {
			if name != leaf.Subject.CommonName && !slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.Opaque == name }) {
				t.Fatalf("it stands for %q", name)
			}
		}
		if (len(names) == 0) != (err != nil) {
			t.Fatalf("%q, %v", names, err)
		}
	})
}
