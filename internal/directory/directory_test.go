// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// open opens a new directory that is closed with the test.
func open(t testing.TB, opts *Options) *Directory {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "users 1?%23.sqlite"), opts)
}

func reopen(t testing.TB, path string, opts *Options) *Directory {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	if opts.SCRAMIterations == 0 {
		opts.SCRAMIterations = sasl.MinIterations
	}
	d, err := Open(context.Background(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func add(t testing.TB, d *Directory, name, password string) User {
	t.Helper()
	u, err := d.Add(context.Background(), NewUser{Name: name, Password: sasl.Secret(password)})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// quick adds a user without the cost of a hash, for tests that sign nobody in.
func quick(t testing.TB, d *Directory, name string) maildrop.ID {
	t.Helper()
	id := newID()
	if err := d.exec("INSERT INTO users (id, name, hash, created) VALUES (?, ?, ?, 0)", id, name, d.dummy); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	return id
}

// exec changes the file behind the directory's back and has it read again.
func (d *Directory) exec(query string, args ...any) error {
	if _, err := d.db.Exec(query, args...); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.reload(context.Background())
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsersOutliveTheProcess(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "users.sqlite")
	now := time.Unix(1_800_000_000, 0)
	d := reopen(t, path, &Options{Now: func() time.Time { return now }})
	u, err := d.Add(ctx, NewUser{Name: "U1@Example.org", Password: "pw", SCRAM: Hashes{SHA256: true}, Sessions: 3,
		Quota: maildrop.Quota{Messages: 10, Octets: 1 << 40}, LoginDelay: 90 * time.Second})
	must(t, err)
	must(t, d.AddAlias(ctx, "info@example.org", "u1@example.org"))
	must(t, d.SetCatchAll(ctx, "example.org", "info@example.org"))
	before, err := d.SCRAM(ctx, maildrop.Attempt{Name: "nobody"}, "SHA-256")
	must(t, err)
	must(t, d.Close())

	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	d = reopen(t, path, nil)
	got, err := d.Get(ctx, "u1@EXAMPLE.org")
	must(t, err)
	want := User{ID: u.ID, Name: "u1@example.org", Enabled: true, SCRAM: Hashes{SHA256: true}, Generation: 1, Sessions: 3,
		Quota: maildrop.Quota{Messages: 10, Octets: 1 << 40}, LoginDelay: 90 * time.Second, Created: now}
	if got != want || len(u.ID) < 16 || !u.ID.Valid() {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p, err := d.SignIn(ctx, maildrop.Attempt{Name: "u1@example.org"}, "pw")
	if err != nil || p != (maildrop.Principal{Name: "u1@example.org", Maildrop: u.ID, LoginDelay: 90 * time.Second, Sessions: 3}) {
		t.Errorf("%+v, %v", p, err)
	}
	r, err := d.Recipient(ctx, "anybody@example.org")
	if err != nil || len(r) != 1 || r[0] != (maildrop.Recipient{Maildrop: u.ID, Address: "anybody@example.org", Quota: want.Quota}) {
		t.Errorf("%+v, %v", r, err)
	}
	after, err := d.SCRAM(ctx, maildrop.Attempt{Name: "nobody"}, "SHA-256")
	if err != nil || !slices.Equal(before.Salt, after.Salt) {
		t.Errorf("the salt of nobody changed: %x, %x, %v", before.Salt, after.Salt, err)
	}
}

func TestAddRefuses(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	quick(t, d, "u1")
	must(t, d.AddAlias(ctx, "info", "u1"))
	for _, test := range []struct {
		user NewUser
		want error
		text string
	}{
		{NewUser{Name: "U1", Password: "p"}, ErrExists, `user "u1"`},
		{NewUser{Name: "info", Password: "p"}, ErrExists, `alias "info"`},
		{NewUser{Name: "a/b", Password: "p"}, nil, "directories"},
		{NewUser{Name: "u2"}, nil, "password is empty"},
		{NewUser{Name: "u2", Password: "a\nb"}, nil, "control"},
		{NewUser{Name: "u2", Password: "a\ufffdb", SCRAM: Hashes{SHA256: true}}, nil, "SCRAM"},
		{NewUser{Name: "u2", Password: "p", Sessions: -1}, nil, "negative"},
	} {
		_, err := d.Add(ctx, test.user)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%+v: %v", test.user, err)
		}
		if err != nil && test.user.Password != "" && strings.Contains(err.Error(), string(test.user.Password)+"\"") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	if list, err := d.List(ctx); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
}

func TestCommandsOnNobody(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	for name, err := range map[string]error{
		"passwd":  d.SetPassword(ctx, "nobody", "p", Hashes{}),
		"disable": d.SetDisabled(ctx, "nobody", true),
		"quota":   d.SetQuota(ctx, "nobody", new(0), nil),
		"limits":  d.SetLimits(ctx, "nobody", 1, 0),
		"remove":  func() error { _, err := d.Remove(ctx, "nobody"); return err }(),
		"get":     func() error { _, err := d.Get(ctx, "nobody"); return err }(),
		"alias":   d.AddAlias(ctx, "info", "nobody"),
		"unalias": d.RemoveAlias(ctx, "info"),
		"catch":   d.SetCatchAll(ctx, "*", "nobody"),
	} {
		if !errors.Is(err, maildrop.ErrNoUser) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRemovedUserGetsAnotherMaildrop(t *testing.T) {
	ctx := context.Background()
	var told []maildrop.ID
	d := open(t, &Options{OnChange: func(id maildrop.ID) { told = append(told, id) }})
	quick(t, d, "other") // without any user it could not tell
	first := quick(t, d, "u1")
	must(t, d.AddAlias(ctx, "info", "u1"))
	must(t, d.SetCatchAll(ctx, "*", "u1"))
	id, err := d.Remove(ctx, "u1")
	if id != first || err != nil || !slices.Equal(told, []maildrop.ID{first}) {
		t.Fatalf("removed %q, %v, told %q", id, err, told)
	}
	for _, address := range []string{"u1@x.org", "info@x.org", "any@x.org"} {
		if r, err := d.Recipient(ctx, address); !errors.Is(err, maildrop.ErrNoUser) {
			t.Errorf("%s: %v, %v", address, r, err)
		}
	}
	if second := quick(t, d, "u1"); second == first {
		t.Error("the maildrop of the user before it")
	}
	if r, err := d.Recipient(ctx, "info@x.org"); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("the old alias leads to the new user: %v, %v", r, err)
	}
}

func TestOnChange(t *testing.T) {
	ctx := context.Background()
	var d *Directory
	told := 0
	d = open(t, &Options{OnChange: func(maildrop.ID) {
		told++
		// The change is in force, and the directory can be asked.
		if _, err := d.List(ctx); err != nil {
			t.Error(err)
		}
	}})
	add(t, d, "u1", "p")
	for i, step := range []struct {
		do   func() error
		want int
	}{
		{func() error { return d.SetPassword(ctx, "u1", "q", Hashes{}) }, 1},
		{func() error { return d.SetDisabled(ctx, "u1", true) }, 2},
		{func() error { return d.SetDisabled(ctx, "u1", true) }, 2},
		{func() error { return d.SetDisabled(ctx, "u1", false) }, 2},
		{func() error { return d.SetQuota(ctx, "u1", new(1), nil) }, 2},
		{func() error { return d.SetLimits(ctx, "u1", 1, time.Minute) }, 2},
		{func() error { _, err := d.Remove(ctx, "u1"); return err }, 3},
	} {
		if err := step.do(); err != nil || told != step.want {
			t.Errorf("step %d: told %d times, %v", i, told, err)
		}
	}
}

func TestReloadFindsChangesOfOthers(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "users.sqlite")
	var told []maildrop.ID
	server := reopen(t, path, &Options{OnChange: func(id maildrop.ID) { told = append(told, id) }})
	command := reopen(t, path, nil)
	if changed, err := server.Reload(ctx); changed || err != nil {
		t.Errorf("nothing happened: %v, %v", changed, err)
	}
	u := add(t, command, "u1", "p")
	if changed, err := server.Reload(ctx); !changed || err != nil {
		t.Errorf("a user was added: %v, %v", changed, err)
	}
	if _, err := server.SignIn(ctx, maildrop.Attempt{Name: "u1"}, "p"); err != nil {
		t.Error(err)
	}
	must(t, command.SetPassword(ctx, "u1", "q", Hashes{}))
	if changed, err := server.Reload(ctx); !changed || err != nil || !slices.Equal(told, []maildrop.ID{u.ID}) {
		t.Errorf("a password was changed: %v, %v, told %q", changed, err, told)
	}
	if _, err := server.SignIn(ctx, maildrop.Attempt{Name: "u1"}, "p"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
	// A change is made on what the file says, not on what was known.
	add(t, command, "u2", "p")
	if _, err := server.Add(ctx, NewUser{Name: "u2", Password: "p"}); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
}

func TestClosedAndBroken(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	quick(t, d, "u1")
	ask := func() map[string]error {
		_, signIn := d.SignIn(ctx, maildrop.Attempt{Name: "u1"}, "p")
		_, scram := d.SCRAM(ctx, maildrop.Attempt{Name: "u1"}, "SHA-256")
		_, recipient := d.Recipient(ctx, "u1@x.org")
		_, list := d.List(ctx)
		return map[string]error{"SignIn": signIn, "SCRAM": scram, "Recipient": recipient, "List": list}
	}
	check := func(state string, answers map[string]error) {
		t.Helper()
		for name, err := range answers {
			if err == nil || errors.Is(err, maildrop.ErrNoUser) || errors.Is(err, maildrop.ErrCredentials) || errors.Is(err, maildrop.ErrDisabled) {
				t.Errorf("%s, %s: %v", state, name, err)
			}
		}
	}
	// A file that cannot be read is noticed at Reload, which changes nothing ...
	if _, err := d.db.Exec("ALTER TABLE users RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	d.version--
	if _, err := d.Reload(ctx); err == nil {
		t.Error("a broken file was read")
	}
	if _, err := d.Recipient(ctx, "u1@x.org"); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}
	// ... and refuses every change.
	if err := d.SetDisabled(ctx, "u1", true); err == nil {
		t.Error("a broken file was changed")
	}
	// A change that was committed and cannot be read leaves nothing in force.
	if _, err := d.db.Exec("ALTER TABLE gone RENAME TO users"); err != nil {
		t.Fatal(err)
	}
	err := d.changeUser(ctx, "u1", func(ctx context.Context, tx *sql.Tx, _ *record) error {
		_, err := tx.ExecContext(ctx, "ALTER TABLE users RENAME TO gone")
		return err
	})
	if err == nil {
		t.Error("a change that is not in force was reported as done")
	}
	check("broken", ask())
	if d.HasSCRAM("SHA-256") {
		t.Error("a broken directory has SCRAM")
	}
	if _, err := d.db.Exec("ALTER TABLE gone RENAME TO users"); err != nil {
		t.Fatal(err)
	}
	if changed, err := d.Reload(ctx); !changed || err != nil {
		t.Errorf("mended: %v, %v", changed, err)
	}
	if _, err := d.Recipient(ctx, "u1@x.org"); err != nil {
		t.Errorf("mended: %v", err)
	}
	must(t, d.Close())
	must(t, d.Close())
	check("closed", ask())
	if _, err := d.Reload(ctx); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := d.SetDisabled(ctx, "u1", true); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// A commit that fails changes nothing, and the directory goes on.
func TestFailedCommit(t *testing.T) {
	ctx := context.Background()
	d := open(t, &Options{OnChange: func(id maildrop.ID) { t.Errorf("told of %q", id) }})
	quick(t, d, "u1")
	err := d.changeUser(ctx, "u1", func(ctx context.Context, tx *sql.Tx, u *record) error {
		if _, err := tx.ExecContext(ctx, "UPDATE users SET generation = 99, enabled = 0 WHERE id = ?", u.ID); err != nil {
			return err
		}
		// Checked at the commit, which it makes fail.
		if _, err := tx.ExecContext(ctx, "PRAGMA defer_foreign_keys = ON"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO scram_salts (user, hash, salt, iterations) VALUES ('nobody', 'x', x'00', 1)")
		return err
	})
	if err == nil {
		t.Error("the commit did not fail")
	}
	if u, err := d.Get(ctx, "u1"); err != nil || u.Generation != 1 || !u.Enabled {
		t.Errorf("%+v, %v", u, err)
	}
	must(t, d.SetQuota(ctx, "u1", new(7), new(int64(0))))
	if u, err := d.Get(ctx, "u1"); err != nil || u.Quota.Messages != 7 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "newer.sqlite")
	d := reopen(t, path, nil)
	if _, err := d.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	must(t, d.Close())
	garbage := filepath.Join(dir, "garbage")
	must(t, os.WriteFile(garbage, []byte(strings.Repeat("this is no database\n", 500)), 0o600))
	for path, want := range map[string]string{
		path: "newer program", garbage: "not a database", filepath.Join(dir, "no", "such"): "no such file",
	} {
		if d, err := Open(ctx, path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", path, d, err)
		}
	}
	if _, err := Open(ctx, filepath.Join(dir, "x"), &Options{Routing: Routing{LocalDomains: []string{"a b"}}}); err == nil {
		t.Error("a domain with a blank was taken")
	}
}
