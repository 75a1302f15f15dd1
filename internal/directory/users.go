// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// ErrExists is in the error of a command that would make a name twice.
var ErrExists = errors.New("the name is taken")

// refusal is an error of a kind that says all there is to say: the text of the
// kind behind it would only say it again.
type refusal struct {
	text string
	kind error
}

func refuse(kind error, format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), kind}
}

func (r *refusal) Error() string { return r.text }

// Unwrap returns the kind.
func (r *refusal) Unwrap() error { return r.kind }

// User is a user as commands show one.
type User struct {
	ID      maildrop.ID
	Name    string
	Enabled bool
	// SCRAM are the hashes for which there are SCRAM keys of the user's own password.
	SCRAM Hashes
	// APOP is true when there is a secret for APOP.
	APOP bool
	// MainRefused is true when the user's own password opens nothing by POP3, and
	// only those of its devices do.
	MainRefused bool
	Generation  int64 // counts the changes of credentials
	Quota       maildrop.Quota
	Retention   *Retention // nil where it has no rules of its own; not to be changed
	Sessions    int        // at once, 0 leaves it to the server
	LoginDelay  time.Duration
	Created     time.Time
	// Source is who says what its password is: SourcePasswdFile, SourceHelper, or
	// "" for this directory.
	Source string
	// QuotaWarned is true since the user was told that the quota is almost used up.
	QuotaWarned bool
}

// NewUser is what Add takes.
type NewUser struct {
	Name     string
	Password sasl.Secret
	// SCRAM asks for SCRAM keys too. They are cheaper to guess at than argon2id for
	// somebody who has stolen the file.
	SCRAM Hashes
	// Quota, Sessions and LoginDelay (whole seconds) limit the user; 0 is no
	// limit of its own.
	Quota      maildrop.Quota
	Sessions   int
	LoginDelay time.Duration
}

// newID makes a maildrop id: 20 characters, about 100 random bits.
func newID() maildrop.ID { return maildrop.ID(randomName(20)) }

// idLetters are 32, so that no character is likelier.
const idLetters = "abcdefghijklmnopqrstuvwxyz012345"

func randomName(length int) string {
	raw := make([]byte, length)
	rand.Read(raw) // never fails: crypto/rand ends the process instead
	for i := range raw {
		raw[i] = idLetters[raw[i]%32]
	}
	return string(raw)
}

// Add makes a user and returns it. The error says what is wrong with the name
// or the password; it is ErrExists when a user or alias has the name.
func (d *Directory) Add(ctx context.Context, n NewUser) (User, error) {
	name, err := CleanName(n.Name)
	if err != nil {
		return User{}, err
	}
	if n.Quota.Messages < 0 || n.Quota.Octets < 0 || n.Sessions < 0 || n.LoginDelay < 0 {
		return User{}, errors.New("a limit is negative; 0 stands for none")
	}
	c, err := d.derive(ctx, "", n.Password, n.SCRAM)
	if err != nil {
		return User{}, err
	}
	id := newID()
	err = d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) error {
		if err := s.free(name); err != nil {
			return err
		}
		if was, ok := s.absent[name]; ok { // somebody else had the name
			if _, err := tx.ExecContext(ctx, "DELETE FROM users WHERE id = ?", was.ID); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO users (id, name, hash, quota_messages, quota_octets, sessions, login_delay, created)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, id, name, c.hash, n.Quota.Messages, n.Quota.Octets,
			n.Sessions, int64(n.LoginDelay/time.Second), d.opts.Now().Unix())
		if err != nil {
			return err
		}
		return storeSCRAM(ctx, tx, id, maildrop.Classic, c.keys)
	})
	if err != nil {
		return User{}, err
	}
	return d.Get(ctx, name)
}

// free reports whether nothing has the name.
func (s *snapshot) free(name string) error {
	if _, taken := s.users[name]; taken {
		return refuse(ErrExists, "there is a user %q already", name)
	}
	return s.noAlias(name)
}

// noAlias reports whether no alias has the name: its mail would go to a user of
// that name.
func (s *snapshot) noAlias(name string) error {
	if _, taken := s.aliases[name]; taken {
		return refuse(ErrExists, "there is an alias %q already; remove it first", name)
	}
	return nil
}

// find returns the user of a name as an operator writes it.
func (s *snapshot) find(name string) (*record, error) {
	clean, err := CleanName(name)
	if err != nil {
		return nil, err
	}
	if u, ok := s.users[clean]; ok {
		return u, nil
	}
	return nil, fmt.Errorf("%q: %w", clean, maildrop.ErrNoUser)
}

// Get returns a user. It fails with maildrop.ErrNoUser.
func (d *Directory) Get(_ context.Context, name string) (User, error) {
	s, err := d.snapshot()
	if err != nil {
		return User{}, err
	}
	u, err := s.find(name)
	if err != nil {
		return User{}, err
	}
	return u.User, nil
}

// List returns all users in the order of their names.
func (d *Directory) List(context.Context) ([]User, error) {
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	list := make([]User, 0, len(s.users))
	for _, u := range s.users {
		list = append(list, u.User)
	}
	slices.SortFunc(list, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// SetPassword changes a password, makes or removes the SCRAM keys that go with
// it, and removes the secret for APOP, which may be the old one. When it has
// returned, the old password opens nothing any more.
func (d *Directory) SetPassword(ctx context.Context, name string, password sasl.Secret, scram Hashes) error {
	s, err := d.snapshot()
	if err != nil {
		return err
	}
	u, err := s.find(name)
	if err != nil {
		return err
	}
	if err := u.elsewhere(); err != nil {
		return err
	}
	c, err := d.derive(ctx, u.ID, password, scram)
	if err != nil {
		return err
	}
	return d.changeUser(ctx, name, func(ctx context.Context, tx *sql.Tx, now *record) error {
		if now.ID != u.ID {
			return fmt.Errorf("%q was made anew meanwhile; try again", u.Name)
		}
		_, err := tx.ExecContext(ctx, "UPDATE users SET hash = ?, generation = generation + 1 WHERE id = ?", c.hash, u.ID)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM apop WHERE user = ?", u.ID); err != nil {
			return err
		}
		return storeSCRAM(ctx, tx, u.ID, maildrop.Classic, c.keys)
	})
}

// changeUser changes one user.
func (d *Directory) changeUser(ctx context.Context, name string, what func(context.Context, *sql.Tx, *record) error) error {
	return d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) error {
		u, err := s.find(name)
		if err != nil {
			return err
		}
		return what(ctx, tx, u)
	})
}

// SetDisabled bars a user from signing in, or lets it in again. Mail for it is
// still taken in.
func (d *Directory) SetDisabled(ctx context.Context, name string, disabled bool) error {
	return d.changeUser(ctx, name, func(ctx context.Context, tx *sql.Tx, u *record) error {
		if u.Enabled == !disabled {
			return nil
		}
		step := 0 // to enable takes nothing away from anybody
		if disabled {
			step = 1
		}
		_, err := tx.ExecContext(ctx, "UPDATE users SET enabled = ?, generation = generation + ? WHERE id = ?", !disabled, step, u.ID)
		return err
	})
}

// Remove removes a user, its credentials, and what aliases and catch-alls lead
// to it. Its mail is not touched; a user of the same name that is added later
// gets another maildrop. It returns the id of the one it was, who may also be one
// whom the passwd-file does not list any more.
func (d *Directory) Remove(ctx context.Context, name string) (maildrop.ID, error) {
	var id maildrop.ID
	err := d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) error {
		u, err := s.find(name)
		if errors.Is(err, maildrop.ErrNoUser) {
			clean, _ := CleanName(name) // find has done so
			u = s.absent[clean]
		}
		if u == nil {
			return err
		}
		id = u.ID
		if u.Source == SourcePasswdFile && !u.outside.absent && d.sources.Load().PasswdFile != "" {
			return fmt.Errorf("%q stands in the passwd-file: %w", u.Name, ErrElsewhere)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM users WHERE id = ?", u.ID); err != nil {
			return err
		}
		return removeTarget(ctx, tx, u.Name)
	})
	return id, err
}

// removeTarget removes what leads to a name that is no more.
func removeTarget(ctx context.Context, tx *sql.Tx, name string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM aliases WHERE target = ?", name); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM catch_alls WHERE target = ?", name)
	return err
}

// SetQuota changes what a user's maildrop may hold; 0 is no limit, and nil leaves
// the limit as it is.
func (d *Directory) SetQuota(ctx context.Context, name string, messages *int, octets *int64) error {
	if messages != nil && *messages < 0 || octets != nil && *octets < 0 {
		return errors.New("a quota is negative; 0 stands for none")
	}
	return d.changeUser(ctx, name, func(ctx context.Context, tx *sql.Tx, u *record) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET quota_messages = coalesce(?, quota_messages), quota_octets = coalesce(?, quota_octets) WHERE id = ?",
			messages, octets, u.ID)
		return err
	})
}

// SetQuotaWarned notes whether a user was told that the quota is almost used up.
func (d *Directory) SetQuotaWarned(ctx context.Context, name string, warned bool) error {
	return d.changeUser(ctx, name, func(ctx context.Context, tx *sql.Tx, u *record) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET quota_warned = ? WHERE id = ?", warned, u.ID)
		return err
	})
}

// SetLimits changes how many sessions a user may have at once, 0 leaving it to
// the server, and the least time between two sign-ins, in whole seconds.
func (d *Directory) SetLimits(ctx context.Context, name string, sessions int, loginDelay time.Duration) error {
	if sessions < 0 || loginDelay < 0 {
		return errors.New("a limit is negative; 0 stands for none")
	}
	return d.changeUser(ctx, name, func(ctx context.Context, tx *sql.Tx, u *record) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET sessions = ?, login_delay = ? WHERE id = ?",
			sessions, int64(loginDelay/time.Second), u.ID)
		return err
	})
}
