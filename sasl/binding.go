// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"net"
)

// The types of channel binding that this package knows.
const (
	BindExporter       = "tls-exporter"         // RFC 9266, TLS 1.3 only
	BindServerEndPoint = "tls-server-end-point" // RFC 5929 section 4
)

// ClientBindings returns the channel bindings of a connection for its client,
// the best first. The handshake must be complete.
func ClientBindings(state tls.ConnectionState) []ChannelBinding {
	var leaf *x509.Certificate
	if len(state.PeerCertificates) > 0 {
		leaf = state.PeerCertificates[0]
	}
	return bindingsOf(state, leaf)
}

// ServerBindings returns the channel bindings of a connection for its server,
// the best first. The handshake must be complete. Shown is the certificate that
// the server showed (see NoteCertificate), or nil to go without
// tls-server-end-point.
func ServerBindings(state tls.ConnectionState, shown *tls.Certificate) []ChannelBinding {
	var leaf *x509.Certificate
	if shown != nil {
		leaf = shown.Leaf
		if leaf == nil && len(shown.Certificate) > 0 {
			// What crypto/tls has shown can be parsed; if not, nothing is bound to it.
			leaf, _ = x509.ParseCertificate(shown.Certificate[0])
		}
	}
	return bindingsOf(state, leaf)
}

func bindingsOf(state tls.ConnectionState, leaf *x509.Certificate) []ChannelBinding {
	var list []ChannelBinding
	// RFC 9266 section 4.2: before TLS 1.3 the exporter is unique only under
	// extensions that cannot be told from here.
	if state.Version >= tls.VersionTLS13 {
		data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err == nil {
			list = append(list, ChannelBinding{Type: BindExporter, Data: data})
		}
	}
	if data := endPoint(leaf); data != nil {
		list = append(list, ChannelBinding{Type: BindServerEndPoint, Data: data})
	}
	return list
}

// endPoint hashes a certificate with the hash of its own signature, MD5 and
// SHA-1 being replaced by SHA-256; a signature without one hash function has
// no binding. RFC 5929 section 4.1.
func endPoint(leaf *x509.Certificate) []byte {
	if leaf == nil {
		return nil
	}
	var hash crypto.Hash
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	default:
		return nil
	}
	h := hash.New()
	h.Write(leaf.Raw)
	return h.Sum(nil)
}

// CertificateNoter is a connection that wants to know which certificate was
// shown on it.
type CertificateNoter interface {
	net.Conn
	NoteCertificate(*tls.Certificate)
}

// NoteCertificate returns a copy of a server's configuration that tells each
// connection which certificate it showed: crypto/tls does not say so
// afterwards, and tls-server-end-point wants it. The net.Conn that is given to
// tls.Server must be a CertificateNoter; it is told within the handshake, and
// not at all when a TLS session is resumed.
func NoteCertificate(config *tls.Config) *tls.Config {
	noting := config.Clone()
	fixed, choose := config.Certificates, config.GetCertificate
	noting.Certificates = nil
	noting.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := chooseCertificate(hello, fixed, choose)
		if noter, ok := hello.Conn.(CertificateNoter); ok && err == nil && cert != nil {
			noter.NoteCertificate(cert)
		}
		return cert, err
	}
	return noting
}

// chooseCertificate chooses as crypto/tls does.
func chooseCertificate(hello *tls.ClientHelloInfo, fixed []tls.Certificate,
	choose func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*tls.Certificate, error) {
	if choose != nil && (len(fixed) == 0 || hello.ServerName != "") {
		cert, err := choose(hello)
		if cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range fixed {
		if len(fixed) == 1 || hello.SupportsCertificate(&fixed[i]) == nil {
			return &fixed[i], nil
		}
	}
	if len(fixed) == 0 {
		return nil, nil // crypto/tls answers that there is no certificate
	}
	return &fixed[0], nil
}
