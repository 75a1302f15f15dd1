// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// asker is a helper that counts.
type asker struct {
	passwords map[string]string
	names     map[string]string // what it calls whom it lets in
	remember  time.Duration
	down      error
	asked     int
	meanwhile func() // what happens while it thinks, nil for nothing
}

func (h *asker) Check(_ context.Context, _ maildrop.Attempt, name string, password sasl.Secret) (Vouched, error) {
	h.asked++
	if h.down != nil {
		return Vouched{}, h.down
	}
	if want, ok := h.passwords[name]; !ok || want != string(password) {
		return Vouched{}, maildrop.ErrCredentials
	}
	if h.meanwhile != nil {
		h.meanwhile()
	}
	return Vouched{Name: h.names[name], Remember: h.remember}, nil
}

func (h *asker) Admit(_ context.Context, name string) error {
	if name == "nowhere" {
		return errors.New("no place for it")
	}
	return nil
}

func TestUsersOfAHelper(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1_800_000_000, 0)
	d := open(t, &Options{Now: func() time.Time { return now }})
	h := &asker{passwords: map[string]string{"ana": "a", "ana@one.org": "b", "nick": "n", "nowhere": "x", "own": "o", "thief": "t"},
		names: map[string]string{"nick": "Nikolaus@one.org", "thief": "own"}}
	d.SetSources(Sources{Helper: h})
	if d.HasSCRAM("SHA-256") {
		t.Error("SCRAM is offered, and the helper has no keys")
	}
	// Nobody is known, so mail has to wait, and no password is called wrong
	// without asking.
	if _, err := d.Recipient(ctx, "ana"); err == nil || errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("mail for somebody who may exist: %v", err)
	}
	must(t, signIn(d, "Ana", "a"))
	ana, err := d.Get(ctx, "ana")
	if err != nil || ana.Source != SourceHelper {
		t.Fatalf("%+v, %v", ana, err)
	}
	if list, err := d.Recipient(ctx, "ana+x"); err != nil || list[0].Maildrop != ana.ID {
		t.Errorf("%v, %v", list, err)
	}
	must(t, signIn(d, "ana", "a"))
	if again, err := d.Get(ctx, "ana"); err != nil || again.ID != ana.ID || h.asked != 2 {
		t.Errorf("%+v, %v, asked %d times", again, err, h.asked)
	}
	// Another domain is another person.
	must(t, signIn(d, "ana@one.org", "b"))
	if err := signIn(d, "ana@one.org", "a"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the password of another ana: %v", err)
	}
	if p, err := d.SignIn(ctx, maildrop.Attempt{Name: "nick"}, "n"); err != nil || p.Name != "nikolaus@one.org" {
		t.Errorf("%+v, %v", p, err)
	}
	for name, password := range map[string]string{"nobody": "a", "ana": "b", "ana ": "a", "": "a"} {
		if err := signIn(d, name, password); !errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("%q: %v", name, err)
		}
	}
	// What can not become a user, or is one of another source, does not get in.
	add(t, d, "own", "secret")
	for name, password := range map[string]string{"nowhere": "x", "thief": "t"} {
		if err := signIn(d, name, password); err == nil || errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := signIn(d, "own", "o"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the helper was asked about a user of this directory: %v", err)
	}
	h.down = errors.New("the helper was killed")
	for _, name := range []string{"ana", "nobody"} {
		if err := signIn(d, name, "a"); !errors.Is(err, h.down) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.down = nil

	d.SetSources(Sources{Helper: h, RefuseUnknown: true})
	if _, err := d.Recipient(ctx, "nobody"); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("unknown, to be refused: %v", err)
	}
	must(t, d.SetDisabled(ctx, "ana", true))
	if err := signIn(d, "ana", "a"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	must(t, d.SetDisabled(ctx, "ana", false))

	// A device needs no helper.
	must(t, d.Unsettle(ctx, "ana"))
	password, err := d.AddDevice(ctx, "ana", "phone", NewView())
	must(t, err)
	asked := h.asked
	must(t, signIn(d, "ana", string(password)))
	if h.asked != asked {
		t.Error("the helper was asked about an app password")
	}
	d.SetSources(Sources{})
	if err := signIn(d, "ana", "a"); err == nil || errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("without the helper: %v", err)
	}
}

// A helper has no keys, so SCRAM cannot be offered, whoever else has some.
func TestNoSCRAMBesideAHelper(t *testing.T) {
	d := open(t, nil)
	mirror(t, d, line("ana", theKey))
	if !d.HasSCRAM("SHA-256") {
		t.Error("not offered, and everybody has keys")
	}
	d.SetSources(Sources{PasswdFile: theFile, Helper: &asker{}})
	if d.HasSCRAM("SHA-256") {
		t.Error("offered to those whom only the helper knows")
	}
}

// TestRememberedAnswer: for as long as the helper's operator says, and not
// longer for being used.
func TestRememberedAnswer(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := open(t, &Options{Now: func() time.Time { return now }})
	h := &asker{passwords: map[string]string{"ana": "a"}, remember: 10 * time.Minute}
	d.SetSources(Sources{Helper: h})
	for i, want := range []int{1, 1, 1, 2, 2} {
		must(t, signIn(d, "ana", "a"))
		if h.asked != want {
			t.Errorf("sign-in %d: asked %d times, want %d", i, h.asked, want)
		}
		now = now.Add(4 * time.Minute)
	}
	h.passwords["ana"] = "b"
	if err := signIn(d, "ana", "wrong"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Error(err)
	}
	must(t, signIn(d, "ana", "b"))
}

// A user of the file who moves to the helper, and back, stays the same.
func TestFromSourceToSource(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	h := &asker{passwords: map[string]string{"ana": "a"}}
	d.SetSources(Sources{PasswdFile: theFile, Helper: h})
	mirror(t, d, line("ana", sum), line("bea", sum))
	ana, err := d.Get(ctx, "ana")
	must(t, err)
	if err := signIn(d, "ana", "a"); !errors.Is(err, maildrop.ErrCredentials) || h.asked != 0 {
		t.Errorf("the helper was asked about a user of the file: %v", err)
	}
	mirror(t, d, line("bea", sum))
	must(t, signIn(d, "ana", "a"))
	if err := signIn(d, "ana", "secret"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("the password of the file: %v", err)
	}
	mirror(t, d, line("ana", sum), line("bea", sum))
	must(t, signIn(d, "ana", "secret"))
	if u, err := d.Get(ctx, "ana"); err != nil || u.ID != ana.ID || u.Source != SourcePasswdFile {
		t.Errorf("%+v, %v", u, err)
	}
}

// What one helper has said does not hold when another one is asked, nor what it
// was about to say of a user who was changed meanwhile.
func TestRememberedAnswerOfAnotherHelper(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	former := &asker{passwords: map[string]string{"ana": "a"}, remember: time.Hour}
	d.SetSources(Sources{Helper: former})
	must(t, signIn(d, "ana", "a"))
	d.SetSources(Sources{Helper: former, RefuseUnknown: true})
	must(t, signIn(d, "ana", "a"))
	if former.asked != 1 {
		t.Errorf("the same helper was asked %d times", former.asked)
	}
	next := &asker{passwords: map[string]string{"ana": "b"}, remember: time.Hour}
	d.SetSources(Sources{Helper: next})
	if err := signIn(d, "ana", "a"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("what another helper has said: %v", err)
	}
	next.meanwhile = func() {
		next.passwords["ana"] = "c"
		must(t, d.SetDisabled(ctx, "ana", true))
		must(t, d.SetDisabled(ctx, "ana", false))
	}
	must(t, signIn(d, "ana", "b")) // it was right when it was asked about
	next.meanwhile = nil
	if err := signIn(d, "ana", "b"); !errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("what was said before the user was changed: %v", err)
	}
}

// Mail for an alias goes where the alias leads: who has its name elsewhere does
// not become a user here, and does not get it.
func TestNobodyTakesTheNameOfAnAlias(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	ana := add(t, d, "ana", "p")
	must(t, d.AddAlias(ctx, "info", "ana"))
	must(t, d.AddAlias(ctx, "sales", "ana"))
	d.SetSources(Sources{PasswdFile: theFile, Helper: &asker{passwords: map[string]string{"info": "i", "inf": "i", "other": "o"},
		names: map[string]string{"inf": "info"}}})
	m := mirror(t, d, line("sales", sum), line("bea", sum))
	if m.Refused["sales"] == nil || m.Added != 1 {
		t.Errorf("the file: %+v", m)
	}
	for name, password := range map[string]string{"info": "i", "inf": "i"} {
		if err := signIn(d, name, password); !errors.Is(err, ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, signIn(d, "other", "o"))
	// Nor does somebody who is gone, comes back, and finds an alias.
	mirror(t, d, line("cleo", sum))
	must(t, d.AddAlias(ctx, "bea", "ana"))
	if m = mirror(t, d, line("cleo", sum), line("bea", sum)); m.Refused["bea"] == nil {
		t.Errorf("back again: %+v", m)
	}
	for _, name := range []string{"info", "sales", "bea"} {
		if list, err := d.Recipient(ctx, name); err != nil || len(list) != 1 || list[0].Maildrop != ana.ID {
			t.Errorf("mail for %s goes to %+v, %v", name, list, err)
		}
	}
}

// Who is barred here stays so wherever the password comes from next.
func TestDisabledStaysSoFromSourceToSource(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	d.SetSources(Sources{PasswdFile: theFile, Helper: &asker{passwords: map[string]string{"ana": "a"}}})
	mirror(t, d, line("ana", sum), line("bea", sum))
	must(t, d.SetDisabled(ctx, "ana", true))
	mirror(t, d, line("bea", sum))
	if err := signIn(d, "ana", "a"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("by the helper: %v", err)
	}
	mirror(t, d, line("ana", another), line("bea", sum))
	if err := signIn(d, "ana", "another"); !errors.Is(err, maildrop.ErrDisabled) {
		t.Errorf("by the file again: %v", err)
	}
}
