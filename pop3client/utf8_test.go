// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"restante.example/pop3"
	"restante.example/sasl"
)

// TestUTF8 asks for it before sign-in, and not after. RFC 6856 section 2.
func TestUTF8(t *testing.T) {
	c, err := New(t.Context(), script(t, `
		S: +OK
		C: UTF8
		S: -ERR no
		C: UTF8
		S: +OK
		C: USER u1
		S: +OK
		C: PASS secret
		S: +OK`), clear)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.UTF8(t.Context()); !refused("")(err) {
		t.Error(err)
	}
	if err := errors.Join(c.UTF8(t.Context()), c.SignIn(t.Context(), u1)); err != nil {
		t.Error(err)
	}
	if err := c.UTF8(t.Context()); !errors.Is(err, ErrState) {
		t.Error(err)
	}
}

// utf8First is a server in clear text whose capabilities are asked for.
var utf8First = &Options{InsecurePassword: true, UTF8: true}

// TestUTF8BeforeSignIn: SignIn says UTF8 by itself where it is announced, once,
// and a refusal of it is no refusal to sign in.
func TestUTF8BeforeSignIn(t *testing.T) {
	for _, conversation := range []string{`
		S: +OK
		C: CAPA
		S: +OK
		S: UTF8
		S: .
		C: UTF8
		S: +OK
		C: USER u1
		S: +OK
		C: PASS secret
		S: +OK`, `
		S: +OK
		C: CAPA
		S: +OK
		S: UTF8 USER
		S: .
		C: UTF8
		S: -ERR not today
		C: USER u1
		S: +OK
		C: PASS secret
		S: +OK`, `
		S: +OK
		C: CAPA
		S: +OK
		S: TOP
		S: .
		C: USER u1
		S: +OK
		C: PASS secret
		S: +OK`, `
		S: +OK
		C: CAPA
		S: +OK
		S: UTF8
		S: .
		C: UTF8
		S: +OK
		C: USER u1
		S: +OK
		C: PASS secret
		S: -ERR [AUTH] no
		C: USER u1
		S: +OK
		C: PASS secret
		S: +OK`} {
		c, err := New(t.Context(), script(t, conversation), utf8First)
		if err != nil {
			t.Fatal(err)
		}
		if err = c.SignIn(t.Context(), u1); errors.Is(err, pop3.CodeAuth) {
			err = c.SignIn(t.Context(), u1)
		}
		if err != nil {
			t.Errorf("%s\n%v", conversation, err)
		}
		c.Close()
	}
}

// TestNamesBeyondASCII: USER, PASS and APOP never carry them to a server that
// does not announce UTF8 USER; PLAIN does, whose matter they are. RFC 6856
// section 2.2.
func TestNamesBeyondASCII(t *testing.T) {
	const start = `
		S: +OK <1@example.org>
		C: CAPA
		S: +OK
		`
	only := func(name string) func(Offer) []string { return func(Offer) []string { return []string{name} } }
	for _, test := range []struct {
		name, conversation string
		user               string
		password           sasl.Secret
		choose             func(Offer) []string
		want               error
	}{
		{"not announced", start + "S: UTF8\nS: .", "u1", "contraseña", only(User), ErrNotASCII},
		{"name", start + "S: UTF8\nS: .", "josé", "secret", only(User), ErrNotASCII},
		{"nothing announced", "S: +OK\nC: CAPA\nS: -ERR", "josé", "secret", nil, ErrNotASCII},
		{"no UTF-8", start + "S: UTF8 USER\nS: .", "u1", "contrase\xf1a", only(User), ErrNotASCII},
		{"APOP", start + "S: UTF8\nS: .", "u1", "contraseña", only(APOP), ErrNotASCII},
		{"USER", start + "S: UTF8 USER\nS: .\nC: USER josé\nS: +OK\nC: PASS contraseña\nS: +OK", "josé", "contraseña", only(User), nil},
		{"ASCII", start + "S: TOP\nS: .\nC: USER u1\nS: +OK\nC: PASS secret\nS: +OK", "u1", "secret", only(User), nil},
		// The digest of <1@example.org>contraseña, each letter one character, by
		// printf and md5sum.
		{"prepared for APOP", start + "S: UTF8 USER\nS: .\nC: APOP José 0c48fe9235b61c4a06f3d2f2d1667b6b\nS: +OK",
			"Jose\u0301", "contrasen\u0303a", only(APOP), nil},
		{"prohibited for APOP", start + "S: UTF8 USER\nS: .", "u1", "ñ\u0007", only(APOP), ErrArgument},
		{"name prohibited for APOP", start + "S: UTF8 USER\nS: .", "josé\u2028", "secret", only(APOP), ErrArgument},
		{"PLAIN", start + "S: SASL PLAIN\nS: AUTH-RESP-CODE\nS: .\nC: AUTH PLAIN AGpvc8OpAGNvbnRyYXNlw7Fh\nS: +OK", "josé", "contraseña", nil, nil},
	} {
		c, err := New(t.Context(), script(t, test.conversation), &Options{InsecurePassword: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), Credentials{User: test.user, Password: test.password, Choose: test.choose}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		c.Close()
	}
}

// TestLanguages: listed and chosen in both states; what is no language is not
// taken for one. RFC 6856 section 3.
func TestLanguages(t *testing.T) {
	c, err := New(t.Context(), script(t, `
		S: +OK
		C: LANG
		S: +OK Language listing follows:
		S: en English
		S: en-boont English Boontling dialect
		S: es Español
		s: pl \e[31mpolski\r\n
		S: zh
		S: not/a/tag Nothing
		S:
		S: .
		C: LANG
		S: -ERR Server is unable to list languages
		C: LANG MUL
		S: -ERR invalid language MUL
		C: LANG es-MX
		S: +OK es Idioma cambiado
		C: USER u1
		S: +OK envíe
		C: PASS secret
		S: +OK
		C: LANG *
		S: +OK sv
		C: LANG de
		S: +OK ¡sí!
		C: STAT
		S: +OK 1 2`), clear)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	got, err := c.Languages(ctx)
	want := []Language{{"en", "English"}, {"en-boont", "English Boontling dialect"}, {"es", "Español"}, {"pl", "?[31mpolski"}, {"zh", ""}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := c.Languages(ctx); !refused("")(err) || got != nil {
		t.Error(got, err)
	}
	choose := func(languageRange, want string, ok func(error) bool) {
		t.Helper()
		if got, err := c.Language(ctx, languageRange); got != want || !ok(err) {
			t.Errorf("%q: %q, %v", languageRange, got, err)
		}
	}
	none := func(err error) bool { return err == nil }
	choose("MUL", "", refused(""))
	choose("es-MX", "es", none)
	if err := c.SignIn(ctx, u1); err != nil {
		t.Fatal(err)
	}
	choose("*", "sv", none)
	choose("de", "", func(err error) bool { return errors.Is(err, ErrProtocol) })
	for _, bad := range []string{"", " ", "es en", "es\r\nDELE 1", "es_ES", "ñ", "abcdefghij"} {
		choose(bad, "", func(err error) bool { return errors.Is(err, ErrArgument) })
	}
	if n, _, err := c.Stat(ctx); n != 1 || err != nil {
		t.Errorf("the conversation is not in step: %v", err)
	}
}

// A list of languages without end is given up.
func TestTooManyLanguages(t *testing.T) {
	conversation := "S: +OK\nC: LANG\nS: +OK\n"
	for n := range maxCapa + 1 {
		conversation += fmt.Sprintf("S: x-%d\n", n)
	}
	c, err := New(t.Context(), script(t, conversation), clear)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Languages(t.Context()); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}
