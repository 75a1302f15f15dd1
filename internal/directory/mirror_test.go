// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restante.example/maildrop"
	"restante.example/sasl"
)

const theFile = "/etc/users"

// The password of each is "secret"; the first two cost next to nothing.
const (
	sum     = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
	sum256  = "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="
	theKey  = "{SCRAM-SHA-256}4096,ZklxMjaOdjKpyUDESxwmtg==,8aDjGkf68qyzUnI5Lg4IdsmGOvy/zcCgylU+RfbP4/Q=,owP3RiGfFjN715SpNwYiCkdFRJL4Z3ggnCkQkLXdmsw="
	another = "{PLAIN}another"
)

func anybody(string) error { return nil }

// mirror brings lines in, "NAME FIELD" each.
func mirror(t testing.TB, d *Directory, list ...Outside) Mirrored {
	t.Helper()
	d.SetSources(Sources{PasswdFile: theFile, Helper: d.sources.Load().Helper})
	m, err := d.Mirror(context.Background(), theFile, list, anybody)
	must(t, err)
	return m
}

func line(name, field string) Outside { return Outside{Name: name, Password: sasl.Secret(field)} }

// watch notes whose credentials hold no longer.
func watch(opts *Options) *[]string {
	var told []string
	opts.OnChange = func(id maildrop.ID) { told = append(told, string(id)) }
	opts.OnRevoke = func(id maildrop.ID, v maildrop.View) { told = append(told, string(id)+"/"+string(v)) }
	return &told
}

func TestMirroredUsersAreUsers(t *testing.T) {
	ctx := context.Background()
	opts := &Options{}
	told := watch(opts)
	d := open(t, opts)
	own := add(t, d, "own", "own secret")
	m := mirror(t, d, line("ana@example.org", sum), line("bea", "{PLAIN}pässword"), line("own", sum))
	if m.Added != 2 || !slices.Equal(m.Shadowed, []string{"own"}) {
		t.Errorf("%+v", m)
	}
	must(t, signIn(d, "ANA@example.org", "secret"))
	must(t, signIn(d, "bea", "pässword"))
	must(t, signIn(d, "own", "own secret"))
	for name, password := range map[string]string{"ana@example.org": "Secret", "bea": "", "own": "secret", "nobody": "secret"} {
		if err := signIn(d, name, password); !errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("%s, %q: %v", name, password, err)
		}
	}
	// All that a user can have works for them.
	must(t, d.AddAlias(ctx, "office@example.org", "ana@example.org", "own"))
	if list, err := d.Recipient(ctx, "Office+x@EXAMPLE.org"); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
	must(t, d.Unsettle(ctx, "ana@example.org"))
	password, err := d.AddDevice(ctx, "ana@example.org", "phone", NewView())
	must(t, err)
	must(t, signIn(d, "ana@example.org", string(password)))
	u, err := d.Get(ctx, "ana@example.org")
	if err != nil || u.Source != SourcePasswdFile || u.ID == own.ID {
		t.Errorf("%+v, %v", u, err)
	}
	for _, err := range []error{d.SetPassword(ctx, "bea", "x", Hashes{}), func() error { _, err := d.Remove(ctx, "bea"); return err }()} {
		if err == nil || !strings.Contains(err.Error(), "passwd-file") {
			t.Errorf("what the file says was changed here: %v", err)
		}
	}
	if len(*told) != 0 {
		t.Errorf("sessions were ended: %v", *told)
	}

	// The same again changes nothing, not even the number of the generation.
	before := d.current.Load()
	if m := mirror(t, d, line("ana@example.org", sum), line("bea", "{PLAIN}pässword")); m.Added+m.Changed+m.Removed != 0 || d.current.Load() != before {
		t.Errorf("%+v", m)
	}
}

func TestChangedLine(t *testing.T) {
	opts := &Options{}
	told := watch(opts)
	d := open(t, opts)
	mirror(t, d, line("ana", sum), line("bea", sum))
	must(t, signIn(d, "ana", "secret"))
	must(t, signIn(d, "bea", "secret"))
	ana, err := d.Get(context.Background(), "ana")
	must(t, err)
	if m := mirror(t, d, line("ana", another), line("bea", sum)); m.Changed != 1 {
		t.Errorf("%+v", m)
	}
	if err := signIn(d, "ana", "secret"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
	must(t, signIn(d, "ana", "another"))
	must(t, signIn(d, "bea", "secret"))
	if !slices.Equal(*told, []string{string(ana.ID)}) {
		t.Errorf("told of %v, want %s alone", *told, ana.ID)
	}
	if now, err := d.Get(context.Background(), "ana"); err != nil || now.ID != ana.ID {
		t.Errorf("%+v, %v", now, err)
	}
}

// Somebody who is gone from the file is nobody, and the same as before when it
// comes again.
func TestGoneAndBack(t *testing.T) {
	ctx := context.Background()
	opts := &Options{}
	told := watch(opts)
	path := filepath.Join(t.TempDir(), "users.db")
	d := reopen(t, path, opts)
	mirror(t, d, line("ana@a.org", sum), line("bea", sum))
	must(t, d.Unsettle(ctx, "ana@a.org"))
	_, err := d.AddDevice(ctx, "ana@a.org", "phone", NewView())
	must(t, err)
	must(t, d.AddAlias(ctx, "both", "ana@a.org", "bea"))
	ana, err := d.Get(ctx, "ana@a.org")
	must(t, err)
	if m := mirror(t, d, line("bea", sum)); m.Removed != 1 || !slices.Equal(*told, []string{string(ana.ID)}) {
		t.Errorf("%+v, %v", m, *told)
	}
	for range 2 {
		if err := signIn(d, "ana@a.org", "secret"); !errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("sign-in: %v", err)
		}
		if _, err := d.Recipient(ctx, "ana@a.org"); !errors.Is(err, maildrop.ErrNoUser) {
			t.Errorf("recipient: %v", err)
		}
		if list, err := d.Recipient(ctx, "both"); err != nil || len(list) != 1 {
			t.Errorf("alias: %v, %v", list, err)
		}
		if _, err := d.RetentionOf(ana.ID); !errors.Is(err, maildrop.ErrNoUser) {
			t.Errorf("retention: %v", err)
		}
		if users, err := d.List(ctx); err != nil || len(users) != 1 {
			t.Errorf("%v, %v", users, err)
		}
		must(t, d.Close())
		d = reopen(t, path, opts)
		d.SetSources(Sources{PasswdFile: theFile})
	}
	mirror(t, d, line("bea", sum), line("ana@a.org", sum256))
	must(t, signIn(d, "ana@a.org", "secret"))
	if back, err := d.Get(ctx, "ana@a.org"); err != nil || back.ID != ana.ID {
		t.Errorf("%+v, %v; want the id %s", back, err, ana.ID)
	}
	if devices, _, err := d.ListDevices(ctx, "ana@a.org"); err != nil || len(devices) != 1 {
		t.Errorf("%v, %v", devices, err)
	}
	// Who is forgotten while gone comes back as somebody else.
	mirror(t, d, line("bea", sum))
	if id, err := d.Remove(ctx, "Ana@a.org"); err != nil || id != ana.ID {
		t.Errorf("%s, %v", id, err)
	}
	if _, err := d.Remove(ctx, "ana@a.org"); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("twice: %v", err)
	}
	mirror(t, d, line("bea", sum), line("ana@a.org", sum))
	other, err := d.Get(ctx, "ana@a.org")
	if err != nil || other.ID == ana.ID {
		t.Errorf("%+v, %v", other, err)
	}
	// And so is who gets the name here while it is free.
	mirror(t, d, line("bea", sum))
	if own := add(t, d, "ana@a.org", "own"); own.ID == ana.ID || own.ID == other.ID {
		t.Error("another user has the old id")
	}
}

func TestWhatTheFileSaysOfASignIn(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	home, barred, unclear := line("home", sum), line("barred", sum), line("unclear", sum)
	home.Nets, home.Local = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}, false
	home.Quota = &maildrop.Quota{Messages: 5}
	barred.NoLogin = true
	unclear.Unclear = "its field proxy is not for this server"
	mirror(t, d, home, barred, unclear)
	for remote, want := range map[string]error{"10.1.2.3": nil, "::ffff:10.1.2.3": nil, "fd00::1%eth0": nil, "10.2.0.1": maildrop.ErrCredentials,
		"::1": maildrop.ErrCredentials, "": maildrop.ErrCredentials} {
		var a netip.Addr
		if remote != "" {
			a = netip.MustParseAddr(remote)
		}
		if _, err := d.SignIn(ctx, maildrop.Attempt{Name: "home", Remote: a}, "secret"); !errors.Is(err, want) {
			t.Errorf("from %q: %v, want %v", remote, err, want)
		}
	}
	// What is remembered from inside is computed anew for those outside.
	release := full(t, d)
	ctx2, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.SignIn(ctx2, maildrop.Attempt{Name: "home", Remote: netip.MustParseAddr("10.1.2.3")}, "secret"); err != nil {
		t.Errorf("not remembered inside: %v", err)
	}
	if _, err := d.SignIn(ctx2, maildrop.Attempt{Name: "home", Remote: netip.MustParseAddr("10.2.0.1")}, "secret"); !errors.Is(err, context.Canceled) {
		t.Errorf("outside, without a slot for the hash: %v", err)
	}
	release()
	if err := signIn(d, "barred", "secret"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("nologin: %v", err)
	}
	if err := signIn(d, "barred", "x"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("nologin, wrong: %v", err)
	}
	_, err := d.SCRAM(ctx, maildrop.Attempt{Name: "unclear"}, "SHA-256")
	for _, err := range []error{err, signIn(d, "unclear", "secret"), signIn(d, "unclear", "x")} {
		if err == nil || errors.Is(err, maildrop.ErrCredentials) || errors.Is(err, maildrop.ErrDisabled) {
			t.Errorf("unclear: %v", err)
		}
	}
	for _, name := range []string{"home", "barred", "unclear"} {
		if list, err := d.Recipient(ctx, name); err != nil || name == "home" && list[0].Quota.Messages != 5 {
			t.Errorf("mail for %s: %v, %v", name, list, err)
		}
	}
	// An app password is no way around.
	home.Nets = home.Nets[:1]
	must(t, d.Unsettle(ctx, "home"))
	password, err := d.AddDevice(ctx, "home", "phone", NewView())
	must(t, err)
	if _, err := d.SignIn(ctx, maildrop.Attempt{Name: "home", Remote: netip.MustParseAddr("192.0.2.1")}, string(password)); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("a device from elsewhere: %v", err)
	}
}

func TestMirroredSCRAM(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	mirror(t, d, line("ana", theKey))
	must(t, signIn(d, "ana", "secret"))
	if !d.HasSCRAM("SHA-256") {
		t.Error("SCRAM is not offered, and everybody has keys")
	}
	keys, err := d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, "SHA-256")
	must(t, err)
	key, err := sasl.DeriveSCRAM("SHA-256", "secret", keys.Salt, keys.Iterations)
	if err != nil || len(keys.Keys) != 1 || string(keys.Keys[0].StoredKey) != string(key.StoredKey) {
		t.Errorf("%+v, %v", keys, err)
	}
	must(t, d.Unsettle(ctx, "ana"))
	_, err = d.AddDevice(ctx, "ana", "phone", NewView())
	must(t, err)
	if keys, err = d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, "SHA-256"); err != nil || len(keys.Keys) != 2 || keys.Iterations != 4096 {
		t.Errorf("with a device: %+v, %v", keys, err)
	}
	// Another salt: the key of the device proves nothing any more.
	mirror(t, d, line("ana", strings.Replace(theKey, "ZklxMjaO", "AAAAAAAA", 1)))
	if keys, err = d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, "SHA-256"); err != nil || len(keys.Keys) != 1 {
		t.Errorf("with another salt: %+v, %v", keys, err)
	}
	if d.HasSCRAM("SHA-256") {
		t.Error("SCRAM is offered, and the device has no key")
	}
	mirror(t, d, line("ana", sum))
	if keys, err = d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, "SHA-256"); err != nil || len(keys.Keys) != 0 {
		t.Errorf("without: %+v, %v", keys, err)
	}
}

// While the file has never been read, or is not the one any more, nobody can
// tell who there is.
func TestBeforeTheFileWasRead(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	add(t, d, "own", "p")
	d.SetSources(Sources{PasswdFile: theFile})
	_, err := d.Recipient(ctx, "ana")
	_, serr := d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, "SHA-256")
	for _, err := range []error{err, serr, signIn(d, "ana", "secret")} {
		if err == nil || errors.Is(err, maildrop.ErrNoUser) || errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("unknown yet: %v", err)
		}
	}
	must(t, signIn(d, "own", "p"))
	mirror(t, d, line("ana", sum))
	must(t, signIn(d, "ana", "secret"))
	if err := signIn(d, "bea", "x"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("unknown: %v", err)
	}
	d.SetSources(Sources{PasswdFile: "/another"})
	if err := signIn(d, "bea", "x"); err == nil || errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("another file: %v", err)
	}
	if err := signIn(d, "ana", "secret"); err == nil || errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("a user of the file of before, under another one that was not read: %v", err)
	}
	d.SetSources(Sources{})
	if err := signIn(d, "ana", "secret"); err == nil || errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("no file: %v", err)
	}
	if _, err := d.Recipient(ctx, "ana"); err != nil {
		t.Errorf("mail without a file: %v", err)
	}
}

// A hash of nothing lets nobody in, and what cannot be prepared is not taken for
// what was remembered.
func TestEmptyAndOddPasswords(t *testing.T) {
	d := open(t, nil)
	mirror(t, d, line("empty", "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk="), line("latin", "{PLAIN.HEX}6361f161")) // "ca\xf1a"
	for _, name := range []string{"empty", "latin"} {
		for _, password := range []string{"", "\xff", strings.Repeat("x", 2000), "\x00"} {
			if err := signIn(d, name, password); !errors.Is(err, maildrop.ErrCredentials) {
				t.Errorf("%s, %q: %v", name, password, err)
			}
		}
	}
	_ = signIn(d, "latin", "ca\xf1a") // whatever the answer is, it opens no door for others:
	if err := signIn(d, "latin", "\xfe"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("another password that is no UTF-8: %v", err)
	}
}

func TestMirrorIsAllOrNothing(t *testing.T) {
	d := open(t, nil)
	d.SetSources(Sources{PasswdFile: theFile})
	list := []Outside{line("ana", sum), line("bea", "{WHAT}x")}
	if _, err := d.Mirror(context.Background(), theFile, list, anybody); err == nil {
		t.Error("a password that nobody can check was taken")
	}
	if users, err := d.List(context.Background()); err != nil || len(users) != 0 {
		t.Errorf("%v, %v", users, err)
	}
	m, err := d.Mirror(context.Background(), theFile, list[:1], func(string) error { return errors.New("no place") })
	if err != nil || m.Refused["ana"] == nil || m.Added != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestDecoy: an unknown name costs what some user costs, always the same one,
// and all users are used.
func TestDecoy(t *testing.T) {
	d := open(t, nil)
	var list []Outside
	for i := range 8 {
		list = append(list, line(fmt.Sprintf("u%d", i), sum))
	}
	mirror(t, d, list...)
	s := d.current.Load()
	used := map[*record]bool{}
	for i := range 200 {
		name := fmt.Sprintf("nobody%d", i)
		one := s.decoy(name)
		if one != s.decoy(name) {
			t.Fatal("the same name has another decoy")
		}
		used[one] = true
	}
	if len(used) < 4 {
		t.Errorf("only %d of 8 users are decoys", len(used))
	}
	// It is that hash which is computed, and not a dummy.
	d.dummy = "which cannot be computed"
	// Its password opens nothing under another name.
	for i := range 20 {
		if err := signIn(d, fmt.Sprintf("nobody%d", i), "secret"); !errors.Is(err, maildrop.ErrCredentials) {
			t.Fatalf("%v", err)
		}
	}
}

func BenchmarkMirrorOneOfMany(b *testing.B) {
	d := open(b, nil)
	var list []Outside
	for i := range 100_000 {
		list = append(list, line(fmt.Sprintf("u%d@example.org", i), sum))
	}
	mirror(b, d, list...)
	for i := 0; b.Loop(); i++ {
		list[500].Password = sasl.Secret([]string{sum256, sum}[i%2])
		mirror(b, d, list...)
	}
}

// Other programs hash what was typed as it is, in whatever form of Unicode; but
// what is no UTF-8, or cannot be a password, is nobody's there either, and is not
// taken for another such that was right. RFC 6856 section 2.2.
func TestPasswordsOfOthersAreUTF8(t *testing.T) {
	d := open(t, nil)
	mirror(t, d, line("ana", "{PLAIN}contrasen\u0303a"), line("bea", "{PLAIN}contrase\xf1a"), line("carla", "{PLAIN}a\x07ñ"))
	must(t, signIn(d, "ana", "contrasen\u0303a"))
	for _, name := range []string{"ana", "bea", "carla"} {
		for _, password := range []string{"contrase\xf1a", "a\x07ñ", "\xff", "", strings.Repeat("x", 2000)} {
			if err := signIn(d, name, password); !errors.Is(err, maildrop.ErrCredentials) {
				t.Errorf("%s, %.20q: %v", name, password, err)
			}
		}
	}
}

// A name that nobody has looks to SCRAM like one of those that somebody has,
// also where keys that were brought along have another count and salt.
func TestSCRAMOfNobodyLooksLikeThatOfUsers(t *testing.T) {
	ctx := context.Background()
	for _, salt := range []string{"ZklxMjaOdjKpyUDESxwmtg==", "ZklxMjaOdjKpyUDESxwmtsmt", strings.Repeat("ZklxMjaO", 15)} {
		d := open(t, &Options{SCRAMIterations: 8192})
		mirror(t, d, line("ana", strings.Replace(theKey, "ZklxMjaOdjKpyUDESxwmtg==", salt, 1)))
		ana, err := d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, "SHA-256")
		must(t, err)
		seen := map[string]bool{}
		for i := range 10 {
			name := fmt.Sprintf("nobody%d", i)
			keys, err := d.SCRAM(ctx, maildrop.Attempt{Name: name}, "SHA-256")
			must(t, err)
			again, err := d.SCRAM(ctx, maildrop.Attempt{Name: name}, "SHA-256")
			must(t, err)
			if keys.Iterations != ana.Iterations || len(keys.Salt) != len(ana.Salt) || len(keys.Keys) != 0 || string(keys.Salt) != string(again.Salt) {
				t.Fatalf("%s: %+v, and again %+v; ana has %+v", name, keys, again, ana)
			}
			seen[string(keys.Salt)] = true
		}
		if len(seen) != 10 {
			t.Errorf("10 names have %d salts", len(seen))
		}
	}
}
