// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"crypto/tls"
	"strings"
)

// Rules are what holds for the connections of one listener. What is left open
// is as in Options.
type Rules struct {
	// TLSConfig, where not nil, is used instead of the one of Options. One that
	// asks for client certificates makes EXTERNAL possible.
	TLSConfig *tls.Config
	// ClearText, where it is not ClearTextDefault, is used instead of the one of
	// Options.
	ClearText ClearText
	// Mechanisms goes before Options.Mechanisms, name by name.
	Mechanisms map[string]Policy
}

// Policy says whether a way to sign in is offered. One that is offered is
// announced only where it can work: PLAIN needs a connection that may carry a
// password, SCRAM the keys of all users, OAUTHBEARER somebody who checks tokens.
type Policy uint8

const (
	// PolicyDefault leaves it open. In Rules it is then as in Options, and in
	// Options a mechanism with -PLUS is as the one without; SCRAM-SHA-256, PLAIN,
	// LOGIN and USER are on, and all others off.
	PolicyDefault Policy = iota
	// PolicyOff refuses it.
	PolicyOff
	// PolicyOn offers it.
	PolicyOn
	// PolicyRequired offers it, and nothing but what is required.
	PolicyRequired
)

// rules are Rules with everything filled in, and what is derived from them.
type rules struct {
	tls       *tls.Config // hardened; nil is none
	clearText ClearText
	accepted  [mechanismCount]bool
}

func (s *settings) newRules() *rules {
	r := &rules{clearText: cmp.Or(s.ClearText, ClearTextLoopback), accepted: accepted(s.Mechanisms)}
	if s.TLSConfig != nil {
		r.tls = hardened(s.TLSConfig)
	}
	return r
}

// override returns the rules of a listener, where those of Options are r.
func (s *settings) override(r *rules, by Rules) *rules {
	own := &rules{
		tls: r.tls, clearText: cmp.Or(by.ClearText, r.clearText), accepted: accepted(s.Mechanisms, by.Mechanisms),
	}
	// The same configuration keeps the same keys for resuming sessions.
	if by.TLSConfig != nil && by.TLSConfig != s.TLSConfig {
		own.tls = hardened(by.TLSConfig)
	}
	return own
}

// rulesOf returns the rules of a listener.
func (s *settings) rulesOf(listener string) *rules {
	if r, ok := s.listeners[listener]; ok {
		return r
	}
	return s.common
}

// accepted says which mechanisms are accepted where they can work; the later
// policies go before the earlier ones.
func accepted(layers ...map[string]Policy) [mechanismCount]bool {
	var policies [mechanismCount]Policy
	for _, layer := range layers {
		for name, p := range layer {
			if m, ok := mechanismNamed(strings.ToUpper(name)); ok && p != PolicyDefault {
				policies[m] = p
			}
		}
	}
	least := PolicyOn
	for m := range policies {
		policies[m] = cmp.Or(policies[m], policies[mechanisms[m].like], mechanisms[m].policy)
		if policies[m] == PolicyRequired {
			least = PolicyRequired
		}
	}
	var list [mechanismCount]bool
	for m, p := range policies {
		list[m] = p >= least
	}
	return list
}
