// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"restante.example/maildrop"
)

const (
	// waiting is how many questions wait for a connection to the provider; the
	// rest is told to come later.
	waiting = 64
	// refusedFor is how long it is remembered that a token was refused.
	refusedFor = 10 * time.Second
	// remembered is how many answers of a kind are.
	remembered = 10_000
)

// errBusy: too many sign-ins wait for the provider.
var errBusy = errors.New("too many sign-ins wait for the identity provider")

// introspection checks tokens by asking the provider about each, RFC 7662.
type introspection struct {
	o            Options
	e            Environment
	client       *http.Client
	slots        chan struct{}
	queue        atomic.Int32
	good, refuse *memory
}

func newIntrospection(o Options, e Environment, client *http.Client) *introspection {
	o.Claim = cmp.Or(o.Claim, "username")
	return &introspection{o: o, e: e, client: client, slots: make(chan struct{}, connections),
		good: newMemory(remembered), refuse: newMemory(remembered)}
}

// Close implements Checker.
func (i *introspection) Close() { i.client.CloseIdleConnections() }

// CheckToken implements maildrop.TokenChecker.
func (i *introspection) CheckToken(ctx context.Context, a maildrop.Attempt, token string) (string, error) {
	if err := i.o.form(token); err != nil {
		return "", err
	}
	user, err := i.user(ctx, token)
	if err != nil {
		return "", err
	}
	return match(&i.o, &i.e, a, user)
}

// user returns whose a token is, from memory or from the provider.
func (i *introspection) user(ctx context.Context, token string) (string, error) {
	if v, ok := i.recall(token); ok {
		return v.user, v.err
	}
	leave, err := i.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	// Somebody else may have asked the same meanwhile.
	if v, ok := i.recall(token); ok {
		return v.user, v.err
	}
	said, err := i.ask(ctx, token)
	if err != nil {
		return "", fmt.Errorf("the identity provider cannot be asked about a token: %w", err)
	}
	now := i.e.Now()
	user, end, err := i.judge(said, now)
	if err != nil {
		i.refuse.put(token, verdict{err: err, until: now.Add(refusedFor)})
		return "", err
	}
	until := now.Add(i.o.Cache)
	if !end.IsZero() && end.Before(until) {
		until = end
	}
	if until.After(now) {
		i.good.put(token, verdict{user: user, until: until})
	}
	return user, nil
}

func (i *introspection) recall(token string) (verdict, bool) {
	now := i.e.Now()
	if v, ok := i.good.get(token, now); ok {
		return v, true
	}
	return i.refuse.get(token, now)
}

// enter waits for one of the slots.
func (i *introspection) enter(ctx context.Context) (leave func(), err error) {
	select {
	case i.slots <- struct{}{}:
		return func() { <-i.slots }, nil
	default:
	}
	defer i.queue.Add(-1)
	if i.queue.Add(1) > waiting {
		return nil, errBusy
	}
	select {
	case i.slots <- struct{}{}:
		return func() { <-i.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errBusy, ctx.Err())
	}
}

// ask puts the question. RFC 7662 section 2.1. An answer that is none says
// nothing about the token.
func (i *introspection) ask(ctx context.Context, token string) (claims, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.o.Introspection, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	// RFC 6749 section 2.3.1: both are encoded as in a form.
	request.SetBasicAuth(url.QueryEscape(i.o.ClientID), url.QueryEscape(string(i.o.Secret)))
	response, err := i.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var said claims
	if json.Unmarshal(body, &said) != nil {
		return nil, errors.New("the answer is no JSON object")
	}
	if _, there := said["active"]; !there {
		return nil, errors.New("the answer does not say whether the token is active")
	}
	return said, nil
}

// judge makes a verdict of an answer. RFC 7662 section 2.2.
func (i *introspection) judge(said claims, now time.Time) (user string, end time.Time, err error) {
	if string(said["active"]) != "true" {
		return "", end, i.o.refusal("the identity provider says that the token is not valid")
	}
	return i.o.allow(said, now, false)
}
