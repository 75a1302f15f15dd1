// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"crypto/tls"
	"sync"

	"restante.example/pop3"
	"restante.example/sasl"
)

// hardened returns a copy of a configuration with what this server insists on:
// TLS 1.2 at least, authenticated encryption where the suites were left open,
// and "pop3" as the only protocol. A client that offers only others is refused
// by crypto/tls, one that offers none is accepted (ALPACA; RFC 7301 section 3.2).
func hardened(config *tls.Config) *tls.Config {
	c := sasl.NoteCertificate(config)
	c.MinVersion = cmp.Or(c.MinVersion, tls.VersionTLS12)
	if c.CipherSuites == nil {
		c.CipherSuites = []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		}
	}
	c.NextProtos = []string{pop3.ALPN}
	// Small first records are for web pages; a message is wanted whole.
	c.DynamicRecordSizingDisabled = true
	if choose := config.GetConfigForClient; choose != nil {
		c.GetConfigForClient = hardenChosen(choose)
	}
	return c
}

// hardenChosen hardens what a callback chooses, once for each configuration
// that it chooses in a row.
func hardenChosen(choose func(*tls.ClientHelloInfo) (*tls.Config, error)) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	var (
		mu         sync.Mutex
		last, hard *tls.Config
	)
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		chosen, err := choose(hello)
		if chosen == nil || err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		if chosen != last {
			last, hard = chosen, hardened(chosen)
		}
		return hard, nil
	}
}
