// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// schemas bring a file from one PRAGMA user_version to the next, the first from
// an empty file. Times are Unix seconds.
var schemas = []string{schema1, schema2, schema3, schema4, schema5, schema6}

// schema1 makes the tables. In scram_keys the device is empty for the password
// of the user itself, and else the view of the device.
const schema1 = `
CREATE TABLE settings (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE users (
	id             TEXT PRIMARY KEY,
	name           TEXT NOT NULL UNIQUE,
	hash           TEXT NOT NULL,
	enabled        INTEGER NOT NULL DEFAULT 1,
	generation     INTEGER NOT NULL DEFAULT 1,
	quota_messages INTEGER NOT NULL DEFAULT 0,
	quota_octets   INTEGER NOT NULL DEFAULT 0,
	sessions       INTEGER NOT NULL DEFAULT 0,
	login_delay    INTEGER NOT NULL DEFAULT 0,
	created        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE devices (
	user        TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
	id          TEXT NOT NULL,
	label       TEXT NOT NULL,
	view        TEXT NOT NULL,
	key         BLOB NOT NULL,
	created     INTEGER NOT NULL,
	last_signin INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE scram_salts (
	user       TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
	hash       TEXT NOT NULL,
	salt       BLOB NOT NULL,
	iterations INTEGER NOT NULL,
	PRIMARY KEY (user, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE scram_keys (
	user       TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
	device     TEXT NOT NULL,
	hash       TEXT NOT NULL,
	stored_key BLOB NOT NULL,
	server_key BLOB NOT NULL,
	PRIMARY KEY (user, device, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE aliases (
	name   TEXT NOT NULL,
	target TEXT NOT NULL,
	PRIMARY KEY (name, target)
) STRICT, WITHOUT ROWID;
CREATE TABLE catch_alls (
	domain TEXT PRIMARY KEY,
	target TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`

// schema2 is for devices, which no program wrote before. A device is known for
// ever by its view; password is the part of its app password that names it, and
// folded its name as it is compared. The sign-ins are those of views, the empty
// one that of the user's own password. A user is unsettled while its views in
// the store may be others than those of its passwords.
const schema2 = `
DROP TABLE devices;
CREATE TABLE devices (
	user     TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
	view     TEXT NOT NULL,
	name     TEXT NOT NULL,
	folded   TEXT NOT NULL,
	password TEXT NOT NULL,
	hash     BLOB NOT NULL,
	enabled  INTEGER NOT NULL DEFAULT 1,
	created  INTEGER NOT NULL,
	PRIMARY KEY (user, view),
	UNIQUE (user, folded),
	UNIQUE (user, password)
) STRICT, WITHOUT ROWID;
CREATE TABLE sign_ins (
	user    TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
	view    TEXT NOT NULL,
	at      INTEGER NOT NULL,
	address TEXT NOT NULL,
	PRIMARY KEY (user, view)
) STRICT, WITHOUT ROWID;
ALTER TABLE users ADD COLUMN main_refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;
`

// schema3 is for rules of retention; a user who is not in it has none of its own.
// The age is in seconds.
const schema3 = `
CREATE TABLE retention (
	user     TEXT PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE,
	age      INTEGER NOT NULL,
	messages INTEGER NOT NULL,
	octets   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`

// schema4 remembers who was told that the quota is almost used up.
const schema4 = "ALTER TABLE users ADD COLUMN quota_warned INTEGER NOT NULL DEFAULT 0;"

// schema5 is for users whose source is elsewhere: what it said of them last, and
// whether it still lists them.
const schema5 = `
CREATE TABLE outside (
	user     TEXT PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE,
	source   TEXT NOT NULL,
	digest   BLOB NOT NULL,
	absent   INTEGER NOT NULL DEFAULT 0,
	no_login INTEGER NOT NULL DEFAULT 0,
	unclear  TEXT NOT NULL DEFAULT '',
	nets     TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
`

// schema6 is for the secrets of APOP, encrypted for their user.
const schema6 = `
CREATE TABLE apop (
	user   TEXT PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE,
	sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
`

// prepare makes the tables and the persistent secret where they are missing.
func prepare(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version == len(schemas) {
		return nil
	}
	if version < 0 || version > len(schemas) {
		return fmt.Errorf("it has version %d and this program knows %d; use the newer program", version, len(schemas))
	}
	for _, step := range schemas[version:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails: crypto/rand ends the process instead
	if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO settings (name, value) VALUES ('salt secret', ?)", secret); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(schemas))); err != nil {
		return err
	}
	return tx.Commit()
}

// record is all that the file knows of one user.
type record struct {
	User
	hash      string
	scram     map[string]*scramRecord // by hash, such as SHA-256
	devices   []*device               // in the order of their folded names
	passwords map[string]*device      // by what names an app password
	unsettled bool
	outside   *outside // nil where the password is the one here
	apop      []byte   // the sealed secret, nil for none
	last      SignIn   // with the user's own password
}

type scramRecord struct {
	salt       []byte
	iterations int
	keys       []scramKey
}

type scramKey struct {
	device *device // nil for the user's own password
	sasl.SCRAMKey
}

// snapshot is the whole file in memory; nobody changes it once it is made.
type snapshot struct {
	secret    []byte
	mirrored  string             // the passwd-file that Mirror has brought in
	users     map[string]*record // by name
	absent    map[string]*record // whom their source does not list any more
	stored    []*record          // those with a password here, in the order of their ids
	byID      map[maildrop.ID]*record
	aliases   map[string][]string
	catchAlls map[string]string    // by domain; "*" is every domain
	domains   map[string]bool      // that users, aliases and catch-alls name
	scram     map[string]bool      // hashes for which every enabled user has keys
	keyed     map[string][]*record // those who have keys for a hash, in the order of their ids
	apop      bool                 // somebody has a secret for APOP
}

// load reads the whole file.
func load(ctx context.Context, db *sql.DB) (*snapshot, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // it has only read
	return read(ctx, tx)
}

// read reads the whole file within a transaction.
func read(ctx context.Context, tx *sql.Tx) (*snapshot, error) {
	s := &snapshot{users: map[string]*record{}, absent: map[string]*record{}, byID: map[maildrop.ID]*record{}, aliases: map[string][]string{},
		catchAlls: map[string]string{}, domains: map[string]bool{}, scram: map[string]bool{}, keyed: map[string][]*record{}}
	err := tx.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = 'salt secret'").Scan(&s.secret)
	if err != nil {
		return nil, err
	}
	if len(s.secret) < 16 {
		return nil, errors.New("its secret is damaged")
	}
	if err := s.loadUsers(ctx, tx); err != nil {
		return nil, err
	}
	err = rows(ctx, tx, "SELECT name, target FROM aliases ORDER BY name, target", func(scan scanner) error {
		var name, target string
		err := scan(&name, &target)
		s.aliases[name] = append(s.aliases[name], target)
		s.note(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = rows(ctx, tx, "SELECT domain, target FROM catch_alls", func(scan scanner) error {
		var domain, target string
		err := scan(&domain, &target)
		s.catchAlls[domain] = target
		s.domains[domain] = true
		return err
	})
	return s, err
}

func (s *snapshot) loadUsers(ctx context.Context, tx *sql.Tx) error {
	err := rows(ctx, tx, `SELECT u.id, u.name, u.hash, u.enabled, u.generation, u.quota_messages, u.quota_octets,
		u.sessions, u.login_delay, u.created, u.main_refused, u.unsettled, u.quota_warned, coalesce(s.at, 0), coalesce(s.address, '')
		FROM users u LEFT JOIN sign_ins s ON s.user = u.id AND s.view = '' ORDER BY u.id`, func(scan scanner) error {
		var u record
		var delay, created, at int64
		var address string
		err := scan(&u.ID, &u.Name, &u.hash, &u.Enabled, &u.Generation, &u.Quota.Messages, &u.Quota.Octets,
			&u.Sessions, &delay, &created, &u.MainRefused, &u.unsettled, &u.QuotaWarned,
			&at, &address)
		if err == nil && !u.ID.Valid() {
			err = fmt.Errorf("user %q has the id %q, which is none", u.Name, u.ID)
		}
		u.LoginDelay, u.Created = time.Duration(delay)*time.Second, time.Unix(created, 0)
		u.last = storedSignIn(at, address)
		u.scram, u.passwords = map[string]*scramRecord{}, map[string]*device{}
		s.users[u.Name], s.byID[u.ID] = &u, &u
		if u.hash != "" {
			s.stored = append(s.stored, &u)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.loadOutside(ctx, tx); err != nil {
		return err
	}
	if err := loadDevices(ctx, tx, s.byID); err != nil {
		return err
	}
	if err := loadRetention(ctx, tx, s.byID); err != nil {
		return err
	}
	err = rows(ctx, tx, `SELECT s.user, s.hash, s.salt, s.iterations, k.device, k.stored_key, k.server_key
		FROM scram_salts s JOIN scram_keys k ON k.user = s.user AND k.hash = s.hash
		ORDER BY s.user, s.hash, k.device`, func(scan scanner) error {
		var id maildrop.ID
		var hash, view string
		var r scramRecord
		var k scramKey
		if err := scan(&id, &hash, &r.salt, &r.iterations, &view, &k.StoredKey, &k.ServerKey); err != nil {
			return err
		}
		u := s.byID[id]
		if k.device = u.device(maildrop.View(view)); k.device == nil && view != "" {
			return nil // a key without a device signs nobody in
		}
		if u.scram[hash] == nil {
			u.scram[hash] = &r
			s.keyed[hash] = append(s.keyed[hash], u)
		}
		u.scram[hash].keys = append(u.scram[hash].keys, k)
		if k.device == nil {
			u.SCRAM.note(hash)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.setAside()
	for name := range s.users {
		s.note(name)
	}
	if err := s.loadAPOP(ctx, tx); err != nil {
		return err
	}
	for _, hash := range []string{sha1Hash, sha256Hash} {
		s.scram[hash] = s.everybodyHas(hash)
	}
	return nil
}

// everybodyHas reports whether there are enabled users and all have keys for
// every password that is in use.
func (s *snapshot) everybodyHas(hash string) bool {
	any := false
	for _, u := range s.users {
		if u.Enabled && !u.hasKeys(hash) {
			return false
		}
		any = any || u.Enabled
	}
	return any
}

// hasKeys reports whether all passwords of a user that are in use have keys.
func (u *record) hasKeys(hash string) bool {
	has := map[*device]bool{}
	if r := u.scram[hash]; r != nil {
		for _, k := range r.keys {
			has[k.device] = true
		}
	}
	if !u.MainRefused && !has[nil] {
		return false
	}
	for _, d := range u.devices {
		if d.Enabled && !has[d] {
			return false
		}
	}
	return true
}

// note takes the domain of a name down.
func (s *snapshot) note(name string) {
	if _, domain, _ := splitAddress(name); domain != "" {
		s.domains[domain] = true
	}
}

type scanner = func(dest ...any) error

// rows calls each for every row of a query.
func rows(ctx context.Context, tx *sql.Tx, query string, each func(scanner) error) error {
	list, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer list.Close()
	for list.Next() {
		if err := each(list.Scan); err != nil {
			return err
		}
	}
	return list.Err()
}
