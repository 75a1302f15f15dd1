// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"restante.example/internal/tokens/tokenstest"
	"restante.example/maildrop"
)

type said = tokenstest.Claims

func TestSignedTokensAreTaken(t *testing.T) {
	d := openDesk(t, nil)
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		d.takes(t, d.Token(algorithm, nil), tokenstest.Email)
	}
	for name, c := range map[string]said{
		"one audience of several": {"aud": []string{"x", tokenstest.Audience}},
		"a part of a second":      {"exp": float64(d.clock.now().UnixMilli())/1000 + 9.5},
		"verified, in a text":     {"email_verified": "true"},
		"a letter in upper case":  {"email": "Ana@Example.org"},
		"without iat":             {"iat": nil},
		"nbf now":                 {"nbf": d.clock.now().Unix()},
	} {
		t.Run(name, func(t *testing.T) { d.takes(t, d.Token("ES256", c), tokenstest.Email) })
	}
	k := d.Key("ES256")
	for name, header := range map[string]said{
		"without a key": {"alg": "ES256"},
		"access token":  {"alg": "ES256", "kid": k.ID, "typ": "at+jwt"},
		"long type":     {"alg": "ES256", "kid": k.ID, "typ": "application/AT+JWT"},
	} {
		t.Run(name, func(t *testing.T) { d.takes(t, d.Sign(k, header, nil), tokenstest.Email) })
	}
	if n := d.Asked(tokenstest.KeysPath); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

func TestSignedTokensAreRefused(t *testing.T) {
	d := openDesk(t, func(o *Options) { o.Scopes = []string{"mail", "pop"} })
	encrypting := d.Encrypting("EdDSA")
	good := said{"scope": "openid pop mail"}
	with := func(c said) said {
		all := maps.Clone(good)
		maps.Copy(all, c)
		return all
	}
	es := func(c said) string { return d.Token("ES256", with(c)) }
	d.takes(t, es(nil), tokenstest.Email)
	d.takes(t, es(said{"scope": nil, "scp": []string{"mail", "pop"}}), tokenstest.Email)

	now, k, rsa := d.clock.now(), d.Key("ES256"), d.Key("RS256")
	header := func(c said) said {
		all := said{"alg": "ES256", "typ": "JWT", "kid": k.ID}
		maps.Copy(all, c)
		maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
		return all
	}
	whole := es(nil)
	parts := strings.Split(whole, ".")
	spki, err := x509.MarshalPKIXPublicKey(d.RSAPublic())
	if err != nil {
		t.Fatal(err)
	}
	hs := said{"alg": "HS256", "typ": "JWT", "kid": rsa.ID}
	stranger := tokenstest.New(t)
	changed := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"` + d.Issuer + `","aud":"restante","email":"bob@example.org","email_verified":true,"scope":"mail pop","exp":4102444800}`))

	for name, c := range map[string]struct{ token, why string }{
		"issuer":            {es(said{"iss": "https://login.example.org"}), "by the issuer"},
		"no issuer":         {es(said{"iss": nil}), "by the issuer"},
		"issuer no text":    {es(said{"iss": 5}), "by the issuer"},
		"audience":          {es(said{"aud": "another"}), "for the audience"},
		"no audience":       {es(said{"aud": nil}), "for the audience"},
		"audiences":         {es(said{"aud": []string{"restant", "restante2"}}), "for the audience"},
		"audience of kinds": {es(said{"aud": []any{"restante", 5}}), "for the audience"},
		"scope":             {es(said{"scope": "openid pop mailbox"}), "not the scope \"mail\""},
		"expired":           {es(said{"exp": now.Add(-time.Hour).Unix()}), "has expired"},
		"no end":            {es(said{"exp": nil}), "never expires"},
		"end null":          {d.Sign(k, header(nil), with(said{"exp": (*int)(nil)})), "never expires"},
		"end a text":        {es(said{"exp": "4102444800"}), "exp of the token is no time"},
		"end absurd":        {es(said{"exp": 1e300}), "exp of the token is no time"},
		"end negative":      {es(said{"exp": -5}), "exp of the token is no time"},
		"not yet":           {es(said{"nbf": now.Add(time.Hour).Unix()}), "begins in the future (nbf)"},
		"made tomorrow":     {es(said{"iat": now.Add(time.Hour).Unix()}), "begins in the future (iat)"},
		"begin an object":   {es(said{"nbf": said{}}), "nbf of the token is no time"},
		"no name":           {es(said{"email": nil}), "no claim \"email\""},
		"empty name":        {es(said{"email": ""}), "no claim \"email\""},
		"names":             {es(said{"email": []string{tokenstest.Email}}), "no claim \"email\""},
		"unverified":        {es(said{"email_verified": false}), "not verified the address"},
		"verified unknown":  {es(said{"email_verified": nil}), "not verified the address"},
		"domain":            {es(said{"email": "ana@elsewhere.example"}), "that domain is another's"},
		"bound to a key":    {es(said{"cnf": said{"jkt": "x"}}), "bound to a key"},

		"none":                 {d.Unsigned(said{"alg": "none", "typ": "JWT"}, good), "algorithm none, which is not accepted"},
		"None":                 {d.Unsigned(said{"alg": "NoNe"}, good), "algorithm NoNe, which is not accepted"},
		"no signature":         {d.Unsigned(header(nil), good), "not by the key"},
		"HMAC with PEM":        {d.HMAC(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), hs, good), "algorithm HS256"},
		"HMAC with DER":        {d.HMAC(spki, hs, good), "algorithm HS256"},
		"HMAC with modulus":    {d.HMAC(d.RSAPublic().N.Bytes(), hs, good), "algorithm HS256"},
		"HMAC with shared key": {d.HMAC([]byte("secret"), said{"alg": "HS256", "kid": "shared"}, good), "algorithm HS256"},
		"HMAC as RS256":        {d.HMAC(spki, said{"alg": "RS256", "kid": rsa.ID}, good), "not by the key"},
		"algorithm of a bug":   {d.HMAC(spki, said{"alg": strings.Repeat("x", 4000)}, good), "unknown algorithm"},
		"another's key":        {stranger.Sign(stranger.Key("ES256"), header(nil), with(said{"iss": d.Issuer})), "not by the key"},
		"key in the token":     {stranger.Sign(stranger.Key("ES256"), header(said{"kid": nil, "jwk": stranger.Key("ES256").Public()}), with(said{"iss": d.Issuer})), "not by the key"},
		"address of keys":      {stranger.Sign(stranger.Key("ES256"), header(said{"jku": stranger.Issuer + tokenstest.KeysPath}), with(said{"iss": d.Issuer})), "not by the key"},
		"key of another kind":  {d.Sign(rsa, header(said{"alg": "RS256"}), good), "no such key"},
		"key to encrypt with":  {d.Sign(encrypting, said{"alg": "EdDSA", "kid": encrypting.ID}, good), "no such key"},
		"key not known":        {d.Sign(k, header(said{"kid": "who"}), good), "no such key"},
		"RS256 by a PS key":    {d.Sign(rsa, header(said{"alg": "RS256", "kid": d.Key("PS256").ID}), good), "no such key"},
		"sign-out":             {d.Sign(k, header(said{"typ": "logout+jwt"}), good), "for other things"},
		"proof":                {d.Sign(k, header(said{"typ": "dpop+jwt"}), good), "for other things"},
		"type no text":         {d.Sign(k, header(said{"typ": 5}), good), ""},
		"critical":             {d.Sign(k, header(said{"crit": []string{"x"}, "x": 1}), good), ""},

		"changed":        {parts[0] + "." + changed + "." + parts[2], "not by the key"},
		"cut":            {whole[:len(whole)-10], "not by the key"},
		"two parts":      {parts[0] + "." + parts[1], "no JSON Web Token"},
		"encrypted":      {strings.Join([]string{parts[0], parts[0], parts[0], parts[0], parts[0]}, "."), "encrypted"},
		"other form":     {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "no JSON Web Token"},
		"opaque":         {"ya29.a0AfH6SMBsomething", "no JSON Web Token"},
		"empty":          {"", "is empty"},
		"dots":           {"..", "no JSON Web Token"},
		"control":        {"a\x01b", "character that no token has"},
		"blank":          {parts[0] + " ." + parts[1] + "." + parts[2], "character that no token has"},
		"beyond ASCII":   {"tökèn", "character that no token has"},
		"huge":           {strings.Repeat("a", MaxToken+1), "octets, more than"},
		"payload a list": {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + ".W10." + parts[2], "not by the key"},
	} {
		t.Run(name, func(t *testing.T) { d.refuses(t, c.token, c.why) })
	}

	var e *maildrop.TokenError
	if _, err := d.check(t, "", es(said{"scope": "pop"})); !errors.As(err, &e) || e.Status != "insufficient_scope" || e.Scope != "mail pop" {
		t.Errorf("a token without a scope: %+v", e)
	}
	if _, err := d.check(t, "", es(said{"aud": "x"})); !errors.As(err, &e) || e.Status != "invalid_token" || e.Scope != "" {
		t.Errorf("a token for another: %+v", e)
	}
	if n := d.Asked(tokenstest.KeysPath); n > 2 {
		t.Errorf("the keys were asked for %d times", n)
	}
	if n := stranger.Asked(tokenstest.KeysPath); n != 0 {
		t.Error("the address in a token was asked")
	}
}

// The largest token that is taken is one of 16 KiB.
func TestLargeTokenIsTaken(t *testing.T) {
	d := openDesk(t, nil)
	filler := MaxToken
	for filler > 0 {
		token := d.Token("ES256", said{"groups": strings.Repeat("g", filler)})
		if len(token) <= MaxToken {
			d.takes(t, token, tokenstest.Email)
			return
		}
		filler -= 64
	}
	t.Fatal("no token of that size could be made")
}

func TestOtherClaimsNameTheUser(t *testing.T) {
	for claim, c := range map[string]said{
		"sub":                {"sub": "ana@example.org", "email": nil},
		"preferred_username": {"preferred_username": "ANA@example.org", "email_verified": false},
		"upn":                {"upn": "ana@example.org"},
	} {
		t.Run(claim, func(t *testing.T) {
			d := openDesk(t, func(o *Options) { o.Claim = claim })
			d.takes(t, d.Token("RS256", c), tokenstest.Email)
		})
	}
}

// Only the algorithms that are set count.
func TestAlgorithmsAreKeptTo(t *testing.T) {
	d := openDesk(t, func(o *Options) { o.Algorithms = []string{"ES256"} })
	d.takes(t, d.Token("ES256", nil), tokenstest.Email)
	d.refuses(t, d.Token("RS256", nil), "algorithm RS256, which is not accepted")
}

// The name that the client gave must be that of the token, in whatever letter
// case.
func TestNameMustMatch(t *testing.T) {
	for name, d := range map[string]*desk{"signed": openDesk(t, nil), "asked": openDesk(t, asking(nil))} {
		token := d.Token("ES256", nil)
		if name == "asked" {
			token = d.Opaque(nil)
		}
		for range 2 { // from the provider, then perhaps from memory
			for client, right := range map[string]bool{"": true, "ana@example.org": true, "ANA@Example.Org": true, "bob@example.org": false, "ana": false} {
				user, err := d.check(t, client, token)
				if right && (err != nil || user != tokenstest.Email) || !right && !errors.Is(err, maildrop.ErrCredentials) {
					t.Errorf("%s: %q is answered with %q, %v", name, client, user, err)
				}
			}
		}
	}
}

func TestClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Minute} {
		d := openDesk(t, func(o *Options) { o.ClockSkew = skew })
		now := d.clock.now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		d.takes(t, d.Token("ES256", said{"exp": at(time.Second - skew)}), tokenstest.Email)
		d.refuses(t, d.Token("ES256", said{"exp": at(-skew)}), "has expired")
		for _, claim := range []string{"nbf", "iat"} {
			d.takes(t, d.Token("ES256", said{claim: at(skew)}), tokenstest.Email)
			d.refuses(t, d.Token("ES256", said{claim: at(skew + time.Second)}), "in the future ("+claim)
		}
		// A token grows old while it is used.
		token := d.Token("ES256", said{"exp": at(time.Hour)})
		d.clock.add(time.Hour + skew - time.Second)
		d.takes(t, token, tokenstest.Email)
		d.clock.add(time.Second)
		d.refuses(t, token, "has expired")
	}
}
