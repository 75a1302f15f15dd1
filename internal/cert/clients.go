// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package cert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Where in a certificate the name of a user can stand.
const (
	NameEmail  = "email"       // a subject alternative name that is a mail address
	NameCommon = "common-name" // the common name of the subject
	NameDNS    = "dns"         // a subject alternative name that is a host name
	NameURI    = "uri"         // one that is a URI such as acct:ana@example.org or mailto:ana@example.org
)

// Clients says whom the certificates of clients stand for. The zero value
// believes nobody. It is not changed once it is in use.
type Clients struct {
	// Authorities issue certificates that are believed; nil for none. One that TLS
	// has verified already is believed without them.
	Authorities *x509.CertPool
	// Names are the places, of those above, where names are looked for.
	Names []string
	// Fingerprints has names by the SHA-256 of a certificate in lower-case hex.
	// Such a certificate needs no authority.
	Fingerprints map[string][]string
	// Accept, where not nil, says which of the names that an authority vouches for
	// are taken.
	Accept func(name string) error
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Of returns the names that the certificate of a connection stands for, or why
// there are none.
func (c *Clients) Of(state tls.ConnectionState) ([]string, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, errors.New("there is no certificate")
	}
	leaf := state.PeerCertificates[0]
	now := time.Now()
	if c.Now != nil {
		now = c.Now()
	}
	sum := sha256.Sum256(leaf.Raw)
	if names := c.Fingerprints[hex.EncodeToString(sum[:])]; len(names) > 0 {
		if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			return nil, errors.New("it has expired, or is not valid yet")
		}
		return names, nil
	}
	if len(state.VerifiedChains) == 0 {
		if err := c.verify(leaf, state.PeerCertificates[1:], now); err != nil {
			return nil, err
		}
	}
	return c.namesIn(leaf)
}

// verify looks for an authority. RFC 5280 section 4.2.1.12: a certificate with a
// purpose must be for clients.
func (c *Clients) verify(leaf *x509.Certificate, sent []*x509.Certificate, now time.Time) error {
	if c.Authorities == nil {
		return errors.New("its fingerprint is not known")
	}
	between := x509.NewCertPool()
	for _, one := range sent {
		between.AddCert(one)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: c.Authorities, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

// namesIn returns the names in a certificate that are accepted.
func (c *Clients) namesIn(leaf *x509.Certificate) ([]string, error) {
	var found []string
	for _, place := range c.Names {
		switch place {
		case NameEmail:
			found = append(found, leaf.EmailAddresses...)
		case NameCommon:
			if name := leaf.Subject.CommonName; name != "" {
				found = append(found, name)
			}
		case NameDNS:
			found = append(found, leaf.DNSNames...)
		case NameURI:
			for _, uri := range leaf.URIs {
				if s := strings.ToLower(uri.Scheme); s == "acct" || s == "mailto" { // RFC 7565, RFC 6068
					found = append(found, uri.Opaque)
				}
			}
		}
	}
	why := fmt.Errorf("it names nobody: there is none of %s in it", strings.Join(c.Names, ", "))
	var names []string
	for _, name := range found {
		if c.Accept != nil {
			if err := c.Accept(name); err != nil {
				why = fmt.Errorf("%q: %w", name, err)
				continue
			}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, why
	}
	return names, nil
}

// CleanFingerprint brings a SHA-256 in hex, with or without colons, into the
// form that Clients has.
func CleanFingerprint(s string) (string, error) {
	clean := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	if raw, err := hex.DecodeString(clean); err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("%q is no SHA-256 of a certificate; this shows one: openssl x509 -in CERTIFICATE -noout -fingerprint -sha256", s)
	}
	return clean, nil
}
