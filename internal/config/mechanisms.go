// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// Mechanisms says which ways to sign in are offered. In the table of a listener
// an empty one is as in [mechanisms].
type Mechanisms struct {
	// SCRAM256 and SCRAM1 are SCRAM, RFC 5802 and 7677; those with Plus are bound
	// to the TLS connection, and as the ones without where they are empty.
	SCRAM256Plus Offer `toml:"SCRAM-SHA-256-PLUS"`
	SCRAM256     Offer `toml:"SCRAM-SHA-256"`
	SCRAM1Plus   Offer `toml:"SCRAM-SHA-1-PLUS"`
	SCRAM1       Offer `toml:"SCRAM-SHA-1"`
	// Plain, Login and User, which is USER with PASS, send the password itself.
	Plain Offer `toml:"PLAIN"`
	Login Offer `toml:"LOGIN"`
	User  Offer `toml:"USER"`
	// OAuthBearer and XOAuth2 take a token. RFC 7628.
	OAuthBearer Offer `toml:"OAUTHBEARER"`
	XOAuth2     Offer `toml:"XOAUTH2"`
	// External takes a client certificate. RFC 4422 appendix A.
	External Offer `toml:"EXTERNAL"`
	// APOP is of 1996, and MD5. RFC 1939 section 7.
	APOP Offer `toml:"APOP"`
}

// Offer says whether a way to sign in is offered: "off", "on", or "required",
// which offers nothing but what is required; "" leaves it open.
type Offer string

// Values of Offer.
const (
	OfferOff      Offer = "off"
	OfferOn       Offer = "on"
	OfferRequired Offer = "required"
)

// Offers returns what is said, by the names that stand in the file.
func (m Mechanisms) Offers() map[string]Offer {
	offers := map[string]Offer{}
	v := reflect.ValueOf(m)
	for i := range v.NumField() {
		if o := v.Field(i).Interface().(Offer); o != "" {
			offers[v.Type().Field(i).Tag.Get("toml")] = o
		}
	}
	return offers
}

// Over returns what holds where m goes before general.
func (m Mechanisms) Over(general Mechanisms) Mechanisms {
	v, under := reflect.ValueOf(&m).Elem(), reflect.ValueOf(general)
	for i := range v.NumField() {
		if v.Field(i).String() == "" {
			v.Field(i).Set(under.Field(i))
		}
	}
	return m
}

// Accepted returns the names of what is accepted where it can work.
func (m Mechanisms) Accepted() []string {
	m.SCRAM256Plus = cmp.Or(m.SCRAM256Plus, m.SCRAM256)
	m.SCRAM1Plus = cmp.Or(m.SCRAM1Plus, m.SCRAM1)
	var on, required []string
	for name, o := range m.Offers() {
		switch o {
		case OfferOn:
			on = append(on, name)
		case OfferRequired:
			required = append(required, name)
		}
	}
	if required != nil {
		on = required
	}
	slices.Sort(on)
	return on
}

// Accepts reports whether a way to sign in is accepted by any listener.
func (c *Config) Accepts(name string) bool {
	if slices.Contains(c.Mechanisms.Accepted(), name) {
		return true
	}
	return slices.ContainsFunc(c.Listeners, func(a Listener) bool {
		return a.Service != ServiceLMTP && slices.Contains(a.Mechanisms.Over(c.Mechanisms).Accepted(), name)
	})
}

// defaultMechanisms are those of pop3server.
func defaultMechanisms() Mechanisms {
	return Mechanisms{
		SCRAM256: OfferOn, SCRAM1: OfferOff, Plain: OfferOn, Login: OfferOn, User: OfferOn,
		OAuthBearer: OfferOff, XOAuth2: OfferOff, External: OfferOff, APOP: OfferOff,
	}
}

// checkMechanisms looks at what is said in a table, and at whether what holds
// there in all, the table over general, leaves a way to sign in.
func (l *loader) checkMechanisms(table string, m, general Mechanisms) {
	bad := false
	shown := table
	if strings.HasPrefix(table, "listener.") { // which one it is, the line tells
		shown = "listener.mechanisms"
	}
	for name, offer := range m.Offers() {
		if !slices.Contains([]Offer{OfferOff, OfferOn, OfferRequired}, offer) {
			bad = true
			l.problem(table+"."+name, "[%s] %s is %q; it can be %q, %q or %q", shown, name, string(offer), OfferOff, OfferOn, OfferRequired)
		}
	}
	if !bad && len(m.Over(general).Accepted()) == 0 {
		l.problem(table, "[%s] switches every way to sign in off; leave one on, such as SCRAM-SHA-256, PLAIN or USER", shown)
	}
}
