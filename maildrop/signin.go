// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildrop

import (
	"context"

	"restante.example/sasl"
)

// What follows a Directory may have besides, for ways to sign in without a
// password. A server finds it out by a type assertion; a directory that wraps
// another has to hand it on. Methods may be called by any number of goroutines.

// Identifier is a Directory that answers who a name is whose owner has proven
// that by other means: a client certificate, or a token.
type Identifier interface {
	// Identify returns whom a.Name is. It returns ErrNoUser, ErrDisabled, or any
	// other error when it cannot tell.
	Identify(ctx context.Context, a Attempt) (Principal, error)
}

// TokenChecker checks bearer tokens. It is no part of a Directory: whom a token
// names, an Identifier finds.
type TokenChecker interface {
	// CheckToken returns the name of the user whom a token signs in; a.Name is the
	// name that the client gave, or "" where it gave none. A name that is another
	// one is compared by the caller. It returns a *TokenError, or an error that is
	// ErrCredentials, when the token is wrong, and any other error when it cannot
	// tell. No error holds the token, or a part of it.
	CheckToken(ctx context.Context, a Attempt, token string) (name string, err error)
}

// TokenError is a refused token. It is ErrCredentials. RFC 7628 section 3.2.2
// has what the client is told of it; empty fields are left out.
type TokenError struct {
	// Status is a word of RFC 6750 section 3.1: "invalid_token" unless given, or
	// "invalid_request" or "insufficient_scope".
	Status string
	// Scope is what a token must be good for, blanks between the words.
	Scope string
	// Config is the address of the provider's OpenID configuration.
	Config string
	// Err is why, for the log only; it may be nil.
	Err error
}

// Error says why the token was refused.
func (e *TokenError) Error() string {
	if e.Err == nil {
		return "maildrop: the token is refused"
	}
	return "maildrop: the token is refused: " + e.Err.Error()
}

// Is makes errors.Is(err, ErrCredentials) true.
func (e *TokenError) Is(target error) bool { return target == ErrCredentials }

// Unwrap returns Err.
func (e *TokenError) Unwrap() error { return e.Err }

// APOPDirectory is a Directory with secrets for APOP, for which a server has to
// know what the user knows. RFC 1939 section 7.
type APOPDirectory interface {
	// APOP returns the secrets of a user, any of which will do. For an unknown
	// user, or one who has none, there are none, and no error; that takes as long.
	APOP(ctx context.Context, a Attempt) ([]APOPSecret, error)

	// HasAPOP reports whether any user has a secret: whether APOP is worth to be
	// announced. It answers from memory.
	HasAPOP() bool
}

// APOPSecret is a secret that a user shares with the server.
type APOPSecret struct {
	Secret sasl.Secret
	// Principal is whom it signs in.
	Principal Principal
	// Disabled is true when the secret may be right but opens nothing.
	Disabled bool
}
