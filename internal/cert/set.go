// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package cert

import (
	"crypto/tls"
	"strings"
)

// Set gives the certificate for the name that a client asks for. RFC 6066
// section 3. Its methods may be called by any number of goroutines.
type Set struct {
	// Default is shown to clients that ask for no name or for one that no
	// certificate has.
	Default *Source
	// Others are shown for their own names: those in the certificates, in which
	// "*" stands for the first label (RFC 6125 section 6.4.3). Of several for a
	// name the first wins that has the name itself and whose kind of key the
	// client can deal with.
	Others []*Source
}

// Certificate has the form of tls.Config.GetCertificate.
func (s *Set) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(s.Others) == 0 || hello.ServerName == "" {
		return s.Default.Certificate(hello)
	}
	var wildcard *tls.Certificate
	for _, source := range append([]*Source{s.Default}, s.Others...) {
		c, err := source.Certificate(hello)
		if err != nil {
			return nil, err
		}
		// It checks that the certificate is valid for the name, too.
		if hello.SupportsCertificate(c) != nil {
			continue
		}
		if names(c, hello.ServerName) {
			return c, nil
		}
		if wildcard == nil {
			wildcard = c
		}
	}
	if wildcard != nil {
		return wildcard, nil
	}
	return s.Default.Certificate(hello)
}

// names reports whether a certificate has a name as it is, without a wildcard.
func names(c *tls.Certificate, name string) bool {
	for _, n := range c.Leaf.DNSNames {
		if strings.EqualFold(n, strings.TrimSuffix(name, ".")) {
			return true
		}
	}
	return false
}
