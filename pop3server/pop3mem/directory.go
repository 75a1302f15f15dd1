// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"strings"
	"time"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// user is somebody with one or more passwords.
type user struct {
	name      string
	maildrop  maildrop.ID
	passwords []password
	disabled  bool
	limits    Limits
}

// password opens one view.
type password struct {
	secret string
	view   maildrop.View
}

// Limits is what the directory says of a user beside the maildrop; zeros mean
// no limit.
type Limits struct {
	LoginDelay time.Duration // as in maildrop.Principal
	Sessions   int           // as in maildrop.Principal
	Quota      maildrop.Quota
}

// AddUser makes a user whose password opens the classic view of a new
// maildrop, and returns the maildrop's id. The name may be an address; letter
// case does not count. A user of that name who is there already gets one more
// password.
func (s *Store) AddUser(name, secret string) maildrop.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[fold(name)]
	if u == nil {
		u = &user{name: name, maildrop: s.newID(name)}
		s.users[fold(name)] = u
		s.addMaildrop(u.maildrop)
	}
	u.passwords = append(u.passwords, password{prepared(secret), maildrop.Classic})
	return u.maildrop
}

// AddPassword gives a user one more password, which opens the view of that
// name. The view itself is made with AddView.
func (s *Store) AddPassword(name, secret string, view maildrop.View) error {
	return s.change(name, func(u *user) { u.passwords = append(u.passwords, password{prepared(secret), view}) })
}

// Disable makes a user's right passwords answer maildrop.ErrDisabled.
func (s *Store) Disable(name string) error {
	return s.change(name, func(u *user) { u.disabled = true })
}

// SetLimits sets what the directory says of a user's limits.
func (s *Store) SetLimits(name string, limits Limits) error {
	return s.change(name, func(u *user) { u.limits = limits })
}

func (s *Store) change(name string, f func(*user)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[fold(name)]
	if u == nil {
		return maildrop.ErrNoUser
	}
	f(u)
	return nil
}

// fold brings a name into the form in which it is compared.
func fold(name string) string { return strings.ToLower(prepared(name)) }

// prepared makes the ways to type a name or password one, and leaves what
// cannot be one as it is: nobody has it. RFC 4013.
func prepared(s string) string {
	if p, err := sasl.Prep(s); err == nil {
		return p
	}
	return s
}

// TakesUTF8 implements maildrop.UTF8Directory.
func (s *Store) TakesUTF8() bool { return true }

// newID makes a readable id from a name, under the lock.
func (s *Store) newID(name string) maildrop.ID {
	base := strings.Map(func(r rune) rune {
		if maildrop.ID(r).Valid() {
			return r
		}
		return '-'
	}, fold(name))
	base = base[:min(len(base), 50)]
	if base == "" {
		base = "-"
	}
	id := maildrop.ID(base)
	for n := 2; s.drops[id] != nil; n++ {
		id = maildrop.ID(fmt.Sprintf("%s-%d", base, n))
	}
	return id
}

// maildropOf returns the maildrop of a user, or takes the name for its id.
func (s *Store) maildropOf(name string) maildrop.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[fold(name)]; u != nil {
		return u.maildrop
	}
	return maildrop.ID(name)
}

func (u *user) principal(view maildrop.View) maildrop.Principal {
	return maildrop.Principal{
		Name: u.name, Device: string(view), Maildrop: u.maildrop, View: view,
		LoginDelay: u.limits.LoginDelay, Sessions: u.limits.Sessions,
	}
}

// SignIn implements maildrop.Directory.
func (s *Store) SignIn(ctx context.Context, a maildrop.Attempt, secret string) (maildrop.Principal, error) {
	if err := s.begin(ctx, OpSignIn, ""); err != nil {
		return maildrop.Principal{}, err
	}
	secret, err := sasl.Prep(secret)
	if err != nil {
		return maildrop.Principal{}, maildrop.ErrCredentials
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[fold(a.Name)]; u != nil {
		for _, p := range u.passwords {
			if subtle.ConstantTimeCompare([]byte(p.secret), []byte(secret)) == 0 {
				continue
			}
			if u.disabled {
				return maildrop.Principal{}, maildrop.ErrDisabled
			}
			return u.principal(p.view), nil
		}
	}
	return maildrop.Principal{}, maildrop.ErrCredentials
}

// SCRAM implements maildrop.Directory.
func (s *Store) SCRAM(ctx context.Context, a maildrop.Attempt, hashName string) (maildrop.SCRAMKeys, error) {
	if err := s.begin(ctx, OpSignIn, ""); err != nil {
		return maildrop.SCRAMKeys{}, err
	}
	newHash := hashes[hashName]
	if newHash == nil || s.opt.NoSCRAM {
		return maildrop.SCRAMKeys{}, fmt.Errorf("pop3mem: no SCRAM keys for %q", hashName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The salt comes from the name alone, so that unknown names have one that
	// stays too.
	salt := sha256.Sum256([]byte("pop3mem salt " + fold(a.Name)))
	keys := maildrop.SCRAMKeys{Salt: salt[:16], Iterations: s.opt.Iterations}
	u := s.users[fold(a.Name)]
	if u == nil {
		return keys, nil
	}
	for _, p := range u.passwords {
		key, err := scramKey(newHash, p.secret, keys.Salt, keys.Iterations)
		if err != nil {
			return maildrop.SCRAMKeys{}, err
		}
		key.Principal, key.Disabled = u.principal(p.view), u.disabled
		keys.Keys = append(keys.Keys, key)
	}
	return keys, nil
}

var hashes = map[string]func() hash.Hash{"SHA-256": sha256.New, "SHA-1": sha1.New}

// scramKey derives what a server stores of a password. RFC 5802 section 3.
func scramKey(h func() hash.Hash, secret string, salt []byte, iterations int) (maildrop.SCRAMKey, error) {
	salted, err := pbkdf2.Key(h, secret, salt, iterations, h().Size())
	if err != nil {
		return maildrop.SCRAMKey{}, err
	}
	sign := func(text string) []byte {
		mac := hmac.New(h, salted)
		mac.Write([]byte(text)) // a hash never fails
		return mac.Sum(nil)
	}
	stored := h()
	stored.Write(sign("Client Key"))
	return maildrop.SCRAMKey{StoredKey: stored.Sum(nil), ServerKey: sign("Server Key")}, nil
}

// HasSCRAM implements maildrop.Directory.
func (s *Store) HasSCRAM(hashName string) bool {
	return hashes[hashName] != nil && !s.opt.NoSCRAM
}

// Recipient implements maildrop.Directory. A user has the address that is the
// user's name, and the name with any domain where it has none itself; a
// +detail before the @ does not count, nor does letter case.
func (s *Store) Recipient(ctx context.Context, address string) ([]maildrop.Recipient, error) {
	if err := s.begin(ctx, OpSignIn, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	local, domain, _ := strings.Cut(fold(address), "@")
	local, _, _ = strings.Cut(local, "+")
	for _, name := range []string{fold(address), local + "@" + domain, local} {
		if u := s.users[name]; u != nil {
			return []maildrop.Recipient{{Maildrop: u.maildrop, Address: address, Quota: u.limits.Quota}}, nil
		}
	}
	return nil, maildrop.ErrNoUser
}
