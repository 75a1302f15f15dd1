// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package directory is the directory of users that restanted brings along: one
// SQLite file with users, their devices, aliases and catch-alls.
//
// Sign-ins and recipients are answered from memory; the file is read when it is
// opened, after each change, and when Reload finds that another process has
// changed it. Users are known by names; what they own is known by a maildrop id
// that is made once and never changes.
package directory

import (
	"context"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver

	"restante.example/internal/passwords"
	"restante.example/maildrop"
)

// ErrClosed is the answer of a directory that was closed.
var ErrClosed = errors.New("directory: closed")

// Options changes what a directory does; the zero value is fine.
type Options struct {
	// Logger gets warnings; nil discards them.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// HashSlots is how many passwords are checked at once, 0 for as many as
	// there are cores. Each takes 19 MiB while it lasts.
	HashSlots int
	// HashQueue is how many sign-ins may wait for a slot before the next is
	// answered passwords.ErrBusy, 0 for 64.
	HashQueue int
	// Remembered is how many right passwords are remembered, 0 for 65,536; each
	// takes about 250 octets.
	Remembered int
	// SCRAMIterations is the count for users who get their first SCRAM key, and
	// the one that unknown users seem to have; 0 for 600,000.
	SCRAMIterations int
	// Routing says which addresses lead to names without a domain.
	Routing Routing
	// OnChange is called when a user's credentials hold no longer: after a
	// password was changed, or the user disabled or removed. The change is
	// durable and in force by then; the command returns after OnChange has, so
	// that the user's sessions can be ended there. It may be called by several
	// goroutines.
	OnChange func(maildrop.ID)
	// OnRevoke is OnChange for one password of a user, known by the view that it
	// opens: after a device was removed or disabled or has got another password,
	// or the user's own password is refused.
	OnRevoke func(maildrop.ID, maildrop.View)
	// OnHash, where not nil, is called with how long one check of a password
	// took, its wait for a slot left out. It is called by many goroutines while a
	// client waits, and not to block.
	OnHash func(took time.Duration)
	// Refresh is called before somebody signs in or is looked for, to bring in
	// what has changed elsewhere; nil for nothing. It is called often, so what
	// it costs counts.
	Refresh func(context.Context)
}

// Directory implements maildrop.Directory. All methods may be called by any
// number of goroutines.
type Directory struct {
	opts   Options
	db     *sql.DB
	slots  *passwords.Slots
	memory *memory
	dummy  string

	signIns signIns

	apopKey string     // the path of the key
	sealing sync.Mutex // guards seal
	seal    cipher.AEAD
	sources atomic.Pointer[Sources]

	route   atomic.Pointer[routing]
	current atomic.Pointer[snapshot] // nil while the directory cannot answer

	mu      sync.Mutex // held by what changes the file or current
	version int64      // PRAGMA data_version at the last load
	broken  error      // why current is nil
	tried   time.Time  // when the file that could not be read was tried again last
	last    *snapshot  // what was in force last
}

var _ maildrop.Directory = (*Directory)(nil)

// Open opens the directory in a file, which it makes, readable by its owner
// only, if there is none. Options may be nil. The caller closes the directory.
func Open(ctx context.Context, path string, opts *Options) (*Directory, error) {
	d := &Directory{dummy: passwords.Dummy(), apopKey: filepath.Join(filepath.Dir(path), apopKeyFile)}
	if opts != nil {
		d.opts = *opts
	}
	d.defaults()
	d.SetSources(Sources{})
	if err := d.SetRouting(d.opts.Routing); err != nil {
		return nil, err
	}
	if err := makeFile(path, d.opts.Logger); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, fmt.Errorf("directory: open %s: %w", path, err)
	}
	// One connection: writers queue up in one place, and PRAGMA data_version
	// tells what others have done.
	db.SetMaxOpenConns(1)
	d.db = db
	if err := prepare(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("directory: open %s: %w", path, err), db.Close())
	}
	if _, err := d.reload(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("directory: open %s: %w", path, err), db.Close())
	}
	return d, nil
}

func (d *Directory) defaults() {
	o := &d.opts
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HashSlots <= 0 {
		o.HashSlots = runtime.GOMAXPROCS(0)
	}
	if o.HashQueue <= 0 {
		o.HashQueue = 64
	}
	if o.Refresh == nil {
		o.Refresh = func(context.Context) {}
	}
	if o.Remembered <= 0 {
		o.Remembered = 1 << 16
	}
	if o.SCRAMIterations <= 0 {
		o.SCRAMIterations = 600_000
	}
	d.slots = passwords.NewSlots(o.HashSlots, o.HashQueue, debug.FreeOSMemory)
	d.memory = newMemory(o.Remembered, o.Now)
}

// dsn asks for a write-ahead log, for every commit to be flushed, and for
// writers that wait for each other.
func dsn(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path // SQLite then says what is wrong with it
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)&_txlock=immediate"}
	return u.String()
}

// makeFile makes the file before SQLite would, for its mode and its owner: a
// command that root runs must not take the file away from the server.
func makeFile(path string, log *slog.Logger) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			log.Warn("others may read the file of users; chmod 600 mends it", "file", path, "mode", info.Mode().Perm().String())
		}
		return err
	}
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	return errors.Join(inheritOwner(f, dir), f.Close(), syncDir(dir))
}

// Close writes down what was noted of sign-ins and closes the file. From then
// on every answer is ErrClosed.
func (d *Directory) Close() error {
	d.slots.Close()
	noted := d.writeSignIns(context.Background())
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(d.broken, ErrClosed) {
		return nil
	}
	d.current.Store(nil)
	d.broken = ErrClosed
	return errors.Join(noted, d.db.Close())
}

// Reload reads the file again if another process has changed it, and reports
// whether it had. It costs microseconds otherwise. When it fails, the directory
// goes on with what it knew.
func (d *Directory) Reload(ctx context.Context) (bool, error) {
	changed, revoked, err := d.reloadIfChanged(ctx)
	d.tell(revoked)
	return changed, err
}

func (d *Directory) reloadIfChanged(ctx context.Context) (changed bool, revoked []revocation, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(d.broken, ErrClosed) {
		return false, nil, ErrClosed
	}
	version, err := dataVersion(ctx, d.db)
	if err != nil {
		d.openAnew()
		return false, nil, fmt.Errorf("directory: reload: %w", err)
	}
	if version == d.version && d.broken == nil {
		return false, nil, nil
	}
	if revoked, err = d.reload(ctx); err != nil {
		d.openAnew()
		return false, nil, fmt.Errorf("directory: reload: %w", err)
	}
	return true, revoked, nil
}

// revocation is a user whose credentials hold no longer, or one view whose
// password does not.
type revocation struct {
	user maildrop.ID
	all  bool
	view maildrop.View
}

// tell calls OnChange and OnRevoke; d.mu is not held, so that they may ask the
// directory.
func (d *Directory) tell(revoked []revocation) {
	for _, r := range revoked {
		if r.all && d.opts.OnChange != nil {
			d.opts.OnChange(r.user)
		}
		if !r.all && d.opts.OnRevoke != nil {
			d.opts.OnRevoke(r.user, r.view)
		}
	}
}

// revoked lists whose credentials of before do not hold after.
func revoked(before, after *snapshot) []revocation {
	var list []revocation
	if before == nil {
		return nil
	}
	for name, was := range before.users {
		is, ok := after.users[name]
		if !ok || is.ID != was.ID || is.Generation != was.Generation {
			list = append(list, revocation{user: was.ID, all: true})
			continue
		}
		for _, view := range was.revokedViews(is) {
			list = append(list, revocation{user: was.ID, view: view})
		}
	}
	return list
}

// dataVersion returns a number that changes when another connection has changed
// the file.
func dataVersion(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (version int64, err error) {
	err = q.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version)
	return version, err
}

// reload reads the file and lists whose credentials hold no longer; d.mu is
// held, or nobody else knows d yet. The version is asked for first: a change
// that comes in between is found the next time.
func (d *Directory) reload(ctx context.Context) ([]revocation, error) {
	version, err := dataVersion(ctx, d.db)
	if err != nil {
		return nil, err
	}
	s, err := load(ctx, d.db)
	if err != nil {
		return nil, err
	}
	list := revoked(d.last, s)
	d.version, d.broken, d.last = version, nil, s
	d.current.Store(s)
	return list, nil
}

// openAnew has the next query open the file anew; d.mu is held and no transaction
// is open. After an error of the disk a connection of SQLite may hold the file for
// damaged, or its failed transaction open, for ever; the file itself is whole.
func (d *Directory) openAnew() {
	d.db.SetMaxIdleConns(0) // closes the one that there is
	d.db.SetMaxIdleConns(1)
}

// retryAfter is how long a file that could not be read is left alone.
const retryAfter = time.Second

// snapshot returns what is in force now, or why there is nothing. A file that
// could not be read is tried again now and then: the trouble of the disk that was
// in the way may be over.
func (d *Directory) snapshot() (*snapshot, error) {
	if s := d.current.Load(); s != nil {
		return s, nil
	}
	s, revoked, err := d.snapshotAgain()
	d.tell(revoked)
	return s, err
}

func (d *Directory) snapshotAgain() (*snapshot, []revocation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.current.Load(); s != nil {
		return s, nil, nil
	}
	now := d.opts.Now()
	if errors.Is(d.broken, ErrClosed) || now.Sub(d.tried).Abs() < retryAfter {
		return nil, nil, d.broken
	}
	d.tried = now
	revoked, err := d.reload(context.Background())
	if err != nil {
		d.openAnew()
		return nil, nil, d.broken
	}
	return d.current.Load(), revoked, nil
}

// change runs a change of the file as one transaction and puts it in force. It
// is durable when change returns nil. The function gets what is in force.
func (d *Directory) change(ctx context.Context, what func(context.Context, *sql.Tx, *snapshot) error) error {
	revoked, err := d.commit(ctx, what)
	d.tell(revoked)
	return err
}

func (d *Directory) commit(ctx context.Context, what func(context.Context, *sql.Tx, *snapshot) error) (revoked []revocation, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(d.broken, ErrClosed) {
		return nil, ErrClosed
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		d.openAnew()
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	// The transaction holds the file's write lock: what is known now is what the
	// change is made on, whatever other processes did before.
	s := d.last
	if version, err := dataVersion(ctx, tx); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	} else if version != d.version || d.broken != nil {
		if s, err = read(ctx, tx); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
	}
	if err := what(ctx, tx, s); err != nil {
		return nil, err
	}
	// What is committed must come into force, and after a failed commit only
	// the file knows what holds: both go on when the caller has gone.
	commit := tx.Commit()
	if commit != nil {
		d.openAnew()
	}
	revoked, err = d.reload(context.WithoutCancel(ctx))
	if err != nil {
		d.openAnew()
		revoked, err = d.reload(context.WithoutCancel(ctx))
	}
	if err != nil {
		d.openAnew()
		d.current.Store(nil)
		d.broken = fmt.Errorf("directory: the file was changed and cannot be read: %w", err)
		return nil, errors.Join(commit, d.broken)
	}
	if commit != nil {
		return revoked, fmt.Errorf("directory: %w", commit)
	}
	return revoked, nil
}
