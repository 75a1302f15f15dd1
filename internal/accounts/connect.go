// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"restante.example/collect"
	"restante.example/pop3client"
)

// SettingsError is a setting with which no connection can be made.
type SettingsError struct{ Err error }

func (e *SettingsError) Error() string { return e.Err.Error() }
func (e *SettingsError) Unwrap() error { return e.Err }

// readRoots reads the certificates to trust.
func readRoots(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", name)
	}
	return roots, nil
}

// Options returns the options of a connection to the server. Its errors are
// *SettingsError.
func (a *Account) Options() (pop3client.Options, error) {
	opt := pop3client.Options{
		Timeout: time.Duration(a.Timeout), PinSHA256: a.Pin,
		InsecureLocalPassword: a.TLS == "none", InsecurePassword: a.TLS == "none" && a.InsecurePassword,
	}
	opt.UTF8 = true // a look shows what a collection will get
	if a.Proxy != "" {
		dialer, err := pop3client.SOCKS5(a.Proxy, nil, nil)
		if err != nil {
			return opt, &SettingsError{fmt.Errorf("proxy: %w", err)}
		}
		opt.Dialer = dialer
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.MinTLS == "1.3" {
		config.MinVersion = tls.VersionTLS13
	}
	if a.CA != "" {
		roots, err := readRoots(a.CA)
		if err != nil {
			return opt, &SettingsError{err}
		}
		config.RootCAs = roots
	}
	if a.ClientCert != "" {
		cert, err := tls.LoadX509KeyPair(a.ClientCert, a.ClientKey)
		if err != nil {
			return opt, &SettingsError{fmt.Errorf("client certificate: %w", err)}
		}
		config.Certificates = []tls.Certificate{cert}
	}
	opt.TLS = config
	return opt, nil
}

// Dial connects as the account says.
func (a *Account) Dial() collect.Dial {
	switch a.TLS {
	case "none":
		return collect.DialInsecure(a.Address())
	case "stls":
		return collect.DialSTLS(a.Address())
	}
	return collect.DialTLS(a.Address())
}

// Look connects, signs in and calls look. Where a server fails at CAPA or at
// pipelining it does so once more without, as a collection does.
func (a *Account) Look(ctx context.Context, from Source, look func(*pop3client.Client) error) error {
	opt, err := a.Options()
	if err != nil {
		return err
	}
	cred, err := a.Credentials(ctx, from)
	if err != nil {
		return err
	}
	for {
		err := a.lookOnce(ctx, opt, cred, look)
		switch {
		case errors.Is(err, pop3client.ErrPipelining) && !opt.NoPipelining:
			opt.NoPipelining = true
		case errors.Is(err, pop3client.ErrNoCapabilities) && !opt.SkipCapabilities:
			opt.SkipCapabilities = true
		default:
			return err
		}
	}
}

func (a *Account) lookOnce(ctx context.Context, opt pop3client.Options, cred pop3client.Credentials, look func(*pop3client.Client) error) error {
	c, err := a.Dial()(ctx, &opt)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SignIn(ctx, cred); err != nil {
		return err
	}
	return look(c)
}
