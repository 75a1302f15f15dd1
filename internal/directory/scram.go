// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// Hashes are the hash functions for which there are SCRAM keys of a password.
type Hashes struct{ SHA256, SHA1 bool }

// saltLength is how many octets the salts have that are made here.
const saltLength = 16

// The hashes as sasl and the file call them.
const (
	sha256Hash = "SHA-256"
	sha1Hash   = "SHA-1"
)

func (h Hashes) names() []string {
	var list []string
	if h.SHA256 {
		list = append(list, sha256Hash)
	}
	if h.SHA1 {
		list = append(list, sha1Hash)
	}
	return list
}

// note adds a hash by its name.
func (h *Hashes) note(name string) {
	h.SHA256 = h.SHA256 || name == sha256Hash
	h.SHA1 = h.SHA1 || name == sha1Hash
}

// credentials are the secrets of one password, ready to be stored.
type credentials struct {
	hash string
	keys []storedKey
}

// storedKey is a SCRAM key and what it was derived with.
type storedKey struct {
	hash       string
	salt       []byte
	iterations int
	key        sasl.SCRAMKey
}

// derive computes what is stored of a user's own password; the id is empty for a
// user who is being added.
func (d *Directory) derive(ctx context.Context, id maildrop.ID, password sasl.Secret, scram Hashes) (credentials, error) {
	if err := checkPassword(string(password)); err != nil {
		return credentials{}, err
	}
	prepared, _ := preparePassword(string(password)) // checked above
	hash, err := d.hash(ctx, prepared)
	if err != nil {
		return credentials{}, err
	}
	keys, err := d.deriveSCRAM(ctx, id, password, scram)
	return credentials{hash, keys}, err
}

// deriveSCRAM computes the SCRAM keys of a password, with the salt of the user's
// other keys for the hash, or with a new one.
func (d *Directory) deriveSCRAM(ctx context.Context, id maildrop.ID, password sasl.Secret, scram Hashes) ([]storedKey, error) {
	var list []storedKey
	for _, hash := range scram.names() {
		k := storedKey{hash: hash}
		var err error
		if k.salt, k.iterations, err = d.saltOf(ctx, id, hash); err != nil {
			return nil, err
		}
		if len(k.salt) == 0 {
			k.salt, k.iterations = make([]byte, saltLength), d.opts.SCRAMIterations
			rand.Read(k.salt) // never fails: crypto/rand ends the process instead
		}
		if k.key, err = d.scramKey(ctx, password, k); err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

func (d *Directory) scramKey(ctx context.Context, password sasl.Secret, k storedKey) (sasl.SCRAMKey, error) {
	if err := d.slots.Acquire(ctx, true); err != nil {
		return sasl.SCRAMKey{}, err
	}
	defer d.slots.Release()
	key, err := sasl.DeriveSCRAM(k.hash, string(password), k.salt, k.iterations)
	if err != nil {
		err = fmt.Errorf("this password cannot be used with SCRAM: %w", err)
	}
	return key, err
}

// saltOf returns the permanent salt of a user for a hash, or nothing where it has
// none. It asks the file, which keeps salts of users whose keys were removed.
func (d *Directory) saltOf(ctx context.Context, id maildrop.ID, hash string) (salt []byte, iterations int, err error) {
	if id == "" {
		return nil, 0, nil
	}
	err = d.db.QueryRowContext(ctx, "SELECT salt, iterations FROM scram_salts WHERE user = ? AND hash = ?", id, hash).
		Scan(&salt, &iterations)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, nil
	}
	if err != nil {
		err = fmt.Errorf("directory: %w", err)
	}
	return salt, iterations, err
}

// storeSCRAM replaces the keys of the password that opens a view. An old key
// would let the old password in.
func storeSCRAM(ctx context.Context, tx *sql.Tx, id maildrop.ID, view maildrop.View, keys []storedKey) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM scram_keys WHERE user = ? AND device = ?", id, view)
	if err != nil {
		return err
	}
	for _, k := range keys {
		_, err = tx.ExecContext(ctx, "INSERT OR IGNORE INTO scram_salts (user, hash, salt, iterations) VALUES (?, ?, ?, ?)",
			id, k.hash, k.salt, k.iterations)
		if err != nil {
			return err
		}
		var salt []byte
		err = tx.QueryRowContext(ctx, "SELECT salt FROM scram_salts WHERE user = ? AND hash = ?", id, k.hash).Scan(&salt)
		if err != nil {
			return err
		}
		if !bytes.Equal(salt, k.salt) {
			return errors.New("another command set the same user's password meanwhile; try again")
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO scram_keys (user, device, hash, stored_key, server_key) VALUES (?, ?, ?, ?, ?)",
			id, view, k.hash, k.key.StoredKey, k.key.ServerKey)
		if err != nil {
			return err
		}
	}
	return nil
}

// LacksSCRAM returns the hashes for which a password of an enabled user that is
// in use has no keys.
func (d *Directory) LacksSCRAM(name string) []string {
	var list []string
	s, err := d.snapshot()
	if err != nil {
		return nil
	}
	u := s.users[name]
	for _, hash := range (Hashes{SHA256: true, SHA1: true}).names() {
		if u != nil && u.Enabled && !u.hasKeys(hash) {
			list = append(list, hash)
		}
	}
	return list
}
