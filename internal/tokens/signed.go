// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"restante.example/maildrop"
)

// signed checks tokens that are JSON Web Tokens, RFC 7519, by their signature.
// Such a token is good until it expires: the provider is not asked again.
type signed struct {
	o          Options
	e          Environment
	algorithms []jose.SignatureAlgorithm
	keys       *keyring
	end        context.CancelFunc
}

func newSigned(o Options, e Environment, client *http.Client) *signed {
	o.Claim = cmp.Or(o.Claim, "email")
	if len(o.Algorithms) == 0 {
		o.Algorithms = Algorithms
	}
	ctx, end := context.WithCancel(context.Background())
	s := &signed{o: o, e: e, end: func() { end(); client.CloseIdleConnections() },
		keys: &keyring{issuer: o.Issuer, client: client, now: e.Now, log: e.Logger, ctx: ctx}}
	for _, a := range o.Algorithms {
		s.algorithms = append(s.algorithms, jose.SignatureAlgorithm(a))
	}
	return s
}

// Close implements Checker.
func (s *signed) Close() { s.end() }

// CheckToken implements maildrop.TokenChecker.
func (s *signed) CheckToken(ctx context.Context, a maildrop.Attempt, token string) (string, error) {
	if err := s.o.form(token); err != nil {
		return "", err
	}
	by, err := s.signer(token)
	if err != nil {
		return "", err
	}
	said, err := s.verify(ctx, token, by)
	if err != nil {
		return "", err
	}
	user, _, err := s.o.allow(said, s.e.Now(), true)
	if err != nil {
		return "", err
	}
	return match(&s.o, &s.e, a, user)
}

// tokenTypes are what a token may say of its kind: RFC 7519 section 5.1, RFC 9068
// section 2.1. Others (of a sign-out, of a proof) are signed by the same
// provider and mean something else: RFC 8725 section 3.11.
var tokenTypes = map[string]bool{"": true, "jwt": true, "at+jwt": true}

// signer looks at the header of a token, which nobody has vouched for yet.
func (s *signed) signer(token string) (signer, error) {
	jws, err := jose.ParseSignedCompact(token, s.algorithms)
	if err != nil {
		return signer{}, s.o.refusal("%s", s.unfit(token))
	}
	header := jws.Signatures[0].Header
	kind, isText := header.ExtraHeaders[jose.HeaderType].(string)
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if _, there := header.ExtraHeaders[jose.HeaderType]; there && !isText || !tokenTypes[kind] {
		return signer{}, s.o.refusal("the token is of the type %s, which is for other things than signing in", shown(kind))
	}
	return signer{header.KeyID, header.Algorithm}, nil
}

// unfit says why a token could not be read at all.
func (s *signed) unfit(token string) string {
	first, rest, _ := strings.Cut(token, ".")
	var header struct {
		Algorithm string `json:"alg"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(first)
	switch {
	case strings.Count(rest, ".") == 3:
		return "the token is encrypted; have the provider sign it only"
	case strings.Count(rest, ".") != 1 || err != nil || json.Unmarshal(raw, &header) != nil:
		return "the token is no JSON Web Token; a provider whose tokens are none must be asked about each (introspection)"
	case !slices.Contains(s.o.Algorithms, header.Algorithm):
		// The name is of the client's making, so that only what looks like one is shown.
		if !shaped(header.Algorithm) {
			return "the token is signed with an unknown algorithm"
		}
		return "the token is signed with the algorithm " + header.Algorithm + ", which is not accepted"
	}
	return "the token is malformed"
}

// shaped reports whether s looks like the name of an algorithm.
func shaped(s string) bool {
	return len(s) > 0 && len(s) <= 20 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+") == ""
}

// verify returns what a token says, once it is certain that the provider has
// said it. A signature that does not fit may be by a key that has come since.
func (s *signed) verify(ctx context.Context, token string, by signer) (claims, error) {
	for edition, why := 0, "the provider has no such key"; ; {
		keys, next, err := s.keys.find(ctx, by, edition)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			return nil, s.o.refusal("the signature of the token cannot be checked: %s", why)
		}
		set := oidc.StaticKeySet{PublicKeys: keys}
		payload, err := set.VerifySignature(ctx, token)
		if err == nil {
			var said claims
			if json.Unmarshal(payload, &said) != nil {
				return nil, s.o.refusal("what the token holds is no JSON object")
			}
			return said, nil
		}
		edition, why = next, "it is not by the key that the token names"
	}
}
