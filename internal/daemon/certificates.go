// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"

	"restante.example/internal/cert"
	"restante.example/internal/config"
)

// external is the way to sign in with a client certificate.
const external = "EXTERNAL"

// newClients returns whom the certificates of clients sign in under a
// configuration, or nil where they sign nobody in.
func newClients(c *config.Config) (*cert.Clients, error) {
	if !c.Accepts(external) {
		return nil, nil
	}
	clients := &cert.Clients{Names: c.Clients.Names, Fingerprints: c.Clients.ByFingerprint()}
	if c.Clients.CAFile == "" {
		return clients, nil
	}
	var err error
	if clients.Authorities, err = readAuthorities(c.Clients.CAFile); err != nil {
		return nil, fmt.Errorf("client_certificates: ca_file: %w", err)
	}
	return clients, nil
}

// readAuthorities reads a file of certificates.
func readAuthorities(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in it; it is to hold those of the authorities, PEM", name)
	}
	return pool, nil
}

// ask makes TLS ask clients for a certificate where it could sign them in. A
// certificate that signs nobody in does no harm: some programs show whatever they
// have.
func (r *reception) ask(settings *tls.Config, m config.Mechanisms) {
	if r.clients == nil || !slices.Contains(m.Accepted(), external) || r.clients.Authorities == nil && len(r.clients.Fingerprints) == 0 {
		return
	}
	settings.ClientAuth = tls.RequestClientCert
	if len(r.clients.Fingerprints) == 0 {
		settings.ClientCAs = r.clients.Authorities // a program chooses by them what it shows
	}
}

// certificates returns whom the certificate on a connection signs in, or nil
// where certificates sign nobody in.
func (s *Server) certificates(r *reception) func(tls.ConnectionState) ([]string, error) {
	if r.clients == nil {
		return nil
	}
	who := *r.clients
	who.Accept = func(name string) error {
		_, err := s.tokenUser(name) // an authority may know people of every domain, as a provider of tokens does
		return err
	}
	return who.Of
}
