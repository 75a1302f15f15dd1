// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// For APOP a server has to know what the user knows, so a hash will not do. The
// secrets stand in the file encrypted, AES-256 in GCM, with the user's id as what
// they belong to; the key is in a file of its own beside it. That protects
// copies of the file of users alone. Who has both files has the secrets.

// apopKeyFile is the name of the file with the key, in the folder of the file of
// users.
const apopKeyFile = "apop.key"

const apopKeySize = 32

var _ interface {
	maildrop.Identifier
	maildrop.APOPDirectory
} = (*Directory)(nil)

// loadAPOP reads the sealed secrets.
func (s *snapshot) loadAPOP(ctx context.Context, tx *sql.Tx) error {
	return rows(ctx, tx, "SELECT user, sealed FROM apop", func(scan scanner) error {
		var id maildrop.ID
		var sealed []byte
		err := scan(&id, &sealed)
		if u := s.byID[id]; u != nil && err == nil {
			u.apop, u.APOP = sealed, true
			s.apop = true
		}
		return err
	})
}

// HasAPOP implements maildrop.APOPDirectory.
func (d *Directory) HasAPOP() bool {
	s := d.current.Load()
	return s != nil && s.apop
}

// APOP implements maildrop.APOPDirectory. A secret opens what the user's own
// password opens.
func (d *Directory) APOP(ctx context.Context, a maildrop.Attempt) ([]maildrop.APOPSecret, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.opts.Refresh(ctx)
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	u, _ := d.lookup(s, a.Name)
	if err := d.vouched(s, u); err != nil {
		return nil, err
	}
	if !s.apop {
		return nil, nil // nobody has one
	}
	seal, err := d.apopSeal(true, false)
	if err != nil {
		return nil, err
	}
	if u == nil || u.apop == nil || !u.allows(a.Remote) {
		_, _ = seal.Open(nil, nil, make([]byte, 48), nil) // takes as long, and fails
		return nil, nil
	}
	secret, err := seal.Open(nil, nil, u.apop, []byte(u.ID))
	if err != nil { // there may be another key by now
		if seal, err = d.apopSeal(false, false); err != nil {
			return nil, err
		}
		secret, err = seal.Open(nil, nil, u.apop, []byte(u.ID))
	}
	if err != nil {
		return nil, fmt.Errorf("directory: the secret of %q for APOP cannot be read with the key in %s; set it anew", u.Name, d.apopKey)
	}
	return []maildrop.APOPSecret{{Secret: sasl.Secret(secret), Principal: u.principal(nil), Disabled: !u.opens(nil)}}, nil
}

// SetAPOP gives a user a secret for APOP, or takes it away where it is empty.
// The old one opens nothing any more.
func (d *Directory) SetAPOP(ctx context.Context, name string, secret sasl.Secret) error {
	var seal cipher.AEAD
	var prepared string // both sides compute with this form. RFC 6856 section 2.2
	if secret != "" {
		if err := checkPassword(string(secret)); err != nil {
			return err
		}
		prepared, _ = preparePassword(string(secret)) // checked above
		var err error
		if seal, err = d.apopSeal(false, true); err != nil {
			return err
		}
	}
	return d.changeUser(ctx, name, func(ctx context.Context, tx *sql.Tx, u *record) error {
		if u.apop != nil { // who signed in with it has to do so anew
			if _, err := tx.ExecContext(ctx, "UPDATE users SET generation = generation + 1 WHERE id = ?", u.ID); err != nil {
				return err
			}
		}
		if seal == nil {
			_, err := tx.ExecContext(ctx, "DELETE FROM apop WHERE user = ?", u.ID)
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO apop (user, sealed) VALUES (?, ?)",
			u.ID, seal.Seal(nil, nil, []byte(prepared), []byte(u.ID)))
		return err
	})
}

// apopSeal returns what seals and opens the secrets, with the key of the file, or
// the one that it had when it was read last where known will do. A key is made
// where there is none and it is wanted.
func (d *Directory) apopSeal(known, make bool) (cipher.AEAD, error) {
	d.sealing.Lock()
	defer d.sealing.Unlock()
	if known && d.seal != nil {
		return d.seal, nil
	}
	key, err := readAPOPKey(d.apopKey, d.opts.Logger)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
	case d.HasAPOP():
		err = fmt.Errorf("%s is not there, and the secrets cannot be read without it; "+
			"bring it back from a backup, or switch APOP off for each user and on again", d.apopKey)
	case make:
		key, err = makeAPOPKey(d.apopKey)
	}
	if err != nil {
		return nil, fmt.Errorf("directory: the key for the secrets of APOP: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	d.seal, err = cipher.NewGCMWithRandomNonce(block)
	return d.seal, err
}

func readAPOPKey(name string, log *slog.Logger) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	key, err := io.ReadAll(io.LimitReader(f, apopKeySize+1))
	if err != nil {
		return nil, err
	}
	if len(key) != apopKeySize {
		return nil, fmt.Errorf("%s holds no key of %d octets; bring it back from a backup, or remove it and switch APOP off and on for each user", name, apopKeySize)
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("others may read the key for the secrets of APOP; chmod 600 mends it", "file", name, "mode", info.Mode().Perm().String())
	}
	return key, nil
}

func makeAPOPKey(name string) ([]byte, error) {
	key := make([]byte, apopKeySize)
	rand.Read(key) // never fails: crypto/rand ends the process instead
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(name)
	_, err = f.Write(key)
	return key, errors.Join(err, inheritOwner(f, dir), f.Sync(), f.Close(), syncDir(dir))
}
