// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCheckURL(t *testing.T) {
	for address, good := range map[string]bool{
		"https://login.example.org":              true,
		"https://login.example.org:8443/a/b?c":   true,
		"http://localhost:8080/realms/office":    true,
		"http://127.0.0.5/":                      true,
		"http://[::1]:8080/":                     true,
		"http://login.example.org/":              false,
		"http://localhost.example.org/":          false,
		"http://127.0.0.1.example.org/":          false,
		"https://":                               false,
		"https:login.example.org":                false,
		"login.example.org":                      false,
		"ftp://login.example.org":                false,
		"https://user:hunter2@login.example.org": false,
		"https://login.example.org/#x":           false,
		"https://login.example.org\x7f":          false,
		"":                                       false,
	} {
		if err := CheckURL(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		} else if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a password shows: %v", err)
		}
	}
}

// What would take tokens of others is refused.
func TestOptionsAreChecked(t *testing.T) {
	good := Options{Issuer: "https://login.example.org", Audience: []string{"r"}}
	asked := Options{Introspection: "https://login.example.org/i", Scopes: []string{"mail"}}
	for i, c := range []struct {
		o    Options
		want string
	}{
		{good, ""}, {asked, ""},
		{Options{Audience: []string{"r"}}, "neither an issuer"},
		{Options{Issuer: "https://login.example.org", Scopes: []string{"mail"}}, "no audience"},
		{Options{Introspection: "https://login.example.org/i"}, "no audience"},
		{Options{Issuer: "http://login.example.org", Audience: []string{"r"}}, "https"},
		{Options{Issuer: good.Issuer, Audience: good.Audience, Algorithms: []string{"RS256", "HS256"}}, "HS256"},
		{Options{Issuer: good.Issuer, Audience: good.Audience, Roots: "no certificate"}, "no certificate in PEM"},
	} {
		checker, err := New(c.o, Environment{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d: %v, want %q", i, err, c.want)
		}
		if err == nil {
			checker.Close()
		}
	}
}

// A provider whose certificate nobody vouches for is not believed.
func TestCertificateOfTheProvider(t *testing.T) {
	d := openDesk(t, func(o *Options) { o.Roots = "" })
	d.cannotTell(t, d.Token("ES256", nil), "certificate")
	d = openDesk(t, asking(func(o *Options) { o.Roots = "" }))
	d.cannotTell(t, d.Opaque(nil), "certificate")
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		text string
		mode os.FileMode
		want string // of the error, or "" and then the text without its end
	}{
		{"s3cret", 0o600, ""}, {"s3cret\n", 0o400, ""}, {"s3cret\r\n", 0o600, ""}, {" s3 cret \n", 0o600, ""},
		{"s3cret", 0o640, "chmod 600"}, {"s3cret", 0o604, "chmod 600"}, {"s3cret", 0o620, "chmod 600"},
		{"", 0o600, "is empty"}, {"\n", 0o600, "is empty"},
		{"s3cret\nmore\n", 0o600, "on one line"}, {strings.Repeat("s3cret", 1000), 0o600, "on one line"},
	} {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := errors.Join(os.WriteFile(name, []byte(c.text), 0o600), os.Chmod(name, c.mode)); err != nil {
			t.Fatal(err)
		}
		secret, err := ReadSecret(name)
		switch {
		case c.want == "" && (err != nil || string(secret) != strings.TrimRight(c.text, "\r\n")):
			t.Errorf("%d: %v", i, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%d: %v, want %q", i, err, c.want)
		}
	}
	if _, err := ReadSecret(dir); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ReadSecret(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}
