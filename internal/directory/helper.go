// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// Helper knows whether a password is right, and cannot say who there is. Its
// methods may be called by any number of goroutines.
type Helper interface {
	// Check asks about a name that CleanName has made. It returns
	// maildrop.ErrCredentials, or any other error when it cannot tell.
	Check(ctx context.Context, a maildrop.Attempt, name string, password sasl.Secret) (Vouched, error)
	// Admit reports why nobody of that name can become a user, or nil.
	Admit(ctx context.Context, name string) error
}

// Vouched is whom a right password belongs to.
type Vouched struct {
	// Name is the name of the user, as the helper writes it, or empty for the one
	// that was asked about.
	Name string
	// Remember is for how long the password need not be asked about again.
	Remember time.Duration
}

// helperName is the name that the helper is asked about. Only a domain that the
// configuration calls local is taken off: the same name in two other domains
// may be two people.
func (d *Directory) helperName(name string) (string, error) {
	clean, err := CleanName(name)
	if err != nil {
		return "", err
	}
	if local, domain, ok := strings.Cut(clean, "@"); ok && d.route.Load().domains[domain] {
		return local, nil
	}
	return clean, nil
}

// signInByHelper is SignIn for somebody whom nobody else knows. Who is right for
// the first time becomes a user.
func (d *Directory) signInByHelper(ctx context.Context, sources *Sources, s *snapshot, a maildrop.Attempt, typed string) (maildrop.Principal, error) {
	if err := sources.pending(s); err != nil {
		return maildrop.Principal{}, err
	}
	name, err := d.helperName(a.Name)
	if err != nil || typed == "" {
		return maildrop.Principal{}, maildrop.ErrCredentials
	}
	u := s.users[name]
	if u != nil && u.Source != SourceHelper {
		u = nil
	}
	if of := u.deviceOf(typed); of != nil {
		if !u.opens(of) {
			return maildrop.Principal{}, maildrop.ErrDisabled
		}
		return u.principal(of), nil
	}
	if _, ok := preparePassword(typed); !ok { // RFC 6856 section 2.2
		return maildrop.Principal{}, maildrop.ErrCredentials
	}
	// No password here has a NUL.
	remembered := func(id maildrop.ID) digest {
		return d.memory.digest(id, strconv.Itoa(sources.helpers)+"\x00"+typed)
	}
	if u != nil && d.memory.has(remembered(u.ID), u.Generation) {
		return u.signedIn()
	}
	v, err := sources.Helper.Check(ctx, a, name, sasl.Secret(typed))
	if err != nil {
		return maildrop.Principal{}, err
	}
	is, err := d.adopt(ctx, sources.Helper, name, v.Name)
	if err != nil {
		return maildrop.Principal{}, err
	}
	// An answer is remembered for the name that it was asked about: the helper
	// alone knows which other names mean the same user. One that is older than a
	// change of the user is not.
	if v.Remember > 0 && is.Name == name && (u == nil || same(u, is)) {
		d.memory.put(remembered(is.ID), is.Generation, d.opts.Now().Add(v.Remember))
	}
	return is.signedIn()
}

// signedIn is the answer to a password of the user's own that is right.
func (u *record) signedIn() (maildrop.Principal, error) {
	if !u.opens(nil) {
		return maildrop.Principal{}, maildrop.ErrDisabled
	}
	return u.principal(nil), nil
}

// adopt returns the user whom the helper has vouched for, who becomes one where
// there is none.
func (d *Directory) adopt(ctx context.Context, helper Helper, asked, name string) (*record, error) {
	if name == "" {
		name = asked
	}
	clean, err := CleanName(name)
	if err != nil {
		return nil, fmt.Errorf("directory: the helper's name for %q: %w", asked, err)
	}
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	if u := s.users[clean]; u == nil {
		if err := helper.Admit(ctx, clean); err != nil {
			return nil, fmt.Errorf("directory: %q is right for the helper and cannot become a user: %w", clean, err)
		}
		if s, err = d.adoptNew(ctx, clean); err != nil {
			return nil, err
		}
	}
	u := s.users[clean]
	if u == nil || u.Source != SourceHelper {
		return nil, fmt.Errorf("directory: the helper lets %q in as %q, whose password another source keeps", asked, clean)
	}
	return u, nil
}

// adoptNew makes a user of the helper, or gives one that was there before under
// the name back its place.
func (d *Directory) adoptNew(ctx context.Context, name string) (*snapshot, error) {
	err := d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) error {
		if s.users[name] != nil {
			return errSame
		}
		if err := s.noAlias(name); err != nil {
			return fmt.Errorf("directory: %q is right for the helper and cannot become a user: %w", name, err)
		}
		id := newID()
		if was := s.absent[name]; was != nil {
			id = was.ID
			_, err := tx.ExecContext(ctx, "UPDATE users SET hash = '', generation = generation + 1 WHERE id = ?", id)
			if err != nil {
				return err
			}
			for _, query := range []string{"DELETE FROM scram_keys WHERE user = ? AND device = ''", "DELETE FROM apop WHERE user = ?"} {
				if _, err := tx.ExecContext(ctx, query, id); err != nil {
					return err
				}
			}
		} else if _, err := tx.ExecContext(ctx, "INSERT INTO users (id, name, hash, created) VALUES (?, ?, '', ?)",
			id, name, d.opts.Now().Unix()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO outside (user, source, digest) VALUES (?, ?, x'')", id, SourceHelper)
		return err
	})
	if err != nil && !errors.Is(err, errSame) {
		return nil, err
	}
	return d.snapshot()
}
