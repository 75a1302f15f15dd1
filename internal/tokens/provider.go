// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// maxBody is the longest answer of a provider that is read, in octets; keys
// with their certificates are some ten thousand.
const maxBody = 512 << 10

// connections is how many there are to a provider at once.
const connections = 16

// CheckURL refuses an address of a provider that is not https: who listens
// there would read tokens, or choose the keys. On this machine http will do.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return err
	case u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q is no address of a web server; write it as in \"https://login.example.org/\"", address)
	case u.User != nil || u.Fragment != "":
		return errors.New("the address must hold no name, no password and no fragment")
	case u.Scheme == "https" || u.Scheme == "http" && onThisMachine(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q must begin with https://; http will do for this machine only", address)
}

func onThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// newClient makes a client whose requests are bounded in time and size.
func newClient(roots *x509.CertPool, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: &bounded{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    timeout,
			MaxConnsPerHost:        connections,
			MaxIdleConnsPerHost:    connections,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}},
		Timeout: timeout,
	}
}

// bounded gives answers of the provider on only where they are what was asked
// for, so that no code behind it has to read anything else. So no redirection is
// followed either: a token would go along.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the identity provider answers with the status %d", response.StatusCode)
	}
	response.Body = &limited{response.Body, maxBody}
	return response, nil
}

// limited is a body that fails where it is longer than it may be.
type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, fmt.Errorf("the answer of the identity provider is longer than %d octets", maxBody)
	}
	n, err := l.ReadCloser.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
