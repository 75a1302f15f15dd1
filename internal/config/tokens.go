// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"time"

	"restante.example/internal/tokens"
)

// Tokens says whose bearer tokens sign users in by OAUTHBEARER (RFC 7628) and
// XOAUTH2. They are off until Issuer or Introspection is set.
type Tokens struct {
	// Issuer is the identity provider as its tokens name it, an https address.
	// The keys to check their signatures with are found from here.
	Issuer string `toml:"issuer"`
	// Introspection is where the provider is asked about each token instead
	// (RFC 7662), for providers whose tokens are not signed.
	Introspection string `toml:"introspection"`
	// ClientID and ClientSecretFile are what this server shows there. Only the
	// owner of the file may read it.
	ClientID         string `toml:"client_id"`
	ClientSecretFile string `toml:"client_secret_file"`
	// Audience are the names of this server at the provider: a token must be for
	// one of them.
	Audience []string `toml:"audience"`
	// Scopes must all be in a token.
	Scopes []string `toml:"scopes"`
	// UserClaim is the claim with the name of the user; empty means "email", which
	// the provider must have verified, and with Introspection "username".
	UserClaim string `toml:"user_claim"`
	// Algorithms are those that a signature may have; empty means all that need
	// no shared secret.
	Algorithms []string `toml:"algorithms"`
	// ClockSkew is how far the clock of the provider may be from ours.
	ClockSkew Duration `toml:"clock_skew"`
	// Cache is how long an answer of Introspection that a token is good is
	// believed, never beyond its end; 0 asks each time.
	Cache Duration `toml:"cache"`
	// Timeout is how long the provider may take for an answer.
	Timeout Duration `toml:"timeout"`
	// CAFile holds certificates of authorities that are trusted for the provider,
	// PEM; empty means those of the system.
	CAFile string `toml:"ca_file"`
}

// On reports whether tokens are taken.
func (t *Tokens) On() bool { return t.Issuer != "" || t.Introspection != "" }

// offersTokens reports whether tokens are accepted anywhere.
func (c *Config) offersTokens() bool { return c.Accepts("OAUTHBEARER") || c.Accepts("XOAUTH2") }

// key is the setting that says how tokens are checked.
func (t *Tokens) key() string {
	if t.Introspection != "" {
		return "introspection"
	}
	return "issuer"
}

func defaultTokens() Tokens {
	return Tokens{ClockSkew: Duration(time.Minute), Cache: Duration(time.Minute), Timeout: Duration(10 * time.Second)}
}

// checkTokens looks at what is taken as a token.
func (l *loader) checkTokens() {
	t := &l.config.Tokens
	problem := func(key, format string, args ...any) { l.problem("tokens."+key, format, args...) }
	if !t.On() {
		if l.config.offersTokens() {
			l.problem("mechanisms", "OAUTHBEARER or XOAUTH2 is on, and [tokens] names no provider to check a token with")
		}
		for key, set := range map[string]bool{"audience": len(t.Audience) > 0, "scopes": len(t.Scopes) > 0, "client_id": t.ClientID != "",
			"client_secret_file": t.ClientSecretFile != "", "user_claim": t.UserClaim != "", "algorithms": len(t.Algorithms) > 0} {
			if set {
				problem(key, "%s under [tokens] means nothing without issuer or introspection", key)
			}
		}
		return
	}
	for key, address := range map[string]string{"issuer": t.Issuer, "introspection": t.Introspection} {
		if address == "" {
			continue
		}
		if err := tokens.CheckURL(address); err != nil {
			problem(key, "%s: %v", key, err)
		}
	}
	if strings.Contains(t.Issuer, "/.well-known/") {
		problem("issuer", "issuer is what stands before /.well-known/ in %q", t.Issuer)
	}
	if !l.config.offersTokens() {
		problem(t.key(), "[tokens] names a provider, and no way to sign in with a token is on; set OAUTHBEARER = \"on\" and XOAUTH2 = \"on\" under [mechanisms]")
	}
	l.checkWhoAsks()
	if len(t.Audience) == 0 && (t.Introspection == "" || len(t.Scopes) == 0) {
		what := "audience"
		if t.Introspection != "" {
			what = "audience or scopes"
		}
		problem(t.key(), "[tokens] needs %s: without it a token for every other application of the provider would open mail here", what)
	}
	for key, list := range map[string][]string{"audience": t.Audience, "scopes": t.Scopes} {
		if slices.Contains(list, "") {
			problem(key, "%s has an empty text in it", key)
		}
	}
	for _, a := range t.Algorithms {
		if !slices.Contains(tokens.Algorithms, a) {
			problem("algorithms", "algorithms has %q; it can have %s: \"none\" and secrets that are shared prove nothing", a, strings.Join(quote(tokens.Algorithms), ", "))
		}
	}
	for key, d := range map[string]struct{ got, least, most time.Duration }{
		"clock_skew": {time.Duration(t.ClockSkew), 0, tokens.MaxClockSkew},
		"cache":      {time.Duration(t.Cache), 0, tokens.MaxCache},
		"timeout":    {time.Duration(t.Timeout), 100 * time.Millisecond, tokens.MaxTimeout},
	} {
		if d.got < d.least || d.got > d.most {
			problem(key, "tokens.%s is %v; it can be from %v to %v", key, d.got, d.least, d.most)
		}
	}
}

// checkWhoAsks looks at what belongs to introspection alone, and to signatures
// alone.
func (l *loader) checkWhoAsks() {
	t := &l.config.Tokens
	if t.Introspection == "" {
		for key, value := range map[string]string{"client_id": t.ClientID, "client_secret_file": t.ClientSecretFile} {
			if value != "" {
				l.problem("tokens."+key, "%s means nothing without introspection: signatures are checked without asking", key)
			}
		}
		return
	}
	if len(t.Algorithms) > 0 {
		l.problem("tokens.algorithms", "algorithms means nothing with introspection: the provider checks its signatures itself")
	}
	// RFC 7662 section 2.1: a provider answers nobody whom it does not know.
	for key, value := range map[string]string{"client_id": t.ClientID, "client_secret_file": t.ClientSecretFile} {
		if value == "" {
			l.problem("tokens.introspection", "introspection needs %s: a provider answers only those whom it knows", key)
		}
	}
}
