// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"restante.example/internal/passwords"
	"restante.example/maildrop"
)

// Mirrored says what Mirror has done, as numbers of users and by name.
type Mirrored struct {
	Added, Changed, Removed int
	// Shadowed have the names of users of this directory, who hold; Refused have
	// those of aliases, or names that admit does not want.
	Shadowed []string
	Refused  map[string]error
}

// errSame ends a change that would change nothing.
var errSame = errors.New("nothing is different")

// Mirror makes the users of the passwd-file at a path those that are given,
// durably and all at once. Who is new gets an id, and admit is asked before; who
// was there before under the name gets the id of then. Whose line is another
// than before has to sign in anew, and who is missing cannot any more. When it
// fails, nothing has changed. The list has each name once.
func (d *Directory) Mirror(ctx context.Context, path string, list []Outside, admit func(name string) error) (Mirrored, error) {
	var m *mirroring
	err := d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) (err error) {
		m = &mirroring{tx: tx, s: s, now: d.opts.Now().Unix(), admit: admit, seen: make(map[string]bool, len(list))}
		m.result.Refused = map[string]error{}
		return m.run(ctx, path, list)
	})
	if errors.Is(err, errSame) {
		err = nil
	}
	if err != nil || m == nil {
		return Mirrored{}, err
	}
	return m.result, nil
}

// mirroring is one run of Mirror.
type mirroring struct {
	tx      *sql.Tx
	s       *snapshot
	now     int64
	admit   func(string) error
	seen    map[string]bool
	changes int
	result  Mirrored
}

func (m *mirroring) run(ctx context.Context, path string, list []Outside) error {
	addUser, err := m.tx.PrepareContext(ctx, "INSERT INTO users (id, name, hash, created) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer addUser.Close()
	say, err := m.tx.PrepareContext(ctx, `INSERT OR REPLACE INTO outside (user, source, digest, absent, no_login, unclear, nets)
		VALUES (?, ?, ?, 0, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer say.Close()
	for i := range list {
		if err := m.one(ctx, &list[i], addUser, say); err != nil {
			return fmt.Errorf("%s: %w", list[i].Name, err)
		}
	}
	for name, u := range m.s.users {
		if u.outside == nil || u.outside.source != SourcePasswdFile || m.seen[name] {
			continue
		}
		if err := m.exec(ctx, "UPDATE outside SET absent = 1 WHERE user = ?", u.ID); err != nil {
			return err
		}
		m.result.Removed++
	}
	if m.changes == 0 && m.s.mirrored == path {
		return errSame
	}
	return m.exec(ctx, "INSERT OR REPLACE INTO settings (name, value) VALUES ('mirrored', ?)", []byte(path))
}

func (m *mirroring) exec(ctx context.Context, query string, args ...any) error {
	m.changes++
	_, err := m.tx.ExecContext(ctx, query, args...)
	return err
}

// one brings one user in.
func (m *mirroring) one(ctx context.Context, o *Outside, addUser, say *sql.Stmt) error {
	u := m.s.users[o.Name]
	if u == nil {
		u = m.s.absent[o.Name]
	}
	if u != nil && u.outside == nil {
		m.result.Shadowed = append(m.result.Shadowed, o.Name)
		return nil
	}
	if u == nil || u.outside.absent {
		if err := m.s.noAlias(o.Name); err != nil {
			m.result.Refused[o.Name] = err
			return nil
		}
	}
	digest := o.digest(m.s.secret)
	if u != nil && u.outside.source == SourcePasswdFile && !u.outside.absent && bytes.Equal(u.outside.digest, digest) {
		m.seen[o.Name] = true
		return m.setQuota(ctx, u.ID, u.Quota, o.Quota)
	}
	// Nobody knows the password of a line that is unclear.
	var f passwords.Foreign
	if o.Unclear == "" {
		var err error
		if f, err = passwords.Import(string(o.Password)); err != nil {
			return err
		}
	}
	var id maildrop.ID
	var quota maildrop.Quota
	if u == nil {
		if err := m.admit(o.Name); err != nil {
			m.result.Refused[o.Name] = err
			return nil
		}
		id = newID()
		if _, err := addUser.ExecContext(ctx, id, o.Name, f.Stored, m.now); err != nil {
			return err
		}
		m.changes++
		m.result.Added++
	} else {
		id, quota = u.ID, u.Quota
		if err := m.forget(ctx, id, f); err != nil {
			return err
		}
		m.result.Changed++
	}
	m.seen[o.Name] = true
	if _, err := say.ExecContext(ctx, id, SourcePasswdFile, digest, o.NoLogin, o.Unclear, netsText(o.Nets, o.Local)); err != nil {
		return err
	}
	if err := m.storeKeys(ctx, id, f); err != nil {
		return err
	}
	return m.setQuota(ctx, id, quota, o.Quota)
}

func (m *mirroring) setQuota(ctx context.Context, id maildrop.ID, now maildrop.Quota, want *maildrop.Quota) error {
	if want == nil || *want == now {
		return nil
	}
	return m.exec(ctx, "UPDATE users SET quota_messages = ?, quota_octets = ? WHERE id = ?", want.Messages, want.Octets, id)
}

// forget replaces the password of a user, and takes the SCRAM keys away that do
// not go with it. All keys of a user share one salt: those of devices that were
// made with another can prove nothing any more.
func (m *mirroring) forget(ctx context.Context, id maildrop.ID, f passwords.Foreign) error {
	err := m.exec(ctx, "UPDATE users SET hash = ?, generation = generation + 1 WHERE id = ?", f.Stored, id)
	if err != nil {
		return err
	}
	if err := m.exec(ctx, "DELETE FROM apop WHERE user = ?", id); err != nil {
		return err
	}
	if err := m.exec(ctx, "DELETE FROM scram_keys WHERE user = ? AND device = ''", id); err != nil || f.Keys == nil {
		return err
	}
	return m.exec(ctx, `DELETE FROM scram_keys WHERE user = ?1 AND hash = ?2 AND NOT EXISTS
		(SELECT 1 FROM scram_salts WHERE user = ?1 AND hash = ?2 AND salt = ?3 AND iterations = ?4)`,
		id, f.Hash, f.Keys.Salt, f.Keys.Iterations)
}

// storeKeys stores the SCRAM keys that a line has.
func (m *mirroring) storeKeys(ctx context.Context, id maildrop.ID, f passwords.Foreign) error {
	if f.Keys == nil {
		return nil
	}
	err := m.exec(ctx, "INSERT OR REPLACE INTO scram_salts (user, hash, salt, iterations) VALUES (?, ?, ?, ?)",
		id, f.Hash, f.Keys.Salt, f.Keys.Iterations)
	if err != nil {
		return err
	}
	key := f.Keys.Keys[0]
	return m.exec(ctx, "INSERT INTO scram_keys (user, device, hash, stored_key, server_key) VALUES (?, '', ?, ?, ?)",
		id, f.Hash, key.StoredKey, key.ServerKey)
}
