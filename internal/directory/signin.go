// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"restante.example/internal/passwords"
	"restante.example/maildrop"
)

// maxPassword is the longest password that is checked, in octets: what cannot
// have been stored costs no hash that is any longer.
const maxPassword = 1024

// lookup finds the user of a sign-in name: the name itself, or the name without
// its domain where that is local. It also returns the name by which somebody
// unknown would be known, the same for all ways to write it.
func (d *Directory) lookup(s *snapshot, name string) (*record, string) {
	clean, err := CleanName(name)
	if err != nil {
		return nil, strings.ToLower(name)
	}
	if u, ok := s.users[clean]; ok {
		return u, u.Name
	}
	local, domain, address := strings.Cut(clean, "@")
	if !address || !d.route.Load().local(s, domain) {
		return nil, clean
	}
	return s.users[local], local
}

// Account returns the one name of an account, whether it exists or not, for all
// the ways in which a client may write it: what limits guessing counts by it.
func (d *Directory) Account(name string) string {
	s := d.current.Load()
	if s == nil {
		return strings.ToLower(name)
	}
	_, account := d.lookup(s, name)
	return account
}

// principal is whom the password of a device signs in, or, for nil, the user's
// own.
func (u *record) principal(of *device) maildrop.Principal {
	p := maildrop.Principal{Name: u.Name, Maildrop: u.ID, LoginDelay: u.LoginDelay, Sessions: u.Sessions}
	if of != nil {
		p.Device, p.View = of.Name, of.View
	}
	return p
}

// opens reports whether the right password of a device, or the user's own for
// nil, opens anything.
func (u *record) opens(of *device) bool {
	if of == nil {
		return u.Enabled && !u.MainRefused && !u.barred()
	}
	return u.Enabled && of.Enabled && !u.barred()
}

// barred reports whether the source of a user lets nobody sign in.
func (u *record) barred() bool { return u.outside != nil && u.outside.noLogin }

// errChanging is what a sign-in is answered whose user keeps being changed
// while its password is checked.
var errChanging = errors.New("directory: the user is being changed; try again")

// SignIn checks a name and a password. The password of a device, and one that
// was right within the last 24 hours, costs microseconds; every other costs one
// hash, whether the user exists or not, for which it may have to wait. Besides
// what the contract says it returns passwords.ErrBusy, ErrClosed, or the
// context's error.
func (d *Directory) SignIn(ctx context.Context, a maildrop.Attempt, password string) (maildrop.Principal, error) {
	if len(password) > maxPassword {
		password = "" // which is nobody's; the work stays the same
	}
	typed := password
	password, _ = preparePassword(typed) // "" where it cannot be, and nobody's either
	d.opts.Refresh(ctx)
	for range 3 {
		s, err := d.snapshot()
		if err != nil {
			return maildrop.Principal{}, err
		}
		u, name := d.lookup(s, a.Name)
		if sources := d.sources.Load(); sources.Helper != nil && (u == nil || u.Source == SourceHelper) {
			return d.signInByHelper(ctx, sources, s, a, typed)
		}
		if len(s.users) == 0 {
			return maildrop.Principal{}, errNobody
		}
		if err := d.vouched(s, u); err != nil {
			return maildrop.Principal{}, err
		}
		if of := u.deviceOf(typed); of != nil && u.allows(a.Remote) {
			if !u.opens(of) {
				return maildrop.Principal{}, maildrop.ErrDisabled
			}
			return u.principal(of), nil
		}
		right, err := d.check(ctx, s, u, name, password, typed, u.allows(a.Remote))
		if err != nil {
			return maildrop.Principal{}, err
		}
		// The hash takes a while: what it found counts only if it is still so.
		now, err := d.snapshot()
		if err != nil {
			return maildrop.Principal{}, err
		}
		if now != s {
			is, _ := d.lookup(now, a.Name)
			if !same(u, is) {
				continue
			}
			u = is
		}
		switch {
		case !right:
			return maildrop.Principal{}, maildrop.ErrCredentials
		case !u.opens(nil):
			return maildrop.Principal{}, maildrop.ErrDisabled
		}
		return u.principal(nil), nil
	}
	return maildrop.Principal{}, errChanging
}

// same reports whether the credentials of both are the same.
func same(a, b *record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ID == b.ID && a.Generation == b.Generation
}

// check reports whether the password is the user's, who may be nil: then its
// name chooses whose hash is computed in vain. It is from where the user may not
// sign in that allowed is false: then nothing is right, and nothing answered
// from memory, or the time would tell what is.
func (d *Directory) check(ctx context.Context, s *snapshot, u *record, name, password, typed string, allowed bool) (bool, error) {
	var id maildrop.ID
	var generation int64
	of := u
	if u != nil {
		id, generation = u.ID, u.Generation
	} else {
		of = s.decoy(name)
	}
	stored := d.dummy
	if of != nil {
		stored = of.hash
	}
	digest := d.memory.digest(id, password)
	if allowed && password != "" && d.memory.has(digest, generation) {
		return true, nil
	}
	right, err := d.verify(ctx, stored, password)
	if err == nil && !right && password != "" && typed != password && of != nil && of.outside != nil {
		// Other programs hash what was typed as it is.
		right, err = d.verify(ctx, stored, typed)
	}
	if err != nil || !right || u == nil || password == "" || !allowed {
		return false, err
	}
	// The generation is that of the hash that was verified: when the password
	// has been changed meanwhile, what is remembered here never holds.
	d.memory.put(digest, generation, time.Time{})
	return true, nil
}

// decoy returns the user whose hash somebody unknown is checked against, or nil
// where there is none. Where the hashes of users cost differently, a name that
// is unknown has the cost of one of them, and always the same: the secret picks
// the user whose random id comes next.
func (s *snapshot) decoy(name string) *record { return s.decoyOf(s.stored, name) }

// decoyOf is decoy among some users, in the order of their ids.
func (s *snapshot) decoyOf(users []*record, name string) *record {
	if len(users) == 0 {
		return nil
	}
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte("decoy\x00" + name))
	pick := h.Sum(nil)[:20]
	for i := range pick {
		pick[i] = idLetters[pick[i]%32]
	}
	i, _ := slices.BinarySearchFunc(users, maildrop.ID(pick), func(u *record, id maildrop.ID) int { return cmp.Compare(u.ID, id) })
	return users[i%len(users)]
}

// hash computes what is stored of a prepared password; a command of the
// operator waits for its turn.
func (d *Directory) hash(ctx context.Context, password string) (string, error) {
	if err := d.slots.Acquire(ctx, true); err != nil {
		return "", err
	}
	defer d.slots.Release()
	return passwords.Hash(password), nil
}

// verify reports whether it is the prepared password that was stored.
func (d *Directory) verify(ctx context.Context, stored, password string) (bool, error) {
	check, err := passwords.Parse(stored)
	if err != nil {
		return false, err
	}
	if err := d.slots.Acquire(ctx, false); err != nil {
		return false, err
	}
	defer d.slots.Release()
	began := time.Now()
	right := check(password)
	if d.opts.OnHash != nil {
		d.opts.OnHash(time.Since(began))
	}
	return right, nil
}

// Slots bounds how many passwords are checked at once; it is for measuring.
func (d *Directory) Slots() *passwords.Slots { return d.slots }

// SCRAM returns a user's keys. Somebody unknown, or without keys, has a salt
// that stays the same for as long as the file lives, and looks like one of those
// who have keys: what was brought along may have another count and length.
func (d *Directory) SCRAM(ctx context.Context, a maildrop.Attempt, hash string) (maildrop.SCRAMKeys, error) {
	if err := ctx.Err(); err != nil {
		return maildrop.SCRAMKeys{}, err
	}
	d.opts.Refresh(ctx)
	s, err := d.snapshot()
	if err != nil {
		return maildrop.SCRAMKeys{}, err
	}
	u, name := d.lookup(s, a.Name)
	if err := d.vouched(s, u); err != nil {
		return maildrop.SCRAMKeys{}, err
	}
	if u == nil || u.scram[hash] == nil {
		length, iterations := saltLength, d.opts.SCRAMIterations
		if like := s.decoyOf(s.keyed[hash], name); like != nil {
			length, iterations = len(like.scram[hash].salt), like.scram[hash].iterations
		}
		return maildrop.SCRAMKeys{Salt: fakeSalt(s.secret, hash, name, length), Iterations: iterations}, nil
	}
	r := u.scram[hash]
	keys := maildrop.SCRAMKeys{Salt: r.salt, Iterations: r.iterations}
	for _, k := range r.keys {
		if !u.allows(a.Remote) {
			break // which proves nothing
		}
		keys.Keys = append(keys.Keys, maildrop.SCRAMKey{StoredKey: k.StoredKey, ServerKey: k.ServerKey,
			Principal: u.principal(k.device), Disabled: !u.opens(k.device)})
	}
	return keys, nil
}

// fakeSalt makes a salt of so many octets.
func fakeSalt(secret []byte, hash, name string, length int) []byte {
	var salt []byte
	for i := 0; len(salt) < length; i++ {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(hash + "\x00" + name))
		h.Write(make([]byte, i)) // so that no two parts are the same; a name has no NUL
		salt = h.Sum(salt)
	}
	return salt[:length]
}

// TakesUTF8 implements maildrop.UTF8Directory: names are prepared by PRECIS
// UsernameCaseMapped, passwords by OpaqueString. RFC 8265.
func (d *Directory) TakesUTF8() bool { return true }

// HasSCRAM reports whether every enabled user has keys for the hash, and there
// is one. Those whom only a helper knows have none.
func (d *Directory) HasSCRAM(hash string) bool {
	s := d.current.Load()
	return s != nil && s.scram[hash] && d.sources.Load().Helper == nil
}
