// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"context"
	"errors"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// token makes the server of OAUTHBEARER or XOAUTH2. RFC 7628.
func (x *exchange) token(c *conn, m mechanism) {
	var p maildrop.Principal
	x.result = func() (maildrop.Principal, error) { return p, nil }
	check := func(user, token string) error {
		x.named(c, user)
		err := c.ask(x.attempt, func(ctx context.Context) (err error) {
			p, err = x.bearer(ctx, c, token)
			return err
		})
		c.after(x.attempt, err) // now: a guesser need not answer the refusal
		if !wrongCredentials(err) {
			return err
		}
		x.refusal = err
		return failure(m, err)
	}
	if m == mechXOAuth2 {
		x.Server = sasl.XOAuth2Server(check)
	} else {
		x.Server = sasl.OAuthBearerServer(check)
	}
}

// bearer returns whom a token signs in: the user that it names, who must be the
// one that the client named, if any, under whatever name. RFC 7628 section 3.1.
func (x *exchange) bearer(ctx context.Context, c *conn, token string) (maildrop.Principal, error) {
	named := x.attempt
	name, err := c.opt.Tokens.CheckToken(ctx, named, token)
	if err != nil {
		return maildrop.Principal{}, err
	}
	x.attempt.Name = cmp.Or(named.Name, name)
	owner := named
	owner.Name = name
	p, err := c.identify(ctx, owner)
	if err != nil || named.Name == "" || named.Name == name {
		return p, err
	}
	wanted, err := c.identify(ctx, named)
	if err == nil && wanted.Maildrop != p.Maildrop {
		err = &maildrop.TokenError{Err: errIdentity}
	}
	return p, err
}

// failure is what the client is told of a token that is refused. RFC 7628
// section 3.2.2; at XOAUTH2 the status is that of HTTP which RFC 6750 section 3.1
// has for the word.
func failure(m mechanism, err error) *sasl.TokenFailure {
	f := &sasl.TokenFailure{Status: "invalid_token"}
	if e, ok := errors.AsType[*maildrop.TokenError](err); ok {
		f.Status, f.Scope, f.Configuration = cmp.Or(e.Status, f.Status), e.Scope, e.Config
	}
	if m != mechXOAuth2 {
		return f
	}
	f.Schemes = "Bearer"
	switch f.Status {
	case "invalid_request":
		f.Status = "400"
	case "insufficient_scope":
		f.Status = "403"
	default:
		f.Status = "401"
	}
	return f
}
