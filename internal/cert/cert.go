// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package cert keeps the certificate that a server shows: files that are read
// again when they change, or a self-signed one that is made once.
package cert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often at most the files are looked at.
const checkEvery = time.Second

// Source gives the current certificate. Its methods may be called by any
// number of goroutines.
type Source struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	checked time.Time
	seen    [2]stamp // what was last read, whether it was good or not
}

// stamp tells whether a file may have changed; the zero one is of no file.
type stamp struct {
	modified time.Time
	size     int64
	info     os.FileInfo
}

func (a stamp) same(b stamp) bool {
	if a.info == nil || b.info == nil {
		return a.info == nil && b.info == nil
	}
	return a.modified.Equal(b.modified) && a.size == b.size && os.SameFile(a.info, b.info)
}

// Load reads a certificate with its chain and its key, both PEM; the two may be
// in one file. Certificate reads them again when they have changed, and stays
// with the old pair, logging why, when the new one does not fit.
func Load(certFile, keyFile string, log *slog.Logger) (*Source, error) {
	s := &Source{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	seen, err := s.stat()
	if err != nil {
		return nil, err
	}
	if s.current, err = read(certFile, keyFile); err != nil {
		return nil, err
	}
	s.seen, s.checked = seen, s.now()
	return s, nil
}

func (s *Source) stat() ([2]stamp, error) {
	var stamps [2]stamp
	for i, name := range []string{s.certFile, s.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return stamps, err
		}
		stamps[i] = stamp{info.ModTime(), info.Size(), info}
	}
	return stamps, nil
}

func read(certFile, keyFile string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			return nil, err
		}
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return &c, nil
}

// Certificate returns the current certificate; it has the form of
// tls.Config.GetCertificate.
func (s *Source) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.checked) >= checkEvery || now.Before(s.checked) {
		s.checked = now
		s.refresh()
	}
	return s.current, nil
}

// refresh reads the files again when they have changed since they were last
// read, so that each bad state of them is logged once.
func (s *Source) refresh() {
	seen, err := s.stat()
	if err != nil {
		seen = [2]stamp{}
	}
	if seen[0].same(s.seen[0]) && seen[1].same(s.seen[1]) {
		return
	}
	s.seen = seen
	if err == nil {
		var c *tls.Certificate
		if c, err = read(s.certFile, s.keyFile); err == nil {
			s.current = c
			s.log.Info("certificate re-read", "file", s.certFile, "fingerprint", Fingerprint(c))
			return
		}
	}
	s.log.Error("the changed certificate cannot be used; the old one stays", "error", err)
}

// Expiry returns when the current certificate runs out, after a look whether
// the files have changed; the zero time where that cannot be told.
func (s *Source) Expiry() time.Time {
	c, _ := s.Certificate(nil) // it never fails
	leaf := c.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return time.Time{}
		}
	}
	return leaf.NotAfter
}

// Fingerprint returns the SHA-256 of the current certificate in hex.
func (s *Source) Fingerprint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Fingerprint(s.current)
}

// Fingerprint returns the SHA-256 of a certificate in hex.
func Fingerprint(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// Config returns the settings of a TLS server that shows the certificates of s
// and speaks the application protocol alpn. RFC 8314 section 4: TLS 1.2 and
// 1.3; of the suites of 1.2 only those with authenticated encryption. A client
// that asks for another application protocol only is refused; one that asks for
// none is not (RFC 7301 section 3.2).
func Config(s *Set, alpn string) *tls.Config {
	return &tls.Config{
		GetCertificate: s.Certificate,
		MinVersion:     tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: []string{alpn},
	}
}
