// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Names of the files of a self-signed certificate, in their directory.
const (
	selfSignedKey  = "self-signed.key" // certificate and key
	selfSignedCert = "self-signed.crt" // the certificate alone, to give to clients
)

// lifetime is long, because whoever trusts a self-signed certificate pins it.
const lifetime = 10 * 365 * 24 * time.Hour

// renewBefore is how long before its end a certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// SelfSigned returns the certificate that is kept in dir, which is made with
// mode 0700 if need be. When there is none, or it is about to end, a new one is
// made: ECDSA P-256, for the names given (host names and IP addresses). It is
// durable before it is returned. CAFile says where clients find it.
func SelfSigned(dir string, names []string, log *slog.Logger) (*Source, error) {
	keyFile := filepath.Join(dir, selfSignedKey)
	s, err := Load(keyFile, keyFile, log)
	switch {
	case err == nil && time.Until(s.current.Leaf.NotAfter) > renewBefore:
		return s, nil
	case err == nil:
		log.Warn("the self-signed certificate is about to end and is replaced: clients that trust the old one must be given the new",
			"ends", s.current.Leaf.NotAfter, "file", CAFile(dir))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("self-signed certificate: %w (remove the file to have a new one made)", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	certificate, key, err := generate(names)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := writeDurably(CAFile(dir), certificate, 0o644); err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := writeDurably(keyFile, append(key, certificate...), 0o600); err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	return Load(keyFile, keyFile, log)
}

// CAFile names the file with the self-signed certificate of dir, without its
// key, that a client is told to trust.
func CAFile(dir string) string { return filepath.Join(dir, selfSignedCert) }

// generate makes a certificate and its key, both PEM.
func generate(names []string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0], Organization: []string{"restante self-signed"}},
		NotBefore:    now.Add(-time.Hour), // clocks of clients may be slow
		NotAfter:     now.Add(lifetime),
		// An authority of itself alone, because several programs look only for
		// authorities among what they are told to trust.
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		return nil, nil, err
	}
	return certificate, key, nil
}

// writeDurably replaces a file so that after a power cut it is there whole, old
// or new.
func writeDurably(name string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(name)
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
