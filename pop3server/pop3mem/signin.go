// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem

import (
	"context"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// Identify implements maildrop.Identifier: it opens the classic view.
func (s *Store) Identify(ctx context.Context, a maildrop.Attempt) (maildrop.Principal, error) {
	if err := s.begin(ctx, OpSignIn, ""); err != nil {
		return maildrop.Principal{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch u := s.users[fold(a.Name)]; {
	case u == nil:
		return maildrop.Principal{}, maildrop.ErrNoUser
	case u.disabled:
		return maildrop.Principal{}, maildrop.ErrDisabled
	default:
		return u.principal(maildrop.Classic), nil
	}
}

// APOP implements maildrop.APOPDirectory: every password is a secret too.
func (s *Store) APOP(ctx context.Context, a maildrop.Attempt) ([]maildrop.APOPSecret, error) {
	if err := s.begin(ctx, OpSignIn, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[fold(a.Name)]
	if u == nil {
		return nil, nil
	}
	var list []maildrop.APOPSecret
	for _, p := range u.passwords {
		list = append(list, maildrop.APOPSecret{Secret: sasl.Secret(p.secret), Principal: u.principal(p.view), Disabled: u.disabled})
	}
	return list, nil
}

// HasAPOP implements maildrop.APOPDirectory.
func (s *Store) HasAPOP() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.users) > 0
}
