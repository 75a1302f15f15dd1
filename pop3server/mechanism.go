// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"crypto/tls"

	"restante.example/sasl"
)

// mechanism is a way to sign in.
type mechanism uint8

// The ways to sign in, those of SASL first and among them the strongest.
const (
	mechExternal mechanism = iota
	mechSCRAM256Plus
	mechSCRAM256
	mechSCRAM1Plus
	mechSCRAM1
	mechOAuthBearer
	mechXOAuth2
	mechPlain
	mechLogin
	mechUser
	mechAPOP

	mechanismCount
	saslCount = mechUser
)

// mechanisms says of each how it is called, what it is offered like when nothing
// is said of it, and whether it is offered then.
var mechanisms = [mechanismCount]struct {
	name   string
	like   mechanism
	policy Policy
}{
	mechExternal:     {"EXTERNAL", mechExternal, PolicyOff},
	mechSCRAM256Plus: {"SCRAM-SHA-256-PLUS", mechSCRAM256, PolicyOn},
	mechSCRAM256:     {"SCRAM-SHA-256", mechSCRAM256, PolicyOn},
	mechSCRAM1Plus:   {"SCRAM-SHA-1-PLUS", mechSCRAM1, PolicyOff},
	mechSCRAM1:       {"SCRAM-SHA-1", mechSCRAM1, PolicyOff},
	mechOAuthBearer:  {"OAUTHBEARER", mechOAuthBearer, PolicyOff},
	mechXOAuth2:      {"XOAUTH2", mechXOAuth2, PolicyOff},
	mechPlain:        {"PLAIN", mechPlain, PolicyOn},
	mechLogin:        {"LOGIN", mechLogin, PolicyOn},
	mechUser:         {"USER", mechUser, PolicyOn},
	mechAPOP:         {"APOP", mechAPOP, PolicyOff},
}

func (m mechanism) String() string { return mechanisms[m].name }

// mechanismNamed finds a mechanism by its name in upper case.
func mechanismNamed(name string) (mechanism, bool) {
	for m := range mechanisms {
		if mechanisms[m].name == name {
			return mechanism(m), true
		}
	}
	return 0, false
}

// Mechanisms returns the names that Options.Mechanisms knows: those of the SASL
// mechanisms, the strongest first, then "USER", which is USER with PASS, and
// "APOP".
func Mechanisms() []string {
	list := make([]string, mechanismCount)
	for m := range mechanisms {
		list[m] = mechanisms[m].name
	}
	return list
}

// offers reports whether a mechanism is accepted on this connection now.
func (c *conn) offers(m mechanism) bool { return c.rules.accepted[m] && c.possible(m) }

// possible reports whether a mechanism could work on this connection now.
func (c *conn) possible(m mechanism) bool {
	switch m {
	case mechSCRAM256Plus, mechSCRAM1Plus:
		return c.hasSCRAM(m) && c.bound()
	case mechSCRAM256, mechSCRAM1: // they reveal nothing, so also without TLS
		return c.hasSCRAM(m)
	case mechPlain, mechLogin, mechUser:
		return c.mayReveal()
	case mechOAuthBearer, mechXOAuth2:
		return c.opt.Tokens != nil && c.identifies() && c.mayReveal()
	case mechExternal:
		return len(c.signIn.names) > 0 && c.identifies()
	case mechAPOP:
		return c.signIn.timestamp != "" // RFC 1939 section 7
	}
	return false
}

// reveals reports whether a mechanism sends what others could sign in with.
func (m mechanism) reveals() bool {
	switch m {
	case mechPlain, mechLogin, mechUser, mechOAuthBearer, mechXOAuth2:
		return true
	}
	return false
}

// saslOffered returns what AUTH accepts on this connection now.
func (c *conn) saslOffered() []string {
	list := make([]string, 0, saslCount)
	for m := range saslCount {
		if c.offers(m) {
			list = append(list, m.String())
		}
	}
	return list
}

// scramHash returns the hash of a SCRAM mechanism as sasl and maildrop call it.
func (m mechanism) scramHash() string {
	if m == mechSCRAM1 || m == mechSCRAM1Plus {
		return "SHA-1"
	}
	return "SHA-256"
}

func (c *conn) hasSCRAM(m mechanism) bool {
	return c.opt.Directory != nil && c.opt.Directory.HasSCRAM(m.scramHash())
}

// bound reports whether the connection has something to bind a sign-in to:
// the exporter of TLS 1.3 (RFC 9266), or a certificate that was shown.
func (c *conn) bound() bool {
	return c.tls != nil && (c.tls.ConnectionState().Version >= tls.VersionTLS13 || c.meter.cert != nil)
}

func (c *conn) bindings() []sasl.ChannelBinding {
	return sasl.ServerBindings(c.tls.ConnectionState(), c.meter.cert)
}
