// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"restante.example/internal/tokens/tokenstest"
	"restante.example/maildrop"
)

// Nobody is asked before there is a token that could be the provider's.
func TestNobodyIsAskedWithoutNeed(t *testing.T) {
	d := openDesk(t, nil)
	d.refuses(t, "garbage", "no JSON Web Token")
	d.refuses(t, d.HMAC([]byte("x"), said{"alg": "HS256"}, nil), "HS256")
	if d.Asked(tokenstest.DiscoveryPath) != 0 {
		t.Error("the provider was asked")
	}
	d.takes(t, d.Token("ES256", nil), tokenstest.Email)
	if d.Asked(tokenstest.DiscoveryPath) != 1 || d.Asked(tokenstest.KeysPath) != 1 {
		t.Error("the provider was not asked once")
	}
}

// A new key is found with the first token that is signed with it; the old one
// is good no more.
func TestKeysChange(t *testing.T) {
	d := openDesk(t, nil)
	old := d.Token("ES256", nil)
	d.takes(t, old, tokenstest.Email)
	d.Rotate()
	d.clock.add(renew)
	d.takes(t, old, tokenstest.Email) // nothing has said otherwise yet
	d.takes(t, d.Token("ES256", nil), tokenstest.Email)
	d.refuses(t, old, "no such key")

	// A key that was withdrawn is found out without another token.
	old = d.Token("ES256", nil)
	d.takes(t, old, tokenstest.Email)
	d.Rotate()
	d.clock.add(fresh - time.Second)
	d.takes(t, old, tokenstest.Email)
	d.clock.add(time.Second)
	d.refuses(t, old, "no such key")

	// A provider that gives another key the same name, or keys no names.
	same := d.Key("ES256")
	for _, id := range []string{same.ID, ""} {
		d.Rotate()
		d.clock.add(renew)
		k := d.Rename("ES256", id)
		header := said{"alg": "ES256"}
		if id != "" {
			header["kid"] = id
		}
		d.takes(t, d.Sign(k, header, nil), tokenstest.Email)
		d.refuses(t, d.Sign(same, header, nil), "not by the key")
	}
}

// However many tokens name keys that nobody knows, the provider is asked every
// ten seconds at most, and those with good tokens notice nothing.
func TestFloodOfUnknownKeys(t *testing.T) {
	d := openDesk(t, nil)
	good, k := d.Token("ES256", nil), d.Key("ES256")
	d.takes(t, good, tokenstest.Email)
	var all sync.WaitGroup
	for second := range 60 {
		for i := range 5 {
			all.Go(func() {
				d.refuses(t, d.Sign(k, said{"alg": "ES256", "kid": fmt.Sprint("k", second, "-", i)}, nil), "no such key")
				d.takes(t, good, tokenstest.Email)
			})
		}
		all.Wait()
		d.clock.add(time.Second)
	}
	if n := d.Asked(tokenstest.KeysPath); n < 5 || n > 7 {
		t.Errorf("in a minute the provider was asked %d times", n)
	}
}

// While a provider is out of reach its keys are used for a day, and looked for
// all the time; then nothing can be told.
func TestKeysGrowOld(t *testing.T) {
	d := openDesk(t, nil)
	token := d.Token("ES256", said{"exp": d.clock.now().Add(100 * time.Hour).Unix()})
	d.takes(t, token, tokenstest.Email)
	d.clock.add(fresh)
	d.takes(t, token, tokenstest.Email)
	if n := d.Asked(tokenstest.KeysPath); n != 2 {
		t.Errorf("after %v the keys were asked for %d times", fresh, n)
	}
	d.SetOdd(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for begin := d.clock.now(); d.clock.now().Sub(begin) < stale; d.clock.add(stale / 8) {
		d.takes(t, token, tokenstest.Email)
	}
	d.cannotTell(t, token, "status 502")
	d.SetOdd(nil)
	d.cannotTell(t, token, "status 502") // not before the pause is over
	d.clock.add(lastRetry)
	d.takes(t, token, tokenstest.Email)
}

// A provider that does not answer as it should is asked again more and more
// seldom, and nobody is told that a token is wrong.
func TestProviderInTrouble(t *testing.T) {
	plain := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	for name, c := range map[string]struct {
		path string // where the trouble is; all else is as it should be
		odd  func(d *desk) http.HandlerFunc
		why  string
	}{
		"no discovery": {tokenstest.DiscoveryPath, func(*desk) http.HandlerFunc { return http.NotFound }, "status 404"},
		"no keys":      {tokenstest.KeysPath, func(*desk) http.HandlerFunc { return http.NotFound }, "status 404"},
		"no JSON":      {tokenstest.DiscoveryPath, func(*desk) http.HandlerFunc { return plain("<html>") }, "discovery"},
		"no JSON keys": {tokenstest.KeysPath, func(*desk) http.HandlerFunc { return plain("<html>") }, "invalid character"},
		"cut":          {tokenstest.KeysPath, func(*desk) http.HandlerFunc { return plain(`{"keys":[`) }, "unexpected EOF"},
		"empty set":    {tokenstest.KeysPath, func(*desk) http.HandlerFunc { return plain(`{"keys":[{"kty":"oct","k":"AAAA"}]}`) }, "no key"},
		"weak keys": {tokenstest.KeysPath, func(*desk) http.HandlerFunc {
			return plain(`{"keys":[{"kty":"RSA","n":"` + strings.Repeat("q", 171) + `","e":"AQAB"}]}`)
		}, "no key"},
		"too many": {tokenstest.KeysPath, func(*desk) http.HandlerFunc { return plain(`{"keys":[` + strings.Repeat("0,", 200) + `0]}`) }, "201 keys"},
		"another issuer": {tokenstest.DiscoveryPath, func(*desk) http.HandlerFunc {
			return plain(`{"issuer":"https://login.example.org","jwks_uri":"https://x/"}`)
		}, "issuer"},
		"keys by http": {tokenstest.DiscoveryPath, func(d *desk) http.HandlerFunc {
			return plain(`{"issuer":"` + d.Issuer + `","jwks_uri":"http://keys.example.org/"}`)
		}, "must begin with https"},
		"keys elsewhere": {tokenstest.DiscoveryPath, func(d *desk) http.HandlerFunc {
			return plain(`{"issuer":"` + d.Issuer + `","jwks_uri":"file:///etc/passwd"}`)
		}, "no address"},
		"redirection": {tokenstest.KeysPath, func(d *desk) http.HandlerFunc {
			return http.RedirectHandler(d.Issuer+"/more", http.StatusFound).ServeHTTP
		}, "status 302"},
		"megabytes": {tokenstest.KeysPath, func(*desk) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { endless(w, "{\"keys\":[],\"x\":\"") }
		}, "longer than"},
		"megabytes of discovery": {tokenstest.DiscoveryPath, func(*desk) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { endless(w, "") }
		}, "longer than"},
		"silence": {tokenstest.KeysPath, func(*desk) http.HandlerFunc { return hang }, tooLong},
		"trickle": {tokenstest.KeysPath, func(*desk) http.HandlerFunc { return trickle }, tooLong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDesk(t, func(o *Options) {
				if c.why == tooLong {
					o.Timeout = 200 * time.Millisecond
				}
			})
			odd := c.odd(d)
			d.SetOdd(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == c.path {
					odd(w, r)
					return
				}
				d.Answer(w, r)
			})
			token := d.Token("ES256", nil)
			d.cannotTell(t, token, c.why)
			for range 20 {
				d.cannotTell(t, token, c.why)
			}
			if n := d.Asked(c.path); n != 1 {
				t.Errorf("at the same moment the provider was asked %d times", n)
			}
			d.clock.add(firstRetry)
			d.cannotTell(t, token, c.why)
			d.clock.add(firstRetry)
			d.cannotTell(t, token, c.why) // two seconds now
			if n := d.Asked(c.path); n != 2 {
				t.Errorf("after two seconds it was asked %d times", n)
			}
			d.SetOdd(nil)
			d.clock.add(firstRetry)
			d.takes(t, token, tokenstest.Email)
		})
	}
}

// endless writes until the other side has enough.
func endless(w io.Writer, begin string) {
	block := strings.Repeat("x", 64<<10)
	if _, err := io.WriteString(w, begin); err != nil {
		return
	}
	for range 1000 {
		if _, err := io.WriteString(w, block); err != nil {
			return
		}
	}
}

// hang says nothing for as long as the other side is there.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// trickle writes a blank at a time.
func trickle(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		fmt.Fprint(w, " ")
		_ = http.NewResponseController(w).Flush() // it is noticed in the next round
		time.Sleep(20 * time.Millisecond)
	}
}

// Nobody is there at all.
func TestProviderIsDown(t *testing.T) {
	for name, change := range map[string]func(*Options){"signed": nil, "asked": asking(nil)} {
		d := openDesk(t, change)
		token := d.Token("ES256", nil)
		d.Stop()
		d.cannotTell(t, token, "refused")
		if name == "signed" && !strings.Contains(d.log.String(), "cannot be had") {
			t.Errorf("the log says nothing: %s", &d.log)
		}
	}
}

// Who waits for a provider that hangs goes when its time is over; the question
// goes on for the others, and ends with the checker.
func TestWaitingEnds(t *testing.T) {
	d := openDesk(t, nil)
	asked := make(chan struct{}, 10)
	d.SetOdd(func(w http.ResponseWriter, r *http.Request) { asked <- struct{}{}; hang(w, r) })
	token := d.Token("ES256", nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := d.CheckToken(ctx, maildrop.Attempt{}, token)
		ended <- err
	}()
	<-asked
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that went: %v", err)
	}
	go func() {
		_, err := d.CheckToken(t.Context(), maildrop.Attempt{}, token)
		ended <- err
	}()
	d.Close()
	if err := <-ended; err == nil || errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the one that stayed: %v", err)
	}
	d.idle(t)
	if len(asked) != 0 {
		t.Error("the provider was asked again")
	}
}
