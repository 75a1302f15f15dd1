// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package sqlitejournal keeps the journal of package collect in SQLite, one
// file per account.
//
// A journal is for one process at a time: Open takes a lock beside the file
// that ends with the process, and returns ErrLocked when another holds it.
package sqlitejournal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver

	"restante.example/collect"
)

// ErrLocked: another process collects for this account.
var ErrLocked = errors.New("another process is collecting for this account")

// schemaVersion is what this package writes; a file of a later one is refused.
const schemaVersion = 1

const schema = `
CREATE TABLE entries (
	id INTEGER PRIMARY KEY,
	key TEXT NOT NULL,
	uid BLOB NOT NULL,
	announced INTEGER NOT NULL,
	size INTEGER NOT NULL,
	content BLOB NOT NULL,
	header BLOB NOT NULL,
	collected INTEGER NOT NULL,
	absent INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	filings BLOB NOT NULL
);
CREATE TABLE marks (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	settled BLOB NOT NULL,
	due INTEGER NOT NULL,
	last BLOB NOT NULL
);
PRAGMA user_version = 1;`

// Flags of an entry.
const (
	flagGone = 1 << iota
	flagFickle
	flagPartial
)

// Journal is a journal in a file. It implements collect.Journal.
type Journal struct {
	db   *sql.DB
	lock *os.File
	dir  string // whose names are not known to be durable, or empty
	put  *sql.Stmt
	drop *sql.Stmt
}

var _ collect.Journal = (*Journal)(nil)

// Open opens the journal in a file, making it and its directory (for the owner
// alone) where they are missing. Close releases it.
func Open(ctx context.Context, name string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFile(name + ".lock")
	if err != nil {
		return nil, err
	}
	j := &Journal{lock: lock}
	if err := j.open(ctx, name); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", name, err), j.Close())
	}
	return j, nil
}

func (j *Journal) open(ctx context.Context, name string) error {
	// The file is made here so that nobody else can read it from the start.
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	j.dir = filepath.Dir(abs)
	// Each commit is flushed before it returns: synchronous FULL does that in
	// WAL mode too. One process, so an exclusive lock spares the shared memory.
	path := filepath.ToSlash(abs)
	if path[0] != '/' {
		path = "/" + path // in front of a drive's letter
	}
	source := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: url.Values{
		"_pragma": {"locking_mode(exclusive)", "journal_mode(wal)", "synchronous(full)", "busy_timeout(5000)", "fullfsync(1)"},
		"_txlock": {"immediate"},
	}.Encode()}
	if j.db, err = sql.Open("sqlite", source.String()); err != nil {
		return err
	}
	j.db.SetMaxOpenConns(1)
	var version int
	if err := j.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch {
	case version > schemaVersion:
		return fmt.Errorf("written by a later version (%d, this one knows %d)", version, schemaVersion)
	case version == 0:
		if err := flushAbove(j.dir); err != nil {
			return err
		}
		if err := j.create(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flushDir is there for a test that looks on.
var flushDir = syncDir

// flushAbove makes the names of a directory and of all above it durable, before
// there is a schema: who finds one need not ask. Who made them may be somebody
// else, and dead, so that all are flushed; where this process may not look, it
// has made nothing.
func flushAbove(dir string) error {
	for above := filepath.Dir(dir); above != dir; dir, above = above, filepath.Dir(above) {
		if err := flushDir(above); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

func (j *Journal) create(ctx context.Context) error {
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Close closes the file and lets others open it.
func (j *Journal) Close() error {
	var err error
	if j.db != nil {
		err = j.db.Close()
	}
	return errors.Join(err, j.lock.Close())
}

// Marks implements collect.Journal.
func (j *Journal) Marks(ctx context.Context) (collect.Marks, error) {
	var m collect.Marks
	var settled, last []byte
	var due int64
	err := j.db.QueryRowContext(ctx, "SELECT settled, due, last FROM marks").Scan(&settled, &due, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	copy(m.Settled[:], settled)
	m.Due = fromNano(due)
	var list [][]byte
	if err := json.Unmarshal(last, &list); err != nil {
		return m, err
	}
	for _, uid := range list {
		m.Last = append(m.Last, string(uid))
	}
	return m, nil
}

// Entries implements collect.Journal.
func (j *Journal) Entries(ctx context.Context) ([]collect.Entry, error) {
	var n int
	if err := j.db.QueryRowContext(ctx, "SELECT count(*) FROM entries").Scan(&n); err != nil {
		return nil, err
	}
	rows, err := j.db.QueryContext(ctx, `SELECT id, key, uid, announced, size, content, header, collected, absent, flags, filings
		FROM entries ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := make([]collect.Entry, 0, n)
	names := make(map[string]string) // destinations are few: one copy of each name
	var uid, content, header, filings sql.RawBytes
	for rows.Next() {
		var e collect.Entry
		var collected, absent int64
		var flags int
		if err := rows.Scan(&e.ID, &e.Key, &uid, &e.Announced, &e.Size, &content, &header, &collected, &absent, &flags,
			&filings); err != nil {
			return nil, err
		}
		e.UID = string(uid)
		if len(content) != len(e.Content) || len(header) != len(e.Header) {
			return nil, fmt.Errorf("entry %d is damaged", e.ID)
		}
		copy(e.Content[:], content)
		copy(e.Header[:], header)
		e.Collected, e.Absent = fromNano(collected), fromNano(absent)
		e.Gone, e.Fickle, e.Partial = flags&flagGone != 0, flags&flagFickle != 0, flags&flagPartial != 0
		if e.Filings, err = decodeFilings(filings, names); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.ID, err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// Apply implements collect.Journal.
func (j *Journal) Apply(ctx context.Context, c collect.Changes) error {
	// The name of the file, before what it holds is relied on. Whoever made it
	// may not have come to this, so that it is there already says nothing.
	if j.dir != "" {
		if err := flushDir(j.dir); err != nil {
			return err
		}
		j.dir = ""
	}
	if err := j.prepare(ctx); err != nil {
		return err
	}
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := j.apply(ctx, tx, c); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (j *Journal) prepare(ctx context.Context) (err error) {
	if j.put == nil {
		if j.put, err = j.db.PrepareContext(ctx, "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"); err != nil {
			return err
		}
	}
	if j.drop == nil {
		j.drop, err = j.db.PrepareContext(ctx, "DELETE FROM entries WHERE id = ?")
	}
	return err
}

func (j *Journal) apply(ctx context.Context, tx *sql.Tx, c collect.Changes) error {
	put, drop := tx.StmtContext(ctx, j.put), tx.StmtContext(ctx, j.drop)
	filings := make([]byte, 0, 256)
	for i := range c.Put {
		e := &c.Put[i]
		filings = encodeFilings(filings[:0], e.Filings)
		if _, err := put.ExecContext(ctx, e.ID, e.Key, []byte(e.UID), e.Announced, e.Size, e.Content[:], e.Header[:],
			toNano(e.Collected), toNano(e.Absent), flagsOf(e), filings); err != nil {
			return err
		}
	}
	for _, id := range c.Drop {
		if _, err := drop.ExecContext(ctx, id); err != nil {
			return err
		}
	}
	if c.Marks == nil {
		return nil
	}
	list := make([][]byte, len(c.Marks.Last))
	for i, uid := range c.Marks.Last {
		list[i] = []byte(uid)
	}
	last, err := json.Marshal(list)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO marks VALUES (1, ?, ?, ?)", c.Marks.Settled[:], toNano(c.Marks.Due), last)
	return err
}

func flagsOf(e *collect.Entry) (flags int) {
	if e.Gone {
		flags |= flagGone
	}
	if e.Fickle {
		flags |= flagFickle
	}
	if e.Partial {
		flags |= flagPartial
	}
	return flags
}

func toNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
