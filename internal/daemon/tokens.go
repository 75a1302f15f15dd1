// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"restante.example/internal/config"
	"restante.example/internal/directory"
	"restante.example/internal/tokens"
	"restante.example/maildrop"
)

// tokenChecker is what checks tokens, and what it was made with.
type tokenChecker struct {
	tokens.Checker
	made tokens.Options
}

// TokenOptions returns how tokens are checked under a configuration in which
// they are on. It reads the files that are named, as who the server runs as.
func TokenOptions(c *config.Config) (tokens.Options, error) {
	t := &c.Tokens
	o := tokens.Options{
		Issuer: t.Issuer, Introspection: t.Introspection, ClientID: t.ClientID,
		Audience: t.Audience, Scopes: t.Scopes, Claim: t.UserClaim, Algorithms: t.Algorithms,
		ClockSkew: time.Duration(t.ClockSkew), Cache: time.Duration(t.Cache), Timeout: time.Duration(t.Timeout),
	}
	if t.ClientSecretFile != "" {
		secret, err := tokens.ReadSecret(t.ClientSecretFile)
		if err != nil {
			return o, fmt.Errorf("tokens: client_secret_file: %w", err)
		}
		o.Secret = secret
	}
	if t.CAFile != "" {
		roots, err := readRoots(t.CAFile)
		if err != nil {
			return o, fmt.Errorf("tokens: ca_file: %w", err)
		}
		o.Roots = roots
	}
	return o, o.Check()
}

// readRoots reads a file of certificates, which are no more than a megabyte.
func readRoots(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(text), err
}

// newTokens makes the checker of a configuration, nil where tokens are off. The
// old one stays, with what it knows of its provider, where nothing has changed.
func (s *Server) newTokens(c *config.Config) (*tokenChecker, error) {
	if !c.Tokens.On() {
		return nil, nil
	}
	o, err := TokenOptions(c)
	if err != nil {
		return nil, err
	}
	if old := s.tokens.Load(); old != nil && reflect.DeepEqual(old.made, o) {
		return old, nil
	}
	checker, err := tokens.New(o, tokens.Environment{Account: s.office.directory.Account, User: s.tokenUser, Logger: s.log.Logger})
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return &tokenChecker{checker, o}, nil
}

// useTokens puts a checker in force, and ends the old one.
func (s *Server) useTokens(t *tokenChecker) {
	if old := s.tokens.Swap(t); old != nil && old != t {
		old.Close()
	}
}

// tokenChecker returns what checks tokens now, nil for nothing.
func (s *Server) tokenChecker() maildrop.TokenChecker {
	if t := s.tokens.Load(); t != nil {
		return t
	}
	return nil
}

// errForeign: with no local_domains every domain leads to the names without
// one. The provider may have accounts of every domain, so that a token of
// ana@elsewhere.example would open the mail of ana.
var errForeign = errors.New("its domain is not named in local_domains, so it is not taken for the user of that name")

// errPrepared: preparation makes one name of several, such as "ana" of one in
// full-width letters (RFC 8265 section 3.3). Whoever knows the password may write a
// name like that; a provider may have given it to somebody else.
var errPrepared = errors.New("it becomes the name of that user only by preparation, so it is not taken for it; write it as restanted user list does")

// asWritten reports whether a name is the clean one but for letter case. A domain
// is the same in all its forms.
func asWritten(name, clean string) bool {
	name, _, _ = strings.Cut(name, "@")
	clean, _, _ = strings.Cut(clean, "@")
	is, want := []rune(name), []rune(clean)
	return slices.EqualFunc(is, want, func(a, b rune) bool {
		return a == b || unicode.ToLower(a) == b && (a < utf8.RuneSelf) == (b < utf8.RuneSelf)
	})
}

// tokenUser returns the account of the user in a token, or in a certificate.
func (s *Server) tokenUser(name string) (string, error) {
	clean, err := directory.CleanName(name)
	if err != nil {
		return "", err
	}
	if !asWritten(name, clean) {
		return "", errPrepared
	}
	account := s.office.directory.Account(clean)
	if account != clean && len(s.config.Load().Delivery.LocalDomains) == 0 {
		return "", errForeign
	}
	return account, nil
}
