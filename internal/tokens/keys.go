// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// How long keys are believed, and how often the provider is asked for them.
const (
	// fresh is the age at which keys are fetched again before they are used.
	fresh = 15 * time.Minute
	// stale is the age at which they are used no more though the provider cannot
	// be reached.
	stale = 24 * time.Hour
	// renew is the least time between two fetches because of a token whose key is
	// not known.
	renew = 10 * time.Second
	// Failed fetches are repeated after firstRetry, doubling up to lastRetry.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// maxKeys is how many keys of a provider are read.
	maxKeys = 100
	// leastRSA is the shortest RSA key, in bits. RFC 7518 section 3.3.
	leastRSA = 2048
)

// discoveryURL is where a provider describes itself. OpenID Connect Discovery
// 1.0 section 4.
func discoveryURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// keyring holds the keys of a provider. They are fetched when the first token
// comes, again from time to time, and again for a token whose key is not among
// them, by one goroutine at a time. Who waits for one is not bound to it.
type keyring struct {
	issuer string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger
	ctx    context.Context // ends fetches

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	fetched  time.Time     // when the keys came
	edition  int           // how many times keys have come
	running  chan struct{} // closed at the end of the fetch that goes on; nil where none does
	tried    time.Time     // when the last fetch began
	failures int           // how many failed in a row
	err      error         // why the last one did
}

// signer names a key as a token does. RFC 7515 section 4.1.
type signer struct {
	id, algorithm string
}

// errUnreachable is why a token could not be checked.
type errUnreachable struct{ error }

func (e errUnreachable) Unwrap() error { return e.error }

func (e errUnreachable) Error() string {
	return "the keys of the identity provider cannot be had: " + e.error.Error()
}

// find returns the keys that a token may be signed with, which came after the
// edition that is given, and their edition; none where the provider has none.
// The error says that it cannot be told.
func (k *keyring) find(ctx context.Context, s signer, after int) ([]crypto.PublicKey, int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for waited := false; ; waited = true {
		now := k.now()
		age := now.Sub(k.fetched)
		asks := !waited && (k.running != nil || k.mayFetch(now))
		if k.edition > after && (age < fresh || age < stale && !asks) {
			if found := s.among(k.keys); len(found) > 0 {
				return found, k.edition, nil
			}
		}
		switch {
		case !asks && k.err != nil:
			return nil, 0, errUnreachable{k.err}
		case !asks:
			return nil, k.edition, nil
		case k.running == nil:
			k.fetch(now)
		}
		running := k.running
		k.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
		}
		k.mu.Lock()
		if err := ctx.Err(); err != nil {
			return nil, 0, errUnreachable{err}
		}
	}
}

// mayFetch reports whether the provider may be asked again.
func (k *keyring) mayFetch(now time.Time) bool {
	pause := renew
	if k.failures > 0 {
		pause = min(firstRetry<<min(k.failures-1, 10), lastRetry)
	}
	return k.tried.IsZero() || now.Sub(k.tried) >= pause
}

// fetch begins to get the keys. The lock is held.
func (k *keyring) fetch(now time.Time) {
	running := make(chan struct{})
	k.running, k.tried = running, now
	go func() {
		keys, err := k.get()
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.running, k.err = nil, err; err != nil {
			k.failures++
			k.log.Warn("the keys of the identity provider cannot be had; it is tried again", "issuer", k.issuer, "failures", k.failures, "error", err)
		} else {
			if k.failures > 0 || k.edition == 0 {
				k.log.Info("the identity provider has given its keys", "issuer", k.issuer, "keys", len(keys))
			}
			k.keys, k.fetched, k.failures = keys, k.now(), 0
			k.edition++
		}
		close(running)
	}()
}

// get asks the provider where its keys are, and for them.
func (k *keyring) get() ([]jose.JSONWebKey, error) {
	ctx := oidc.ClientContext(k.ctx, k.client)
	provider, err := oidc.NewProvider(ctx, k.issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	var where struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&where); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if err := CheckURL(where.Keys); err != nil {
		return nil, fmt.Errorf("discovery: jwks_uri: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.Keys, nil)
	if err != nil {
		return nil, err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("%s: %w", where.Keys, err)
	}
	return usable(set.Keys)
}

// usable returns the keys for signatures in a set. What is of another kind, or
// is not understood, is left out: RFC 7517 section 5.
func usable(set []json.RawMessage) ([]jose.JSONWebKey, error) {
	if len(set) > maxKeys {
		return nil, fmt.Errorf("the provider has %d keys, more than %d", len(set), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		if public, ok := key.Key.(*rsa.PublicKey); ok && public.N.BitLen() < leastRSA {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("the provider has no key that signatures could be checked with")
	}
	return keys, nil
}

// among returns the keys that may have made a signature. A token that names
// none (RFC 7515 section 4.1.4) may be by any of its kind.
func (s signer) among(keys []jose.JSONWebKey) []crypto.PublicKey {
	var found []crypto.PublicKey
	for _, key := range keys {
		if (s.id == "" || s.id == key.KeyID) && (key.Algorithm == "" || key.Algorithm == s.algorithm) && s.fits(key.Key) {
			found = append(found, key.Key)
		}
	}
	return found
}

// fits reports whether a key is of the kind of the algorithm: a key is never
// used in another way than it was made for. RFC 8725 section 3.1.
func (s signer) fits(key any) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(s.algorithm, "RS") || strings.HasPrefix(s.algorithm, "PS")
	case *ecdsa.PublicKey:
		curve, ok := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[s.algorithm]
		return ok && key.Curve == curve
	case ed25519.PublicKey:
		return s.algorithm == "EdDSA"
	}
	return false
}
