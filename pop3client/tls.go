// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"restante.example/pop3"
)

// Fingerprint returns the SHA-256 of a certificate in 64 hexadecimal digits,
// as `openssl x509 -fingerprint -sha256` does but for its colons.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// PinError: the server showed another certificate than the pinned one.
type PinError struct {
	Got *x509.Certificate
}

// Error shows the fingerprint that came.
func (e *PinError) Error() string {
	return fmt.Sprintf("%v; it showed SHA-256 %s", ErrPin, Fingerprint(e.Got))
}

// Is makes errors.Is(err, ErrPin) true.
func (e *PinError) Is(target error) bool { return target == ErrPin }

// CertificateFingerprint returns the fingerprint of the certificate that an
// error of a Dial function is about: one that did not verify, or that is not
// the pinned one. Whoever compares it with what the server's owner says may
// then pin it.
func CertificateFingerprint(err error) (string, bool) {
	if pin, ok := errors.AsType[*PinError](err); ok {
		return Fingerprint(pin.Got), true
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(bad.UnverifiedCertificates) > 0 {
		return Fingerprint(bad.UnverifiedCertificates[0]), true
	}
	return "", false
}

// tlsConfig returns the configuration for a server name.
func (o *Options) tlsConfig(serverName string) (*tls.Config, error) {
	config := &tls.Config{}
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	if config.InsecureSkipVerify && config.VerifyConnection == nil {
		return nil, ErrSkipVerify
	}
	if config.ServerName == "" {
		config.ServerName = serverName
	}
	if config.MinVersion == 0 {
		config.MinVersion = tls.VersionTLS12
	}
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{pop3.ALPN}
	}
	if len(o.PinSHA256) == 0 {
		return config, nil
	}
	if _, err := parsePins(o.PinSHA256); err != nil {
		return nil, err
	}
	pins, verify := o.PinSHA256, config.VerifyConnection
	config.InsecureSkipVerify = true // the pin stands in its place
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := checkPins(pins, state); err != nil {
			return err
		}
		if verify != nil {
			return verify(state)
		}
		return nil
	}
	return config, nil
}

// checkPins looks at the server's own certificate only: of the others in the
// chain nothing proves that the server has their keys.
func checkPins(pins []string, state tls.ConnectionState) error {
	wanted, err := parsePins(pins)
	if err != nil {
		return err
	}
	if len(state.PeerCertificates) == 0 {
		return ErrPin
	}
	leaf := state.PeerCertificates[0]
	if !wanted[sha256.Sum256(leaf.Raw)] {
		return &PinError{Got: leaf}
	}
	return nil
}

func parsePins(pins []string) (map[[sha256.Size]byte]bool, error) {
	set := make(map[[sha256.Size]byte]bool, len(pins))
	for _, pin := range pins {
		sum, err := hex.DecodeString(strings.ReplaceAll(pin, ":", ""))
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("pop3client: pin %q is not a SHA-256 fingerprint (64 hexadecimal digits)", pin)
		}
		set[[sha256.Size]byte(sum)] = true
	}
	return set, nil
}
