// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokens checks the bearer tokens with which mail programs sign in by
// OAUTHBEARER (RFC 7628) and XOAUTH2, in one of two ways: by the signature of
// an identity provider, whose keys are found by OpenID Connect Discovery, or by
// asking the provider about each token (RFC 7662).
//
// A token itself is in no error and no line of the log. A provider that cannot
// be asked is never taken for a wrong token: mail programs throw a refused token
// away.
package tokens

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// Bounds and defaults of Options.
const (
	// MaxToken is the longest token that is looked at, in octets.
	MaxToken = 16 << 10
	// MaxClockSkew is the most that clocks may be said to differ.
	MaxClockSkew = 10 * time.Minute
	// MaxCache is the longest that an answer of introspection may be believed.
	MaxCache = time.Hour
	// MaxTimeout is the longest that a provider may take for one answer.
	MaxTimeout = time.Minute
)

// Algorithms are those with which a token may be signed: RFC 7518 section 3.1
// without "none", and without those that use a shared secret.
var Algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// Options say whose tokens are taken and what they must say. They are plain
// data: equal ones make checkers that do the same.
type Options struct {
	// Issuer is the identity provider, as its tokens name it: an https address.
	// Without Introspection its keys are found from here.
	Issuer string
	// Introspection is the address where the provider is asked about tokens, or
	// empty to check their signature instead.
	Introspection string
	// ClientID and Secret are what this server shows there. RFC 7662 section 2.1.
	ClientID string
	Secret   sasl.Secret
	// Audience are names of this server, of which a token must be for one.
	Audience []string
	// Scopes are what a token must hold, all of them.
	Scopes []string
	// Claim is the claim with the name of the user; empty means "email" for
	// signed tokens and "username" for introspection.
	Claim string
	// Algorithms are those that a signature may have; empty means Algorithms.
	Algorithms []string
	// ClockSkew is how far the provider's clock may be from ours.
	ClockSkew time.Duration
	// Cache is how long an answer that a token is good is believed; 0 means
	// that the provider is asked each time.
	Cache time.Duration
	// Timeout is how long the provider may take for one answer.
	Timeout time.Duration
	// Roots are certificates of authorities for the provider, PEM; empty means
	// the system's.
	Roots string
}

// Environment is what a checker needs of its surroundings.
type Environment struct {
	// Account returns the one name of an account for all ways in which a client
	// may write it.
	Account func(name string) string
	// User does so for the name in a token, or says why a token cannot sign
	// anybody in under it.
	User   func(name string) (string, error)
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Checker checks tokens. Its methods may be called by any number of goroutines.
type Checker interface {
	maildrop.TokenChecker
	// Close ends what goes on in the background. Whoever waits for it is told
	// that the provider cannot be asked.
	Close()
}

// New makes a checker. It connects to nobody: the provider is looked for when
// the first token comes, and a provider that is down delays nothing else.
func New(o Options, e Environment) (Checker, error) {
	if e.Now == nil {
		e.Now = time.Now
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	var roots *x509.CertPool
	if o.Roots != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(o.Roots)) {
			return nil, errors.New("there is no certificate in PEM among the authorities for the identity provider")
		}
	}
	client := newClient(roots, o.Timeout)
	if o.Introspection != "" {
		return newIntrospection(o, e, client), nil
	}
	return newSigned(o, e, client), nil
}

// Check refuses what would take tokens that are not meant for this server.
func (o *Options) Check() error {
	if o.Issuer == "" && o.Introspection == "" {
		return errors.New("neither an issuer nor an introspection address is set")
	}
	for _, address := range []string{o.Issuer, o.Introspection} {
		if address != "" {
			if err := CheckURL(address); err != nil {
				return err
			}
		}
	}
	if len(o.Audience) == 0 && (o.Introspection == "" || len(o.Scopes) == 0) {
		return errors.New("no audience is set: a token for every other application of the provider would be taken")
	}
	for _, a := range o.Algorithms {
		if !slices.Contains(Algorithms, a) {
			return fmt.Errorf("the algorithm %q is not one of %q", a, Algorithms)
		}
	}
	return nil
}

// refusal is a token that is not taken. RFC 7628 section 3.2.2.
func (o *Options) refusal(format string, args ...any) *maildrop.TokenError {
	e := &maildrop.TokenError{Status: "invalid_token", Err: fmt.Errorf(format, args...)}
	if o.Issuer != "" {
		e.Config = discoveryURL(o.Issuer)
	}
	return e
}

// match returns the account of the user in a token, which is that of the name
// that the client gave, if it gave one.
func match(o *Options, e *Environment, a maildrop.Attempt, user string) (string, error) {
	account, err := e.User(user)
	if err != nil {
		return "", o.refusal("the user %s of the token: %w", shown(user), err)
	}
	if a.Name != "" && e.Account(a.Name) != account {
		return "", o.refusal("the token is of %s, and not of the user who was named", shown(user))
	}
	return account, nil
}

// form refuses what cannot be a token, before anything is done for it. RFC 6750
// section 2.1 allows fewer characters; some providers do not keep to it.
func (o *Options) form(token string) error {
	if len(token) > MaxToken {
		return o.refusal("the token has %d octets, more than %d", len(token), MaxToken)
	}
	if token == "" {
		return o.refusal("the token is empty")
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return o.refusal("the token holds a character that no token has")
		}
	}
	return nil
}

// shown is a text of others as an error may hold it.
func shown(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "..."
	}
	return fmt.Sprintf("%q", s)
}
