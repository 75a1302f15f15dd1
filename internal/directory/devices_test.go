// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restante.example/internal/passwords"
	"restante.example/maildrop"
	"restante.example/sasl"
)

// addDevice adds a device and returns its view and its password.
func addDevice(t testing.TB, d *Directory, user, name string) (maildrop.View, string) {
	t.Helper()
	view := NewView()
	password, err := d.AddDevice(context.Background(), user, name, view)
	must(t, err)
	return view, string(password)
}

func TestDevices(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "users.sqlite")
	d := reopen(t, path, nil)
	u := add(t, d, "ana", "of ana")
	phone, ofPhone := addDevice(t, d, "ana", "  Phone  of Ana ")
	tablet, ofTablet := addDevice(t, d, "ANA", "平板 電腦")
	whoIs := func(password string) maildrop.Principal {
		t.Helper()
		// With no slot free only what needs no slow hash is answered.
		release := full(t, d)
		defer release()
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		p, err := d.SignIn(ctx, maildrop.Attempt{Name: "ana"}, password)
		if err != nil {
			t.Errorf("%v", err)
		}
		return p
	}
	for range 2 {
		if got, want := whoIs(strings.ToUpper(strings.ReplaceAll(ofPhone, "-", " "))), (maildrop.Principal{Name: "ana", Device: "Phone of Ana", Maildrop: u.ID, View: phone}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got := whoIs(ofTablet); got.View != tablet || got.Device != "平板 電腦" {
			t.Errorf("got %+v", got)
		}
		must(t, signIn(d, "ana", "of ana"))
		must(t, d.Close())
		d = reopen(t, path, nil)
	}
	list, _, err := d.ListDevices(ctx, "ana")
	must(t, err)
	if len(list) != 2 || list[0].Name != "Phone of Ana" || list[0].View != phone || !list[0].Enabled || list[0].Created.IsZero() || list[1].View != tablet {
		t.Errorf("%+v", list)
	}

	// Names are compared without letter case, and belong to one user.
	if _, err := d.AddDevice(ctx, "ana", "PHONE of ana", NewView()); !errors.Is(err, ErrExists) {
		t.Errorf("a second one of the name: %v", err)
	}
	if err := d.RenameDevice(ctx, "ana", "平板 電腦", "phone OF ana"); !errors.Is(err, ErrExists) {
		t.Errorf("renamed to a name that is taken: %v", err)
	}
	must(t, d.RenameDevice(ctx, "ana", "phone of ana", "phone OF Ana"))
	must(t, d.RenameDevice(ctx, "ana", "phone of ana", "Lost"))
	if got := whoIs(ofPhone); got.View != phone || got.Device != "Lost" {
		t.Errorf("renamed: %+v", got)
	}
	add(t, d, "bea", "of bea")
	addDevice(t, d, "bea", "Lost")
	if err := signIn(d, "bea", ofPhone); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("somebody else with it: %v", err)
	}

	// A password of its form that is none, and one that is nearly one.
	other := byte('a')
	if ofPhone[len(ofPhone)-1] == 'a' {
		other = 'b'
	}
	for _, wrong := range []string{newAppPassword(), ofPhone[:len(ofPhone)-1] + string(other)} {
		release := full(t, d)
		ctx, cancel := context.WithCancel(ctx)
		answer := make(chan error, 1)
		go func() {
			_, err := d.SignIn(ctx, maildrop.Attempt{Name: "ana"}, wrong)
			answer <- err
		}()
		await(d, 1) // so it costs what every wrong password costs
		cancel()
		<-answer
		release()
		if err := signIn(d, "ana", wrong); !errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("a wrong password: %v", err)
		}
	}

	for name, want := range map[string]error{"none": ErrNoDevice, "": ErrNoDevice} {
		if err := d.RemoveDevice(ctx, "ana", name); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := d.AddDevice(ctx, "nobody", "x", NewView()); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("a device of nobody: %v", err)
	}
	must(t, d.RemoveDevice(ctx, "ana", "lost"))
	if err := signIn(d, "ana", ofPhone); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("removed: %v", err)
	}
	whoIs(ofTablet)
	must(t, d.SetDisabled(ctx, "ana", true))
	if err := signIn(d, "ana", ofTablet); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("of a disabled user: %v", err)
	}
	if _, err := d.Remove(ctx, "ana"); err != nil {
		t.Fatal(err)
	}
	add(t, d, "ana", "of ana")
	if err := signIn(d, "ana", ofTablet); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("of a removed user: %v", err)
	}
	for _, table := range []string{"devices", "scram_keys", "scram_salts"} {
		var rows int
		must(t, d.db.QueryRow("SELECT count(*) FROM "+table+" WHERE user = ?", u.ID).Scan(&rows))
		if rows != 0 {
			t.Errorf("%d rows of the removed user are in %s", rows, table)
		}
	}
}

func TestNamesOfDevices(t *testing.T) {
	for name, want := range map[string]string{"phone": "phone", " my  phone ": "my phone", "Teléfono de Ana": "Teléfono de Ana",
		"电话": "电话", "ana's (2nd)": "ana's (2nd)", strings.Repeat("ñ", 64): strings.Repeat("ñ", 64)} {
		if got, _, err := CleanDeviceName(name); err != nil || got != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "  ", "a\nb", "a\x00", "\u202eenohp", "\xff", strings.Repeat("ñ", 65), strings.Repeat("x", 10000)} {
		if got, _, err := CleanDeviceName(name); err == nil || !strings.Contains(err.Error(), "such as phone") {
			t.Errorf("%q is %q, %v", name, got, err)
		}
	}
	_, a, _ := CleanDeviceName("TELÉFONO")
	_, b, _ := CleanDeviceName("tele\u0301fono ")
	if a != b {
		t.Errorf("%q and %q are two names", a, b)
	}
}

func TestSCRAMOfDevices(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	add(t, d, "ana", "one")
	phone, password := addDevice(t, d, "ana", "phone")
	keysOf := func() maildrop.SCRAMKeys {
		t.Helper()
		keys, err := d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, sha256Hash)
		must(t, err)
		return keys
	}
	fits := func(k maildrop.SCRAMKey, keys maildrop.SCRAMKeys, password string) bool {
		t.Helper()
		want, err := sasl.DeriveSCRAM(sha256Hash, password, keys.Salt, keys.Iterations)
		must(t, err)
		return slices.Equal(k.StoredKey, want.StoredKey) && slices.Equal(k.ServerKey, want.ServerKey)
	}
	keys := keysOf()
	if len(keys.Keys) != 1 || keys.Keys[0].Principal.View != phone || keys.Keys[0].Principal.Device != "phone" || !fits(keys.Keys[0], keys, password) {
		t.Errorf("%+v", keys)
	}
	salt := keys.Salt
	if d.HasSCRAM(sha256Hash) {
		t.Error("announced, and ana's own password has no keys")
	}
	must(t, d.SetMainRefused(ctx, "ana", true))
	if !d.HasSCRAM(sha256Hash) {
		t.Error("not announced, and the only password in use has keys")
	}
	must(t, d.SetMainRefused(ctx, "ana", false))
	must(t, d.SetPassword(ctx, "ana", "two", Hashes{SHA256: true}))
	keys = keysOf()
	if len(keys.Keys) != 2 || !slices.Equal(keys.Salt, salt) || !fits(keys.Keys[0], keys, "two") || !fits(keys.Keys[1], keys, password) ||
		keys.Keys[0].Principal.View != maildrop.Classic || keys.Keys[1].Principal.View != phone {
		t.Errorf("%+v", keys)
	}
	if !d.HasSCRAM(sha256Hash) {
		t.Error("not announced")
	}
	must(t, d.SetMainRefused(ctx, "ana", true))
	must(t, d.SetDeviceDisabled(ctx, "ana", "phone", true))
	if keys = keysOf(); !keys.Keys[0].Disabled || !keys.Keys[1].Disabled {
		t.Errorf("%+v", keys)
	}
	must(t, d.SetDeviceDisabled(ctx, "ana", "phone", false))

	must(t, d.exec("DELETE FROM scram_keys WHERE device != ''"))
	if d.HasSCRAM(sha256Hash) {
		t.Error("announced, and the phone has no keys")
	}
	must(t, d.SetDeviceDisabled(ctx, "ana", "phone", true))
	if !d.HasSCRAM(sha256Hash) {
		t.Error("not announced, and the phone without keys is disabled")
	}
	must(t, d.SetDeviceDisabled(ctx, "ana", "phone", false))
	renewed, err := d.ResetDevicePassword(ctx, "ana", "phone")
	must(t, err)
	if keys = keysOf(); len(keys.Keys) != 2 || !fits(keys.Keys[1], keys, string(renewed)) || !slices.Equal(keys.Salt, salt) {
		t.Errorf("another password: %+v", keys)
	}
	// A key without a device signs nobody in.
	must(t, d.exec("DELETE FROM devices"))
	if keys = keysOf(); len(keys.Keys) != 1 {
		t.Errorf("%+v", keys)
	}
}

// revocations collects what OnChange and OnRevoke are told.
type revocations []string

func (r *revocations) options() *Options {
	return &Options{
		OnChange: func(maildrop.ID) { *r = append(*r, "all") },
		OnRevoke: func(_ maildrop.ID, view maildrop.View) { *r = append(*r, "view "+string(view)) },
	}
}

func TestOnRevoke(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "users.sqlite")
	var told revocations
	d := reopen(t, path, told.options())
	add(t, d, "ana", "x")
	phone, password := addDevice(t, d, "ana", "phone")
	tablet, _ := addDevice(t, d, "ana", "tablet")
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("%s: told %q, want %q", what, told, want)
		}
		told = nil
	}
	expect("added")
	must(t, d.RenameDevice(ctx, "ana", "phone", "telephone"))
	expect("renamed")
	if _, err := d.ResetDevicePassword(ctx, "ana", "telephone"); err != nil {
		t.Fatal(err)
	}
	expect("another password", "view "+string(phone))
	if err := signIn(d, "ana", password); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
	must(t, d.SetDeviceDisabled(ctx, "ana", "tablet", true))
	expect("disabled", "view "+string(tablet))
	must(t, d.SetDeviceDisabled(ctx, "ana", "tablet", true))
	must(t, d.SetDeviceDisabled(ctx, "ana", "tablet", false))
	expect("enabled")
	must(t, d.SetMainRefused(ctx, "ana", true))
	expect("refused", "view ")
	must(t, d.SetMainRefused(ctx, "ana", true))
	must(t, d.SetMainRefused(ctx, "ana", false))
	expect("allowed")
	must(t, d.SetDisabled(ctx, "ana", true))
	expect("user disabled", "all")
	must(t, d.SetDisabled(ctx, "ana", false))
	// Another process does it.
	other := reopen(t, path, nil)
	must(t, other.RemoveDevice(ctx, "ana", "tablet"))
	if _, err := d.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	expect("removed elsewhere", "view "+string(tablet))
}

// A password is never believed after RemoveDevice has returned, however many
// sign-ins are under way.
func TestRemoveDeviceAgainstSignIn(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	add(t, d, "ana", "x")
	for round := range 5 {
		name := fmt.Sprint("device ", round)
		_, password := addDevice(t, d, "ana", name)
		var gone atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					before := gone.Load()
					err := signIn(d, "ana", password)
					if before && !errors.Is(err, maildrop.ErrCredentials) {
						t.Errorf("after the removal: %v", err)
					}
					if err != nil && !errors.Is(err, maildrop.ErrCredentials) {
						t.Error(err)
					}
					if before {
						return
					}
				}
			})
		}
		must(t, d.RemoveDevice(ctx, "ana", name))
		gone.Store(true)
		wg.Wait()
	}
}

func TestMainPassword(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	u := add(t, d, "ana", "x")
	views := func(want ...maildrop.View) {
		t.Helper()
		got, err := d.Views(ctx, "ana")
		must(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("views %q, want %q", got, want)
		}
	}
	unsettled := func(want bool) {
		t.Helper()
		list, err := d.Unsettled(ctx)
		must(t, err)
		if len(list) > 0 != want {
			t.Errorf("unsettled: %v", list)
		}
	}
	views("")
	unsettled(false)
	must(t, d.Unsettle(ctx, "ana"))
	unsettled(true)
	phone, password := addDevice(t, d, "ana", "phone")
	views("", phone)
	must(t, d.Settled(ctx, "ana"))
	unsettled(false)
	must(t, signIn(d, "ana", "x"))
	must(t, d.SetMainRefused(ctx, "ana", true))
	unsettled(true)
	views(phone)
	if err := signIn(d, "ana", "x"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("refused: %v", err)
	}
	if err := signIn(d, "ana", "y"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("wrong: %v", err)
	}
	must(t, signIn(d, "ana", password))
	must(t, d.Settled(ctx, "ana"))
	must(t, d.RemoveDevice(ctx, "ana", "phone"))
	unsettled(true)
	views("") // nobody can sign in, and mail is kept
	if got, err := d.Get(ctx, "ana"); err != nil || !got.MainRefused || got.ID != u.ID {
		t.Errorf("%+v, %v", got, err)
	}
}

// A file of the first version is brought to this one.
func TestFirstVersionOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.sqlite")
	db, err := sql.Open("sqlite", dsn(path))
	must(t, err)
	_, err = db.Exec(schema1 + `PRAGMA user_version = 1;
		INSERT INTO settings VALUES ('salt secret', x'000102030405060708090a0b0c0d0e0f');
		INSERT INTO users (id, name, hash, created) VALUES ('id1', 'ana', '` + passwords.Dummy() + `', 0);`)
	must(t, errors.Join(err, db.Close()))
	for range 2 {
		d := reopen(t, path, nil)
		if u, err := d.Get(context.Background(), "ana"); err != nil || u.ID != "id1" || u.MainRefused {
			t.Errorf("%+v, %v", u, err)
		}
		if s := d.current.Load(); s.secret[15] != 0x0f {
			t.Error("the secret is another one")
		}
		must(t, d.Close())
	}
	d := reopen(t, path, nil)
	_, password := addDevice(t, d, "ana", "phone")
	must(t, signIn(d, "ana", password))
	must(t, d.exec(fmt.Sprintf("PRAGMA user_version = %d", len(schemas)+1)))
	if other, err := Open(context.Background(), path, nil); err == nil || !strings.Contains(err.Error(), "use the newer program") {
		t.Errorf("a later version: %v, %v", other, err)
	}
}

// What a device that polls costs.
func BenchmarkDeviceSignIn(b *testing.B) {
	ctx := context.Background()
	d := open(b, nil)
	add(b, d, "ana", "x")
	var password string
	for i := range 10 {
		_, password = addDevice(b, d, "ana", fmt.Sprint("device ", i))
	}
	a := maildrop.Attempt{Name: "ana"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.SignIn(ctx, a, password); err != nil {
			b.Fatal(err)
		}
	}
}
