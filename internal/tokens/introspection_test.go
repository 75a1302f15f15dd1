// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"restante.example/internal/tokens/tokenstest"
	"restante.example/maildrop"
)

func TestTokensThatTheProviderKnows(t *testing.T) {
	d := openDesk(t, asking(func(o *Options) { o.Scopes = []string{"mail"} }))
	good := func(c said) string {
		if _, there := c["scope"]; !there {
			c["scope"] = "openid mail"
		}
		return d.Opaque(c)
	}
	now := d.clock.now()
	d.takes(t, good(said{}), tokenstest.Email)
	d.takes(t, good(said{"exp": nil, "iss": nil, "iat": nil, "email": nil}), tokenstest.Email)
	d.takes(t, good(said{"aud": []string{"x", "other"}}), tokenstest.Email)
	for why, c := range map[string]said{
		"is not valid":          {"active": false},
		"token is not valid":    {"active": "true"},
		"by the issuer":         {"iss": "https://login.example.org"},
		"issuer \"\"":           {"iss": 5},
		"for the audience":      {"aud": "another"},
		"the audience \"\"":     {"aud": nil},
		"not the scope":         {"scope": "openid"},
		"has expired":           {"exp": now.Add(-time.Hour).Unix()},
		"exp of the token":      {"exp": "soon"},
		"the future (nbf)":      {"nbf": now.Add(time.Hour).Unix()},
		"no claim \"username\"": {"username": nil},
		"another's":             {"username": "ana@elsewhere.example"},
		"bound to a key":        {"cnf": said{"x5t#S256": "x"}},
	} {
		t.Run(why, func(t *testing.T) { d.refuses(t, good(c), why) })
	}
	asked := d.Asked(tokenstest.IntrospectionPath)
	for token, why := range map[string]string{
		"": "is empty", "a b": "character", "a\x01": "character", strings.Repeat("a", MaxToken+1): "octets",
	} {
		d.refuses(t, token, why)
	}
	if d.Asked(tokenstest.IntrospectionPath) != asked {
		t.Error("the provider was asked about what cannot be a token")
	}
	d.refuses(t, strings.Repeat("a&=+%", MaxToken/5), "not valid")
}

func TestIntrospectionByAddress(t *testing.T) {
	d := openDesk(t, asking(func(o *Options) { o.Claim = "email" }))
	d.takes(t, d.Opaque(said{"username": nil}), tokenstest.Email)
	d.refuses(t, d.Opaque(said{"email_verified": nil}), "not verified")
}

// A good token is believed for as long as is set, and never beyond its end; a
// refused one is asked about again after ten seconds.
func TestWhatIsRemembered(t *testing.T) {
	d := openDesk(t, asking(nil))
	asked := func(want int, what string) {
		t.Helper()
		if n := d.Asked(tokenstest.IntrospectionPath); n != want {
			t.Fatalf("%s: the provider was asked %d times, want %d", what, n, want)
		}
	}
	long := d.Opaque(said{"exp": d.clock.now().Add(time.Hour).Unix()})
	d.takes(t, long, tokenstest.Email)
	d.clock.add(time.Minute - time.Second)
	d.takes(t, long, tokenstest.Email)
	asked(1, "within the minute")
	d.Revoke(long)
	d.takes(t, long, tokenstest.Email) // it is not known yet
	d.clock.add(time.Second)
	d.refuses(t, long, "not valid")
	asked(2, "after the minute")
	d.clock.add(refusedFor - time.Second)
	d.refuses(t, long, "not valid")
	asked(2, "refused, within ten seconds")
	d.clock.add(time.Second)
	d.refuses(t, long, "not valid")
	asked(3, "refused, after ten seconds")

	// The provider would still say that it is active.
	short := d.Opaque(said{"exp": d.clock.now().Add(20 * time.Second).Unix()})
	d.takes(t, short, tokenstest.Email)
	d.clock.add(19 * time.Second)
	d.takes(t, short, tokenstest.Email)
	asked(4, "before the end")
	d.clock.add(time.Second)
	d.takes(t, short, tokenstest.Email) // within the skew, but not from memory
	d.takes(t, short, tokenstest.Email)
	asked(6, "after the end")
	d.clock.add(time.Minute)
	d.refuses(t, short, "has expired")

	if i := d.Checker.(*introspection); strings.Contains(fmt.Sprintf("%+v %+v", i.good.entries, i.o), "opaque-") ||
		strings.Contains(fmt.Sprintf("%+v", i.o), tokenstest.Secret) {
		t.Error("a token or the secret can be printed")
	}

	each := openDesk(t, asking(func(o *Options) { o.Cache = 0 }))
	token := each.Opaque(nil)
	for range 3 {
		each.takes(t, token, tokenstest.Email)
	}
	if n := each.Asked(tokenstest.IntrospectionPath); n != 3 {
		t.Errorf("with nothing to be remembered the provider was asked %d times", n)
	}
}

// What is remembered is bounded, and a flood of wrong tokens does not drive the
// good ones out.
func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(3)
	now := time.Now()
	for i := range 5 {
		m.put(fmt.Sprint(i), verdict{user: fmt.Sprint(i), until: now.Add(time.Hour)})
	}
	for i := range 5 {
		if v, ok := m.get(fmt.Sprint(i), now); ok != (i >= 2) || ok && v.user != fmt.Sprint(i) {
			t.Errorf("%d: %+v, %v", i, v, ok)
		}
	}
	m.put("4", verdict{user: "other", until: now.Add(time.Minute)})
	if v, ok := m.get("4", now); !ok || v.user != "other" || m.order.Len() != 3 || len(m.entries) != 3 {
		t.Errorf("%+v, %v, %d, %d", v, ok, m.order.Len(), len(m.entries))
	}
	if _, ok := m.get("4", now.Add(time.Minute)); ok || m.order.Len() != 2 || len(m.entries) != 2 {
		t.Error("what is too old is kept")
	}
	d := openDesk(t, asking(nil))
	i := d.Checker.(*introspection)
	i.good.max, i.refuse.max = 5, 5
	token := d.Opaque(nil)
	d.takes(t, token, tokenstest.Email)
	for n := range 20 {
		d.refuses(t, fmt.Sprint("wrong", n), "not valid")
	}
	asked := d.Asked(tokenstest.IntrospectionPath)
	d.takes(t, token, tokenstest.Email)
	if d.Asked(tokenstest.IntrospectionPath) != asked {
		t.Error("the good token was driven out")
	}
}

// An answer that is none says nothing about a token, and is not remembered.
func TestIntrospectionInTrouble(t *testing.T) {
	status := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) }
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	elsewhere := tokenstest.New(t)
	for name, c := range map[string]struct {
		odd http.HandlerFunc
		why string
	}{
		"our secret":  {status(http.StatusUnauthorized), "status 401"},
		"error":       {status(http.StatusInternalServerError), "status 500"},
		"accepted":    {status(http.StatusAccepted), "status 202"},
		"redirection": {http.RedirectHandler(elsewhere.Issuer+"/", http.StatusTemporaryRedirect).ServeHTTP, "status 307"},
		"no JSON":     {text("active"), "no JSON object"},
		"a list":      {text("[]"), "no JSON object"},
		"nothing":     {text(""), "no JSON object"},
		"null":        {text("null"), "does not say"},
		"no active":   {text("{}"), "does not say"},
		"megabytes":   {func(w http.ResponseWriter, _ *http.Request) { endless(w, `{"active":true,"x":"`) }, "longer than"},
		"silence":     {hang, tooLong},
		"trickle":     {trickle, tooLong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDesk(t, asking(func(o *Options) {
				if c.why == tooLong {
					o.Timeout = 200 * time.Millisecond
				}
			}))
			token := d.Opaque(nil)
			d.SetOdd(c.odd)
			d.cannotTell(t, token, c.why)
			d.SetOdd(nil)
			d.takes(t, token, tokenstest.Email)
		})
	}
	t.Cleanup(func() {
		if elsewhere.Asked("/") != 0 {
			t.Error("a token went elsewhere")
		}
	})
	d := openDesk(t, asking(func(o *Options) { o.Secret = "wrong" }))
	d.cannotTell(t, d.Opaque(nil), "status 401")
}

// However many sign in, the provider has sixteen questions at once, some more
// wait, and the rest is told to come later.
func TestQuestionsAreBounded(t *testing.T) {
	d := openDesk(t, asking(nil))
	var now, most atomic.Int32
	answer := make(chan struct{})
	d.SetOdd(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-answer
		now.Add(-1)
		d.Answer(w, r)
	})
	const all = 200
	var taken, busy atomic.Int32
	var waiters sync.WaitGroup
	for range all {
		token := d.Opaque(nil)
		waiters.Go(func() {
			_, err := d.CheckToken(t.Context(), maildrop.Attempt{}, token)
			switch {
			case err == nil:
				taken.Add(1)
			case errors.Is(err, errBusy) && !errors.Is(err, maildrop.ErrCredentials):
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); busy.Load() < all-connections-waiting && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	close(answer)
	waiters.Wait()
	if taken.Load() != connections+waiting || busy.Load() != all-connections-waiting || most.Load() > connections {
		t.Errorf("%d taken, %d told to come later, %d at once", taken.Load(), busy.Load(), most.Load())
	}
	if q := d.Checker.(*introspection).queue.Load(); q != 0 {
		t.Errorf("%d wait still", q)
	}
}

// Those who wait go when their time is over, and those who have asked too.
func TestAskingEnds(t *testing.T) {
	d := openDesk(t, asking(nil))
	d.SetOdd(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var waiters sync.WaitGroup
	for range connections + 10 {
		token := d.Opaque(nil)
		waiters.Go(func() {
			if _, err := d.CheckToken(ctx, maildrop.Attempt{}, token); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	waiters.Wait()
	d.SetOdd(nil)
	d.takes(t, d.Opaque(nil), tokenstest.Email)
}
