// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

func TestSignIn(t *testing.T) {
	office := pop3mem.New(nil)
	id := office.AddUser("Ana@Example.org", "secret")
	office.AddUser("bob", "")
	for _, err := range []error{
		office.AddPassword("ana@example.org", "phone secret", "phone"),
		office.SetLimits("ana@example.org", pop3mem.Limits{LoginDelay: time.Minute, Sessions: 3}),
		office.Disable("bob"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ana := maildrop.Principal{Name: "Ana@Example.org", Maildrop: id, LoginDelay: time.Minute, Sessions: 3}
	phone := ana
	phone.View, phone.Device = "phone", "phone"
	for _, test := range []struct {
		name, password string
		want           maildrop.Principal
		err            error
	}{
		{"ana@example.org", "secret", ana, nil},
		{"ANA@example.org", "phone secret", phone, nil},
		{"ana@example.org", "Secret", maildrop.Principal{}, maildrop.ErrCredentials},
		{"ana@example.org", "", maildrop.Principal{}, maildrop.ErrCredentials},
		{"ana", "secret", maildrop.Principal{}, maildrop.ErrCredentials},
		{"bob", "", maildrop.Principal{}, maildrop.ErrDisabled},
		{"bob", "x", maildrop.Principal{}, maildrop.ErrCredentials},
	} {
		got, err := office.SignIn(t.Context(), maildrop.Attempt{Name: test.name}, test.password)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("SignIn of %q with %q: %+v, %v; want %+v, %v", test.name, test.password, got, err, test.want, test.err)
		}
	}
	if err := office.AddPassword("carol", "x", ""); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("AddPassword for nobody: %v", err)
	}
}

func TestRecipient(t *testing.T) {
	office := pop3mem.New(nil)
	u1 := office.AddUser("u1", "x")
	long := office.AddUser("u1@example.org", "x")
	if u1 == long || !u1.Valid() || !long.Valid() {
		t.Fatalf("maildrops %q and %q", u1, long)
	}
	quota := maildrop.Quota{Messages: 5}
	if err := office.SetLimits("u1", pop3mem.Limits{Quota: quota}); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]maildrop.ID{
		"u1": u1, "U1@other.example": u1, "u1+lists": u1,
		"u1@example.org": long, "U1+lists@EXAMPLE.org": long,
	} {
		got, err := office.Recipient(t.Context(), address)
		if err != nil || len(got) != 1 || got[0].Maildrop != want || got[0].Address != address {
			t.Errorf("Recipient %q: %+v, %v; want %s", address, got, err, want)
		} else if (got[0].Quota == quota) != (want == u1) {
			t.Errorf("Recipient %q: quota %+v", address, got[0].Quota)
		}
	}
	for _, address := range []string{"", "u2", "@example.org", "u2@example.org", "+u1"} {
		if got, err := office.Recipient(t.Context(), address); !errors.Is(err, maildrop.ErrNoUser) {
			t.Errorf("Recipient %q: %+v, %v; want ErrNoUser", address, got, err)
		}
	}
}

// TestSCRAM holds the keys against those of another implementation.
func TestSCRAM(t *testing.T) {
	office := pop3mem.New(&pop3mem.Options{Iterations: 4100})
	id := office.AddUser("ana", "secret")
	if err := office.AddPassword("ana", "pencil", "phone"); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]scram.HashGeneratorFcn{
		"SHA-256": func() hash.Hash { return sha256.New() },
		"SHA-1":   func() hash.Hash { return sha1.New() },
	} {
		if !office.HasSCRAM(name) {
			t.Errorf("HasSCRAM(%q) is false", name)
		}
		keys, err := office.SCRAM(t.Context(), maildrop.Attempt{Name: "ANA"}, name)
		if err != nil || keys.Iterations != 4100 || len(keys.Keys) != 2 {
			t.Fatalf("SCRAM keys for %s: %+v, %v", name, keys, err)
		}
		for i, password := range []string{"secret", "pencil"} {
			client, err := h.NewClient("ana", password, "")
			if err != nil {
				t.Fatal(err)
			}
			want, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(keys.Salt), Iters: keys.Iterations})
			if err != nil {
				t.Fatal(err)
			}
			got := keys.Keys[i]
			if !bytes.Equal(got.StoredKey, want.StoredKey) || !bytes.Equal(got.ServerKey, want.ServerKey) {
				t.Errorf("%s keys of %q: %s", name, password, base64.StdEncoding.EncodeToString(got.StoredKey))
			}
			if p := got.Principal; p.Maildrop != id || p.View != []maildrop.View{"", "phone"}[i] {
				t.Errorf("%s key %d signs in %+v", name, i, p)
			}
		}
		// An unknown name has a salt too, which stays.
		one, err := office.SCRAM(t.Context(), maildrop.Attempt{Name: "nobody"}, name)
		two, again := office.SCRAM(t.Context(), maildrop.Attempt{Name: "nobody"}, name)
		if err != nil || again != nil || len(one.Keys) != 0 || len(one.Salt) != len(keys.Salt) ||
			!bytes.Equal(one.Salt, two.Salt) || bytes.Equal(one.Salt, keys.Salt) || one.Iterations != keys.Iterations {
			t.Errorf("%s keys of an unknown name: %+v, %v, then %+v, %v", name, one, err, two, again)
		}
	}
	if office.HasSCRAM("MD5") || pop3mem.New(&pop3mem.Options{NoSCRAM: true}).HasSCRAM("SHA-256") {
		t.Errorf("HasSCRAM is true where there are no keys")
	}
}

// TestDirectoryFails shows that "cannot tell now" is neither yes nor no.
func TestDirectoryFails(t *testing.T) {
	broken := errors.New("the database is away")
	office := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
		if op == pop3mem.OpSignIn {
			return broken
		}
		return nil
	}})
	office.AddUser("ana", "secret")
	a := maildrop.Attempt{Name: "ana"}
	_, signIn := office.SignIn(t.Context(), a, "secret")
	_, keys := office.SCRAM(t.Context(), a, "SHA-256")
	_, recipient := office.Recipient(t.Context(), "ana")
	for _, err := range []error{signIn, keys, recipient} {
		if !errors.Is(err, broken) {
			t.Errorf("answered %v, want the hook's error", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := office.SignIn(ctx, a, "secret"); !errors.Is(err, context.Canceled) {
		t.Errorf("SignIn with a context that has ended: %v", err)
	}
}
