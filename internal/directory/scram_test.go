// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// Keys for SHA-1 are made for app passwords always, for others where they are
// asked for; each hash has its own salt, which stays.
func TestSCRAMOfBothHashes(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	u, err := d.Add(ctx, NewUser{Name: "ana", Password: "one", SCRAM: Hashes{SHA256: true}})
	must(t, err)
	if !d.HasSCRAM("SHA-256") || d.HasSCRAM("SHA-1") || u.SCRAM != (Hashes{SHA256: true}) {
		t.Errorf("only SHA-256 was asked for: %+v", u)
	}
	must(t, d.SetPassword(ctx, "ana", "two", Hashes{SHA256: true, SHA1: true}))
	if u, err = d.Get(ctx, "ana"); err != nil || u.SCRAM != (Hashes{SHA256: true, SHA1: true}) || !d.HasSCRAM("SHA-1") || !d.HasSCRAM("SHA-256") {
		t.Errorf("%+v, %v", u, err)
	}
	phone, err := d.AddDevice(ctx, "ana", "phone", NewView())
	must(t, err)
	salts := map[string][]byte{}
	for _, hash := range []string{"SHA-256", "SHA-1"} {
		keys, err := d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, hash)
		must(t, err)
		salts[hash] = keys.Salt
		if len(keys.Keys) != 2 {
			t.Fatalf("%s: %d keys", hash, len(keys.Keys))
		}
		for i, password := range []sasl.Secret{"two", phone} {
			want, err := sasl.DeriveSCRAM(hash, string(password), keys.Salt, keys.Iterations)
			must(t, err)
			got := keys.Keys[i]
			if !bytes.Equal(got.StoredKey, want.StoredKey) || !bytes.Equal(got.ServerKey, want.ServerKey) || (got.Principal.Device == "phone") != (i == 1) {
				t.Errorf("%s, key %d: %+v", hash, i, got.Principal)
			}
		}
	}
	if bytes.Equal(salts["SHA-1"], salts["SHA-256"]) {
		t.Error("both hashes have one salt")
	}
	// Without keys of SHA-1 for the main password, the device alone cannot offer it.
	must(t, d.SetPassword(ctx, "ana", "three", Hashes{SHA256: true}))
	if d.HasSCRAM("SHA-1") || !d.HasSCRAM("SHA-256") {
		t.Error("SHA-1 is offered though a password has no keys")
	}
	if got := d.LacksSCRAM("ana"); !slices.Equal(got, []string{"SHA-1"}) {
		t.Errorf("it lacks %v", got)
	}
	must(t, d.SetPassword(ctx, "ana", "four", Hashes{SHA1: true}))
	if !d.HasSCRAM("SHA-1") || d.HasSCRAM("SHA-256") {
		t.Error("SHA-256 is offered though a password has no keys")
	}
	keys, err := d.SCRAM(ctx, maildrop.Attempt{Name: "ana"}, "SHA-1")
	if err != nil || !bytes.Equal(keys.Salt, salts["SHA-1"]) {
		t.Errorf("the salt has changed: %v", err)
	}
}
