// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"restante.example/internal/tokens/tokenstest"
	"restante.example/maildrop"
)

// Whatever comes as a token, it is taken or refused, and nothing else; only
// tokens that the provider has signed are taken.
func FuzzSigned(f *testing.F) {
	p := tokenstest.New(f)
	o := Options{Issuer: p.Issuer, Audience: []string{tokenstest.Audience}, ClockSkew: time.Minute, Timeout: 5 * time.Second, Roots: p.CA}
	same := func(name string) string { return name }
	c, err := New(o, Environment{Account: same, User: func(name string) (string, error) { return name, nil },
		Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	good := map[string]bool{}
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		token := p.Token(algorithm, said{"exp": time.Now().Add(1000 * time.Hour).Unix()})
		input, _, _ := strings.Cut(token[strings.IndexByte(token, '.')+1:], ".")
		good[input] = true
		f.Add(token)
	}
	f.Add(p.Unsigned(said{"alg": "none"}, nil))
	f.Add(p.HMAC([]byte("x"), said{"alg": "HS256", "kid": []int{1}}, nil))
	f.Add("..")
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, token string) {
		user, err := c.CheckToken(t.Context(), maildrop.Attempt{}, token)
		if err != nil {
			if !errors.Is(err, maildrop.ErrCredentials) {
				t.Errorf("%q cannot be told: %v", token, err)
			}
			return
		}
		parts := strings.Split(token, ".")
		if user != tokenstest.Email || len(parts) != 3 || !good[parts[1]] {
			t.Errorf("%q signs %q in", token, user)
		}
	})
}

// Whatever a provider says of a token, it is taken or refused, and whoever is
// taken has a name.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{
		`{"active":true,"username":"ana","aud":["restante"],"exp":4102444800,"scope":"mail"}`,
		`{"active":true,"username":"ana","aud":"restante","exp":1e9,"nbf":-0.5,"iat":null,"scp":["mail"],"cnf":{}}`,
		`{"active":"true","aud":[1,"restante"],"exp":"x","scope":5}`, `{}`, `null`,
	} {
		f.Add([]byte(text))
	}
	o := Options{Issuer: "https://login.example.org", Audience: []string{tokenstest.Audience}, Scopes: []string{"mail"}, Claim: "username"}
	f.Fuzz(func(t *testing.T, text []byte) {
		var said claims
		if json.Unmarshal(text, &said) != nil {
			return
		}
		for _, whole := range []bool{false, true} {
			user, end, err := o.allow(said, time.Unix(1_800_000_000, 0), whole)
			if err == nil && (user == "" || whole && end.IsZero() || !end.IsZero() && end.Unix() < 1_800_000_000) {
				t.Errorf("%s: %q until %v", text, user, end)
			}
			if err != nil && !errors.Is(err, maildrop.ErrCredentials) {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}
