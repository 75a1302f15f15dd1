// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenstest is an identity provider for tests: discovery, keys, signed
// tokens and introspection over HTTPS on a loopback port. It signs with the
// standard library alone, so that nothing of what is tested is in it.
package tokenstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// What the provider's tokens say unless a test says otherwise, and who may ask.
const (
	Audience = "restante"
	Email    = "ana@example.org"
	ClientID = "the office"
	Secret   = "s:3cret/+ %"
)

// Paths of the provider.
const (
	DiscoveryPath     = "/.well-known/openid-configuration"
	KeysPath          = "/keys"
	IntrospectionPath = "/introspect"
)

// Claims are what a token says. A value of nil leaves out what it would say by
// itself.
type Claims map[string]any

// Provider is an identity provider. Its methods may be called by any number of
// goroutines.
type Provider struct {
	// Issuer is its name and address, CA its certificate, PEM.
	Issuer, CA string

	server *httptest.Server
	mu     sync.Mutex
	now    func() time.Time
	keys   []Key
	made   int
	asked  map[string]int
	odd    http.HandlerFunc
	opaque map[string]Claims
}

// Key is a key to sign with, by its algorithm.
type Key struct {
	ID, Algorithm string
	// Use is "sig", or "enc" for a key that is meant to encrypt with.
	Use    string
	signer crypto.Signer
}

// New starts a provider with a key for each of RS256, PS256, ES256 and EdDSA.
// The test ends it.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{now: time.Now, asked: make(map[string]int), opaque: make(map[string]Claims)}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.StartTLS()
	t.Cleanup(p.Stop)
	p.Issuer = p.server.URL
	p.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw}))
	p.Rotate()
	return p
}

// SetClock gives the provider another clock.
func (p *Provider) SetClock(now func() time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

// SetOdd has every request be answered by f instead; nil ends that.
func (p *Provider) SetOdd(f http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.odd = f
}

// Asked returns how often a path was asked for.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Rotate gives the provider new keys in place of the old ones.
func (p *Provider) Rotate() {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(0, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = nil
	for _, k := range []Key{
		{Algorithm: "RS256", signer: rsaKey()}, {Algorithm: "PS256", signer: rsaKey()},
		{Algorithm: "ES256", signer: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))},
		{Algorithm: "EdDSA", signer: ed},
	} {
		p.made++
		k.ID, k.Use = fmt.Sprintf("key-%d", p.made), "sig"
		p.keys = append(p.keys, k)
	}
}

// Encrypting lets the present key for an algorithm be for something else than
// signatures, and returns it.
func (p *Provider) Encrypting(algorithm string) Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.keys {
		if p.keys[i].Algorithm == algorithm {
			p.keys[i].Use = "enc"
			return p.keys[i]
		}
	}
	panic("there is no key for " + algorithm)
}

// Rename gives the present key for an algorithm another name, and returns it.
func (p *Provider) Rename(algorithm, id string) Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.keys {
		if p.keys[i].Algorithm == algorithm {
			p.keys[i].ID = id
			return p.keys[i]
		}
	}
	panic("there is no key for " + algorithm)
}

// Stop ends the provider before its time.
func (p *Provider) Stop() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// Key returns the present key for an algorithm.
func (p *Provider) Key(algorithm string) Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if k.Algorithm == algorithm {
			return k
		}
	}
	panic("there is no key for " + algorithm)
}

// Public is the public half of a key, as a JWK.
func (k Key) Public() Claims { return k.jwk() }

// RSAPublic returns the public RSA key, as somebody may misuse it.
func (p *Provider) RSAPublic() *rsa.PublicKey { return &rsaKey().PublicKey }

// said fills in what a token says by itself.
func (p *Provider) said(c Claims) Claims {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	all := Claims{"iss": p.Issuer, "aud": Audience, "sub": "0815", "email": Email, "email_verified": true,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, c)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// Token returns a token signed with the present key for an algorithm.
func (p *Provider) Token(algorithm string, c Claims) string {
	k := p.Key(algorithm)
	return p.Sign(k, Claims{"alg": algorithm, "typ": "JWT", "kid": k.ID}, c)
}

// Sign returns a token with a header and a key of the test's choice.
func (p *Provider) Sign(k Key, header, c Claims) string {
	input := encode(header) + "." + encode(p.said(c))
	return input + "." + base64.RawURLEncoding.EncodeToString(k.sign([]byte(input)))
}

// HMAC returns a token that is signed with a shared secret.
func (p *Provider) HMAC(secret []byte, header, c Claims) string {
	input := encode(header) + "." + encode(p.said(c))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Unsigned returns a token with no signature.
func (p *Provider) Unsigned(header, c Claims) string {
	return encode(header) + "." + encode(p.said(c)) + "."
}

func encode(c Claims) string {
	return base64.RawURLEncoding.EncodeToString(must(json.Marshal(c)))
}

// sign makes a signature. RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1.
func (k Key) sign(input []byte) []byte {
	sum := sha256.Sum256(input)
	switch key := k.signer.(type) {
	case *rsa.PrivateKey:
		if k.Algorithm == "PS256" {
			return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}
		return must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		must(0, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return must(k.signer.Sign(rand.Reader, input, crypto.Hash(0)))
}

// jwk is the public half of a key. RFC 7517, RFC 7518 section 6, RFC 8037.
func (k Key) jwk() Claims {
	text := base64.RawURLEncoding.EncodeToString
	j := Claims{"alg": k.Algorithm, "use": k.Use}
	if k.ID != "" {
		j["kid"] = k.ID
	}
	switch key := k.signer.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", text(key.N.Bytes()), text([]byte{byte(key.E >> 16), byte(key.E >> 8), byte(key.E)})
	case *ecdsa.PublicKey:
		point := must(key.Bytes()) // 4, then both coordinates
		j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", text(point[1:33]), text(point[33:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", text(key)
	}
	return j
}

// Opaque makes a token that only the provider understands, whose introspection
// says what is given besides that it is active.
func (p *Provider) Opaque(c Claims) string {
	token := "opaque-" + rand.Text()
	all := p.said(c)
	all["active"] = true
	if _, given := c["username"]; !given {
		all["username"] = Email
	}
	maps.Copy(all, c)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opaque[token] = all
	return token
}

// Revoke lets an opaque token be active no more.
func (p *Provider) Revoke(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.opaque, token)
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.URL.Path]++
	odd := p.odd
	p.mu.Unlock()
	if odd != nil {
		// The end of a connection is noticed once its request has been read.
		_ = r.ParseForm()
		odd(w, r)
		return
	}
	p.Answer(w, r)
}

// Answer answers as it should be.
func (p *Provider) Answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case DiscoveryPath:
		reply(w, Claims{"issuer": p.Issuer, "jwks_uri": p.Issuer + KeysPath, "introspection_endpoint": p.Issuer + IntrospectionPath,
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	case KeysPath:
		// Other keys are no hindrance: one of a kind that nobody knows, one with a
		// shared secret.
		list := []Claims{{"kty": "LATTICE", "kid": "new"}, {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}}
		p.mu.Lock()
		for _, k := range p.keys {
			list = append(list, k.jwk())
		}
		p.mu.Unlock()
		reply(w, Claims{"keys": list})
	case IntrospectionPath:
		p.introspect(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	id, err1 := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(password)
	if r.Method != http.MethodPost || err1 != nil || err2 != nil || id != ClientID || secret != Secret {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	said, ok := p.opaque[r.PostFormValue("token")]
	p.mu.Unlock()
	if !ok {
		said = Claims{"active": false}
	}
	reply(w, said)
}

func reply(w http.ResponseWriter, c Claims) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c) // the other side may be gone
}
