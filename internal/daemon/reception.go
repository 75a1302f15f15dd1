// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"restante.example/internal/cert"
	"restante.example/internal/config"
	"restante.example/pop3"
	"restante.example/pop3server"
)

// reception is how clients are received: the certificates that a configuration
// names, each read once, and the rules of each listener.
type reception struct {
	sources map[config.Certificate]*cert.Source
	set     *cert.Set     // of all listeners without a certificate of their own
	clients *cert.Clients // whom certificates of clients sign in; nil for nobody
	tls     *tls.Config
	rules   map[string]pop3server.Rules // of listeners with rules of their own, by name
	former  map[string]pop3server.Rules // those before, for who has come in by a listener that is gone now
}

// Fingerprint returns the SHA-256 of the certificate that is shown by default.
func (r *reception) Fingerprint() string { return r.set.Default.Fingerprint() }

// Expiry returns when the first of all certificates runs out; the zero time
// where that cannot be told.
func (r *reception) Expiry() time.Time {
	first := r.set.Default.Expiry()
	for _, source := range r.sources {
		if ends := source.Expiry(); ends.Before(first) {
			first = ends
		}
	}
	return first
}

// receive reads what a configuration names and old has not got; old may be nil.
// Where it names no certificate, set.Default is left open.
func receive(c *config.Config, old *reception, log *slog.Logger) (*reception, error) {
	r := &reception{sources: make(map[config.Certificate]*cert.Source), set: &cert.Set{}, rules: make(map[string]pop3server.Rules)}
	if old == nil {
		old = &reception{}
	}
	r.former = maps.Clone(old.rules)
	for _, at := range c.Listening() {
		delete(r.former, at.Name()) // it is still there, perhaps without rules of its own
	}
	var err error
	if r.clients, err = newClients(c); err != nil {
		return nil, err
	}
	named := c.Certificates
	if c.TLS.CertFile != "" {
		named = append([]config.Certificate{{CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile}}, named...)
	}
	for i, files := range named {
		source, err := r.load(files, old, log)
		switch {
		case err != nil:
			return nil, err
		case i == 0:
			r.set.Default = source
		default:
			r.set.Others = append(r.set.Others, source)
		}
	}
	r.tls = cert.Config(r.set, pop3.ALPN)
	r.ask(r.tls, c.Mechanisms)
	for _, at := range c.Listeners {
		if at.Service == LMTP {
			continue
		}
		rules := pop3server.Rules{ClearText: clearText[at.ClearText], Mechanisms: policies(at.Mechanisms)}
		if rules.TLSConfig, err = r.tlsOf(c, &at, old, log); err != nil {
			return nil, err
		}
		r.rules[at.Name()] = rules
	}
	return r, nil
}

// clearText is what the settings of that name mean; without one it is as for
// all.
var clearText = map[string]pop3server.ClearText{
	config.ClearTextLoopback:   pop3server.ClearTextLoopback,
	config.ClearTextNever:      pop3server.ClearTextNever,
	config.ClearTextEverywhere: pop3server.InsecureClearTextEverywhere,
}

// load returns the source of a certificate, each of which there is once.
func (r *reception) load(files config.Certificate, old *reception, log *slog.Logger) (source *cert.Source, err error) {
	if source = r.sources[files]; source == nil {
		source = old.sources[files]
	}
	if source == nil {
		if source, err = cert.Load(files.CertFile, files.KeyFile, log); err != nil {
			return nil, &CertificateError{files, err}
		}
	}
	r.sources[files] = source
	return source, nil
}

// CertificateError says that a certificate which the configuration names cannot
// be used.
type CertificateError struct {
	config.Certificate
	Err error
}

// Error names the settings and says what is wrong.
func (e *CertificateError) Error() string {
	return fmt.Sprintf("cert_file %s and key_file %s: %v", e.CertFile, e.KeyFile, e.Err)
}

// Unwrap returns what is wrong.
func (e *CertificateError) Unwrap() error { return e.Err }

// tlsOf returns the settings of TLS of a listener, or nil where they are those
// of all.
func (r *reception) tlsOf(c *config.Config, at *config.Listener, old *reception, log *slog.Logger) (*tls.Config, error) {
	set := r.set
	if at.CertFile != "" {
		source, err := r.load(config.Certificate{CertFile: at.CertFile, KeyFile: at.KeyFile}, old, log)
		if err != nil {
			return nil, err
		}
		set = &cert.Set{Default: source}
	}
	settings := cert.Config(set, pop3.ALPN)
	if err := askForCertificates(settings, at); err != nil {
		return nil, err
	}
	if at.ClientCertificates == "" {
		r.ask(settings, at.Mechanisms.Over(c.Mechanisms))
	}
	if set == r.set && settings.ClientAuth == r.tls.ClientAuth && settings.ClientCAs == r.tls.ClientCAs {
		return nil, nil
	}
	return settings, nil
}

// listeners returns the rules of all listeners that anybody can have come in by.
func (r *reception) listeners() map[string]pop3server.Rules {
	all := maps.Clone(r.rules)
	for name, rules := range r.former {
		if _, ok := all[name]; !ok {
			all[name] = rules
		}
	}
	return all
}

// askForCertificates makes TLS ask clients for theirs.
func askForCertificates(settings *tls.Config, at *config.Listener) error {
	switch at.ClientCertificates {
	case config.ClientCertificatesOn:
		settings.ClientAuth = tls.VerifyClientCertIfGiven
	case config.ClientCertificatesRequired:
		settings.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return nil
	}
	var err error
	if settings.ClientCAs, err = readAuthorities(at.ClientCA); err != nil {
		return fmt.Errorf("client_ca: %w", err)
	}
	return nil
}
