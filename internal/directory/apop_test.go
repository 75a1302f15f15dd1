// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// secretOf returns the secret of a user as the server gets it, or "".
func secretOf(t *testing.T, d *Directory, name string) string {
	t.Helper()
	list, err := d.APOP(context.Background(), maildrop.Attempt{Name: name})
	must(t, err)
	if len(list) == 0 {
		return ""
	}
	return string(list[0].Secret)
}

// Both sides compute with the secret in one form. RFC 6856 section 2.2.
func TestAPOPSecretIsPrepared(t *testing.T) {
	d := open(t, nil)
	add(t, d, "ana", "p")
	must(t, d.SetAPOP(context.Background(), "ana", "contrasen\u0303a"))
	if got := secretOf(t, d, "ana"); got != "contraseña" {
		t.Errorf("got %q", got)
	}
}

func TestAPOP(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "users.db")
	var ended []maildrop.ID
	opts := &Options{SCRAMIterations: 4096, OnChange: func(id maildrop.ID) { ended = append(ended, id) }}
	d, err := Open(ctx, file, opts)
	must(t, err)
	u, err := d.Add(ctx, NewUser{Name: "ana", Password: "one"})
	must(t, err)
	add(t, d, "bob", "p")
	key := filepath.Join(filepath.Dir(file), "apop.key")
	if _, err := os.Stat(key); d.HasAPOP() || !errors.Is(err, os.ErrNotExist) {
		t.Error("there is APOP already")
	}
	if secretOf(t, d, "ana") != "" || secretOf(t, d, "nobody") != "" {
		t.Error("a secret from nowhere")
	}

	must(t, d.SetAPOP(ctx, "ana", "tanstaaf"))
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("the key: %v, %v", info, err)
	}
	if got := secretOf(t, d, "ANA@any.example"); got != "tanstaaf" || !d.HasAPOP() || len(ended) != 0 {
		t.Errorf("got %q, ended %v", got, ended)
	}
	list, err := d.APOP(ctx, maildrop.Attempt{Name: "ana"})
	must(t, err)
	if p := list[0].Principal; p.Maildrop != u.ID || p.View != maildrop.Classic || list[0].Disabled {
		t.Errorf("%+v", list[0])
	}
	must(t, d.SetDisabled(ctx, "ana", true))
	if list, err = d.APOP(ctx, maildrop.Attempt{Name: "ana"}); err != nil || !list[0].Disabled {
		t.Errorf("disabled: %+v, %v", list, err)
	}
	must(t, d.SetDisabled(ctx, "ana", false))

	// It is not on the disk in clear, nor the same twice, and it belongs to its user.
	sealed := func(name string) []byte { return d.current.Load().users[name].apop }
	must(t, d.SetAPOP(ctx, "bob", "tanstaaf"))
	if bytes.Equal(sealed("ana"), sealed("bob")) {
		t.Error("the same secret looks the same")
	}
	must(t, d.exec("UPDATE apop SET sealed = (SELECT sealed FROM apop WHERE user = '"+string(u.ID)+"')"))
	if _, err := d.APOP(ctx, maildrop.Attempt{Name: "bob"}); err == nil || !strings.Contains(err.Error(), "set it anew") {
		t.Errorf("a secret of somebody else: %v", err)
	}
	if got := secretOf(t, d, "ana"); got != "tanstaaf" {
		t.Errorf("got %q", got)
	}

	// Another secret, none, and another password: what was there before is gone, and
	// with it who came in by it.
	ended = nil
	must(t, d.SetAPOP(ctx, "ana", "another"))
	if got := secretOf(t, d, "ana"); got != "another" || len(ended) != 1 {
		t.Errorf("got %q, ended %v", got, ended)
	}
	must(t, d.SetPassword(ctx, "ana", "two", Hashes{}))
	if got := secretOf(t, d, "ana"); got != "" {
		t.Errorf("after another password: %q", got)
	}
	must(t, d.SetAPOP(ctx, "ana", "third"))
	must(t, d.SetAPOP(ctx, "ana", ""))
	must(t, d.SetAPOP(ctx, "ana", "")) // nothing changes
	if got, err := d.Get(ctx, "ana"); secretOf(t, d, "ana") != "" || err != nil || got.APOP {
		t.Errorf("it is still there: %+v, %v", got, err)
	}
	for _, bad := range []sasl.Secret{"a\nb", sasl.Secret(strings.Repeat("x", 2000))} {
		if err := d.SetAPOP(ctx, "ana", bad); err == nil {
			t.Errorf("%d octets were taken", len(bad))
		}
	}
	if err := d.SetAPOP(ctx, "nobody", "x"); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("nobody: %v", err)
	}
	must(t, d.SetAPOP(ctx, "bob", "for bob"))
	must(t, d.Close())

	files, err := filepath.Glob(file + "*")
	must(t, err)
	for _, name := range files {
		if data, err := os.ReadFile(name); err != nil || bytes.Contains(data, []byte("tanstaaf")) || bytes.Contains(data, []byte("for bob")) {
			t.Errorf("%s holds a secret: %v", name, err)
		}
	}

	// The key is needed, and is not made anew while there is something to read.
	right, err := os.ReadFile(key)
	must(t, err)
	for _, wrong := range [][]byte{nil, []byte("short"), make([]byte, 32), make([]byte, 33)} {
		must(t, os.Remove(key))
		if wrong != nil {
			must(t, os.WriteFile(key, wrong, 0o600))
		}
		d, err = Open(ctx, file, opts)
		must(t, err)
		if _, err := d.APOP(ctx, maildrop.Attempt{Name: "bob"}); err == nil || errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("with a key of %d octets: %v", len(wrong), err)
		}
		if len(wrong) != 32 {
			if err := d.SetAPOP(ctx, "ana", "x"); err == nil || !strings.Contains(err.Error(), "backup") {
				t.Errorf("a secret was set with a key of %d octets: %v", len(wrong), err)
			}
		}
		must(t, d.Close())
		if wrong == nil {
			must(t, os.WriteFile(key, nil, 0o600))
		}
	}
	must(t, os.WriteFile(key, right, 0o600))
	d, err = Open(ctx, file, opts)
	must(t, err)
	if got := secretOf(t, d, "bob"); got != "for bob" {
		t.Errorf("with the right key again: %q", got)
	}
	must(t, d.Close())
}

func TestIdentify(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	u, err := d.Add(ctx, NewUser{Name: "ana", Password: "one", Sessions: 3})
	must(t, err)
	identify := func(name string) (maildrop.Principal, error) {
		return d.Identify(ctx, maildrop.Attempt{Name: name, Mechanism: "EXTERNAL"})
	}
	p, err := identify("ANA@any.example")
	if err != nil || p.Maildrop != u.ID || p.Name != "ana" || p.Sessions != 3 || p.View != maildrop.Classic {
		t.Errorf("%+v, %v", p, err)
	}
	for _, name := range []string{"nobody", "", "a\x00"} {
		if _, err := identify(name); !errors.Is(err, maildrop.ErrNoUser) {
			t.Errorf("%q: %v", name, err)
		}
	}
	must(t, d.SetMainRefused(ctx, "ana", true))
	if _, err := identify("ana"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("the user's own password is refused: %v", err)
	}
	must(t, d.SetMainRefused(ctx, "ana", false))
	must(t, d.SetDisabled(ctx, "ana", true))
	if _, err := identify("ana"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	must(t, d.Close())
	if _, err := identify("ana"); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// The key was lost and is made anew as the error says, by a server that runs or
// beside it.
func TestAPOPKeyMadeAnew(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "users.db")
	key := filepath.Join(filepath.Dir(file), "apop.key")
	d, beside := reopen(t, file, nil), reopen(t, file, nil)
	add(t, d, "ana", "p")
	must(t, d.SetAPOP(ctx, "ana", "first"))
	for _, by := range []*Directory{d, beside} {
		if got := secretOf(t, d, "ana"); got == "" {
			t.Error("there is no secret")
		}
		must(t, os.Remove(key))
		_, err := by.Reload(ctx)
		must(t, err)
		if err := by.SetAPOP(ctx, "ana", "with a key that is lost"); err == nil || !strings.Contains(err.Error(), "backup") {
			t.Errorf("a secret that nobody can read after a restart: %v", err)
		}
		must(t, by.SetAPOP(ctx, "ana", ""))
		must(t, by.SetAPOP(ctx, "ana", "anew"))
		_, err = d.Reload(ctx)
		must(t, err)
		if got := secretOf(t, d, "ana"); got != "anew" {
			t.Errorf("got %q", got)
		}
		if got := secretOf(t, reopen(t, file, nil), "ana"); got != "anew" {
			t.Errorf("after a restart: %q", got)
		}
	}
}
