// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"

	"restante.example/internal/cert"
)

// Clients says whom the certificates of clients sign in by EXTERNAL.
type Clients struct {
	// CAFile holds the authorities whose certificates are believed, PEM; empty is
	// none. A listener can have others in its client_ca.
	CAFile string `toml:"ca_file"`
	// Names are the places in a certificate where the name of its user is looked
	// for: "email", "dns" and "uri" are subject alternative names, "common-name" is
	// the subject's.
	Names []string `toml:"names"`
	// Fingerprints are certificates, as their SHA-256 in hex, by the name of the
	// user whom each signs in. They need no authority.
	Fingerprints map[string][]string `toml:"fingerprints"`
}

// ByFingerprint returns the names by the fingerprints.
func (c *Clients) ByFingerprint() map[string][]string {
	names := map[string][]string{}
	for name, list := range c.Fingerprints {
		for _, f := range list {
			if clean, err := cert.CleanFingerprint(f); err == nil { // checked when it was loaded
				names[clean] = append(names[clean], name)
			}
		}
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names
}

func (l *loader) checkClients() {
	c := &l.config.Clients
	for _, place := range c.Names {
		if known := []string{cert.NameEmail, cert.NameCommon, cert.NameDNS, cert.NameURI}; !slices.Contains(known, place) {
			l.problem("client_certificates.names", "client_certificates.names has %q; it can have %s", place, strings.Join(quote(known), ", "))
		}
	}
	for name, list := range c.Fingerprints {
		key := "client_certificates.fingerprints"
		if _, own := l.lines[key+"."+name]; own { // in a table of its own
			key += "." + name
		}
		for _, f := range list {
			if _, err := cert.CleanFingerprint(f); err != nil {
				l.problem(key, "client_certificates.fingerprints of %q: %v", name, err)
			}
		}
	}
	l.checkWorkable()
}

// checkWorkable looks for what is on and could let nobody in.
func (l *loader) checkWorkable() {
	c := l.config
	if c.Accepts("EXTERNAL") && c.Clients.CAFile == "" && len(c.Clients.Fingerprints) == 0 &&
		!slices.ContainsFunc(c.Listeners, func(a Listener) bool { return a.ClientCA != "" }) {
		l.problem("mechanisms.EXTERNAL", "EXTERNAL is on, and no client certificate is believed: "+
			"set ca_file or fingerprints under [client_certificates], or client_ca of a listener")
	}
	for key, m := range l.tablesOfMechanisms() {
		for name, offer := range m.Offers() {
			if strings.HasPrefix(name, "SCRAM-") && offer == OfferRequired && len(c.Users.Helper) > 0 {
				l.problem(key+"."+name, "%s is required, and the helper under [users] can check passwords only: it has no keys for SCRAM", name)
			}
		}
	}
}

// tablesOfMechanisms returns what is said of mechanisms, by the table.
func (l *loader) tablesOfMechanisms() map[string]Mechanisms {
	tables := map[string]Mechanisms{"mechanisms": l.config.Mechanisms}
	for _, a := range l.config.Listeners {
		tables[a.table+".mechanisms"] = a.Mechanisms
	}
	return tables
}
