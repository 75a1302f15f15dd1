// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"restante.example/internal/passwords"
	"restante.example/maildrop"
	"restante.example/sasl"
)

func signIn(d *Directory, name, password string) error {
	_, err := d.SignIn(context.Background(), maildrop.Attempt{Name: name}, password)
	return err
}

func TestSignIn(t *testing.T) {
	ctx := context.Background()
	d := open(t, &Options{Routing: Routing{LocalDomains: []string{"local.org"}}})
	add(t, d, "u1", "correct horse")
	add(t, d, "u2@example.org", "pässword")
	for _, test := range []struct {
		name, password string
		want           error
	}{
		{"u1", "correct horse", nil}, {"U1", "correct horse", nil}, {"u1@Local.ORG", "correct horse", nil},
		{"u1", "Correct horse", maildrop.ErrCredentials}, {"u1", "", maildrop.ErrCredentials},
		{"u1@example.org", "correct horse", maildrop.ErrCredentials},
		{"u2@example.org", "pa\u0308ssword", nil}, {"u2", "pässword", maildrop.ErrCredentials},
		{"nobody", "correct horse", maildrop.ErrCredentials}, {"../u1", "correct horse", maildrop.ErrCredentials},
		{"", "", maildrop.ErrCredentials}, {"u1", string(make([]byte, 5000)), maildrop.ErrCredentials},
	} {
		for range 2 { // computed, then remembered where it was right
			if err := signIn(d, test.name, test.password); !errors.Is(err, test.want) {
				t.Errorf("%q %.20q: %v, want %v", test.name, test.password, err, test.want)
			}
		}
	}
	must(t, d.SetDisabled(ctx, "u1", true))
	if err := signIn(d, "u1", "correct horse"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	if err := signIn(d, "u1", "wrong"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("disabled and wrong: %v", err)
	}
	must(t, d.SetDisabled(ctx, "u1", false))
	must(t, signIn(d, "u1", "correct horse"))
	must(t, d.SetPassword(ctx, "u1", "battery staple", Hashes{}))
	must(t, signIn(d, "u1", "battery staple"))
	if err := signIn(d, "u1", "correct horse"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
}

func TestAccount(t *testing.T) {
	d := open(t, &Options{Routing: Routing{LocalDomains: []string{"local.org"}}})
	quick(t, d, "u1")
	quick(t, d, "u2@local.org")
	for name, want := range map[string]string{
		"U1": "u1", "u1@Local.org": "u1", "u1@other.org": "u1@other.org", "u2@LOCAL.org": "u2@local.org",
		"nobody": "nobody", "Nobody@local.org": "nobody", "A B": "a b",
	} {
		if got := d.Account(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	must(t, d.Close())
	if got := d.Account("U1"); got != "u1" {
		t.Errorf("closed: %q", got)
	}
}

// full takes all hashing slots until the returned function is called, so that
// only what is remembered can be answered.
func full(t *testing.T, d *Directory) (release func()) {
	t.Helper()
	for range d.slots.Size() {
		must(t, d.slots.Acquire(context.Background(), false))
	}
	return func() {
		for range d.slots.Size() {
			d.slots.Release()
		}
	}
}

// await waits until n sign-ins wait for a slot.
func await(d *Directory, n int) {
	for d.slots.Waiting() != n {
		runtime.Gosched()
	}
}

func TestRememberedSuccess(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1_800_000_000, 0)
	d := open(t, &Options{Now: func() time.Time { return now }, HashSlots: 1, Remembered: 2})
	for _, name := range []string{"u1", "u2", "u3"} {
		add(t, d, name, "p-"+name)
	}
	remembered := func(name string) bool {
		release := full(t, d)
		defer release()
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, err := d.SignIn(ctx, maildrop.Attempt{Name: name}, "p-"+name)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		return err == nil
	}
	if remembered("u1") {
		t.Error("remembered before the first sign-in")
	}
	must(t, signIn(d, "u1", "p-u1"))
	now = now.Add(23 * time.Hour)
	if !remembered("u1") {
		t.Error("not remembered")
	}
	now = now.Add(23 * time.Hour)
	if !remembered("u1") {
		t.Error("its use did not prolong it")
	}
	now = now.Add(25 * time.Hour)
	if remembered("u1") {
		t.Error("remembered for more than 24 hours after its last use")
	}
	for _, name := range []string{"u1", "u2", "u3"} {
		must(t, signIn(d, name, "p-"+name))
	}
	if remembered("u1") || !remembered("u2") || !remembered("u3") || d.memory.order.Len() != 2 {
		t.Error("the least lately used one did not go")
	}
	if err := signIn(d, "u2", "wrong"); !errors.Is(err, maildrop.ErrCredentials) || d.memory.order.Len() != 2 {
		t.Errorf("a wrong password is remembered: %v", err)
	}
	must(t, d.SetDisabled(ctx, "u2", true))
	if remembered("u2") {
		t.Error("remembered for a disabled user")
	}
	if err := signIn(d, "u2", "p-u2"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Error(err)
	}
}

func TestHashingIsBounded(t *testing.T) {
	d := open(t, &Options{HashSlots: 1, HashQueue: 2})
	add(t, d, "u1", "p")
	release := full(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	answers := make(chan error, 2)
	go func() {
		_, err := d.SignIn(ctx, maildrop.Attempt{Name: "u1"}, "p")
		answers <- err
	}()
	await(d, 1)
	cancel()
	if err := <-answers; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while it waited: %v", err)
	}
	for range 2 {
		go func() { answers <- signIn(d, "u1", "p") }()
	}
	await(d, 2)
	for _, name := range []string{"u1", "nobody"} {
		err := signIn(d, name, "p")
		if !errors.Is(err, passwords.ErrBusy) || errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("%s, with the queue full: %v", name, err)
		}
	}
	release()
	for range 2 {
		must(t, <-answers)
	}
	if d.slots.Taken() != 0 || d.slots.Waiting() != 0 {
		t.Errorf("%d slots and %d places are still taken", d.slots.Taken(), d.slots.Waiting())
	}
}

// A sign-in whose hash takes so long that the password changes meanwhile.
func TestPasswordChangesWhileItIsChecked(t *testing.T) {
	ctx := context.Background()
	d := open(t, &Options{HashSlots: 1})
	u := add(t, d, "u1", "old")
	hash, err := d.hash(ctx, "new")
	must(t, err)
	for password, want := range map[string]error{"old": maildrop.ErrCredentials, "new": nil} {
		release := full(t, d)
		answer := make(chan error, 1)
		go func() { answer <- signIn(d, "u1", password) }()
		await(d, 1)
		must(t, d.exec("UPDATE users SET hash = ?, generation = generation + 1 WHERE id = ?", hash, u.ID))
		release()
		if err := <-answer; !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", password, err, want)
		}
	}
}

// An old password is never believed after SetPassword has returned, however
// many sign-ins are under way.
func TestChangeOfPasswordAgainstSignIn(t *testing.T) {
	ctx := context.Background()
	d := open(t, &Options{HashQueue: 1000})
	add(t, d, "u1", "password 0")
	var mu sync.RWMutex // orders "SetPassword has returned" before the sign-ins that count
	current := 0
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.RLock()
				at := current
				mu.RUnlock()
				if err := signIn(d, "u1", fmt.Sprintf("password %d", at)); err != nil && !errors.Is(err, maildrop.ErrCredentials) {
					t.Error(err)
				}
				if at > 0 {
					if err := signIn(d, "u1", fmt.Sprintf("password %d", at-1)); !errors.Is(err, maildrop.ErrCredentials) {
						t.Errorf("password %d while %d holds: %v", at-1, at, err)
					}
				}
			}
		})
	}
	for i := 1; i <= 6; i++ {
		must(t, d.SetPassword(ctx, "u1", sasl.Secret(fmt.Sprintf("password %d", i)), Hashes{}))
		mu.Lock()
		current = i
		mu.Unlock()
		must(t, signIn(d, "u1", fmt.Sprintf("password %d", i)))
	}
	close(stop)
	wg.Wait()
}

func TestSCRAM(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	keysOf := func(name string) maildrop.SCRAMKeys {
		t.Helper()
		keys, err := d.SCRAM(ctx, maildrop.Attempt{Name: name}, "SHA-256")
		must(t, err)
		return keys
	}
	if d.HasSCRAM("SHA-256") {
		t.Error("SCRAM is offered with no users")
	}
	u, err := d.Add(ctx, NewUser{Name: "u1", Password: "one", SCRAM: Hashes{SHA256: true}})
	must(t, err)
	if !d.HasSCRAM("SHA-256") || d.HasSCRAM("SHA-1") {
		t.Error("the only user has SHA-256 keys")
	}
	first := keysOf("U1@any.example")
	want, err := sasl.DeriveSCRAM("SHA-256", "one", first.Salt, first.Iterations)
	must(t, err)
	if len(first.Keys) != 1 || !slices.Equal(first.Keys[0].StoredKey, want.StoredKey) ||
		!slices.Equal(first.Keys[0].ServerKey, want.ServerKey) || first.Keys[0].Principal.Maildrop != u.ID || first.Keys[0].Disabled {
		t.Errorf("%+v", first)
	}

	add(t, d, "u2", "p")
	if d.HasSCRAM("SHA-256") {
		t.Error("u2 has no keys")
	}
	must(t, d.SetDisabled(ctx, "u2", true))
	if !d.HasSCRAM("SHA-256") {
		t.Error("u2, which has no keys, is disabled")
	}
	must(t, d.SetDisabled(ctx, "u1", true))
	if keys := keysOf("u1"); len(keys.Keys) != 1 || !keys.Keys[0].Disabled {
		t.Errorf("disabled: %+v", keys)
	}
	must(t, d.SetDisabled(ctx, "u1", false))

	// Without keys for a while, and with others after that: the salt stays.
	must(t, d.SetPassword(ctx, "u1", "two", Hashes{}))
	if keys := keysOf("u1"); len(keys.Keys) != 0 {
		t.Error("the key of the old password is still there")
	}
	must(t, d.SetPassword(ctx, "u1", "three", Hashes{SHA256: true}))
	third := keysOf("u1")
	if !slices.Equal(third.Salt, first.Salt) || len(third.Keys) != 1 || slices.Equal(third.Keys[0].StoredKey, first.Keys[0].StoredKey) {
		t.Errorf("%+v", third)
	}

	// Nobody looks like somebody: a salt of the same form that stays, and that
	// is the same for every way to write the name.
	a, b := keysOf("nobody"), keysOf("NOBODY@any.example")
	if len(a.Keys) != 0 || len(a.Salt) != len(first.Salt) || a.Iterations != first.Iterations || !slices.Equal(a.Salt, b.Salt) {
		t.Errorf("%+v and %+v", a, b)
	}
	if slices.Equal(keysOf("somebody").Salt, a.Salt) {
		t.Error("two unknown names have the same salt")
	}
}

// What a mail program that polls costs.
func BenchmarkRememberedSignIn(b *testing.B) {
	ctx := context.Background()
	d := open(b, nil)
	add(b, d, "u1@example.org", "correct horse battery staple")
	a := maildrop.Attempt{Name: "u1@example.org"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.SignIn(ctx, a, "correct horse battery staple"); err != nil {
			b.Fatal(err)
		}
	}
}

// What a change costs in a directory of 10,000 users, which is read anew.
func BenchmarkChangeAmongMany(b *testing.B) {
	ctx := context.Background()
	d := open(b, nil)
	must(b, d.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
		INSERT INTO users (id, name, hash, created) SELECT 'id' || i, 'u' || i || '@example.org', 'x', 0 FROM n`))
	for b.Loop() {
		must(b, d.SetQuota(ctx, "u5000@example.org", new(1), nil))
	}
}

// What a sign-in costs that is not remembered.
func BenchmarkFirstSignIn(b *testing.B) {
	ctx := context.Background()
	d := open(b, nil)
	a := maildrop.Attempt{Name: "nobody"}
	for b.Loop() {
		if _, err := d.SignIn(ctx, a, "x"); !errors.Is(err, maildrop.ErrCredentials) {
			b.Fatal(err)
		}
	}
}
