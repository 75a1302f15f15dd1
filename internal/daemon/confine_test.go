// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restante.example/internal/config"
	"restante.example/internal/sandbox"
)

// What the configuration names is kept, and nothing is that it does not name.
func TestNeeds(t *testing.T) {
	c := fileConfig(t, "/d", `
maildir = "/srv/mail/{user}"
[listen]
pop3s = [":995"]
lmtp = ["unix:/run/restante/lmtp.sock"]
[tls]
cert_file = "/tls/a.pem"
key_file = "/tls/a.key"
[[certificate]]
cert_file = "/tls-b/b.pem"
key_file = "/tls-b/b.pem"
[[listener]]
service = "pop3s"
address = "127.0.0.1:1995"
client_certificates = "on"
client_ca = "/ca/ca.pem"
[users]
passwd_file = "/etc/restante/users"
`)
	none := func(string) string { return "" }
	n := needs(c, none)
	if want := []string{"/d", "/srv/mail", "/run/restante"}; !slices.Equal(n.Write, want) {
		t.Errorf("written are %q, want %q", n.Write, want)
	}
	for _, file := range []string{"/tls/a.pem", "/tls/a.key", "/tls-b/b.pem", "/ca/ca.pem", "/etc/restante/users", c.File} {
		if !slices.Contains(n.Renewed, file) {
			t.Errorf("%s is not kept", file)
		}
	}
	if slices.Contains(n.Renewed, "") || n.Run || n.Connect || n.Abstract || len(n.Read) > 0 {
		t.Errorf("%+v", n)
	}
	c.Users.Helper = []string{"/bin/check"}
	c.Tokens.Issuer = "https://id.example.org"
	if n := needs(c, func(string) string { return "@manager" }); !n.Run || !n.Connect || !n.Abstract {
		t.Errorf("with a helper, tokens and an abstract socket: %+v", n)
	}
}

// A reload that needs what was given up is refused whole, with what to do.
func TestReloadBeyondTheSandbox(t *testing.T) {
	c := testConfig(t, config.Flags{})
	_, l := begin(t, c)
	if err := l.server.given(c); err != nil {
		t.Errorf("without a sandbox: %v", err)
	}
	kept := needs(c, os.Getenv)
	l.server.kept.Store(&kept)
	for name, change := range map[string]func(*config.Config){
		"helper": func(c *config.Config) { c.Users.Helper = []string{"/bin/true"} },
		"tokens": func(c *config.Config) { c.Tokens.Issuer = "https://id.example.org" },
	} {
		next := *c
		next.Expire = "never"
		change(&next)
		err := l.server.Reload(func() (*config.Config, error) { return &next, nil })
		if !errors.Is(err, errGivenUp) || !strings.Contains(err.Error(), "restart") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l.server.config.Load() != c {
		t.Error("a reload that was refused has changed something")
	}
	denied := &os.PathError{Op: "open", Path: filepath.Join(t.TempDir(), "k"), Err: os.ErrPermission}
	if err := l.server.beyond(denied); !errors.Is(err, errGivenUp) || !errors.Is(err, os.ErrPermission) {
		t.Errorf("denied: %v", err)
	}
	l.server.kept.Store(&sandbox.Needs{Run: true, Connect: true})
	next := *c
	next.Users.Helper, next.Tokens.Issuer = []string{"/bin/true"}, "https://id.example.org"
	if err := l.server.given(&next); err != nil {
		t.Errorf("what was kept: %v", err)
	}
}
