// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/md5"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"restante.example/internal/cert"
	"restante.example/internal/config"
)

// A certificate signs its user in where EXTERNAL is on: by its authority, or by
// its fingerprint, and nobody else.
func TestClientCertificatesSignIn(t *testing.T) {
	caFile, ana := clientCertificate(t, "ana@elsewhere.example", "bea@example.org")
	_, pinned := clientCertificate(t)
	_, foreign := clientCertificate(t, "ana@example.org")
	file := filepath.Join(t.TempDir(), "restanted.toml")
	settings := func(names string) {
		t.Helper()
		text := fmt.Sprintf(`
[listen]
pop3s = ["127.0.0.1:0"]
[mechanisms]
EXTERNAL = "on"
[client_certificates]
ca_file = %q
names = [%q]
[client_certificates.fingerprints]
"carl" = [%q]
[[listener]]
service = "pop3s"
address = "127.0.0.2:0"
mechanisms = { EXTERNAL = "off" }
[[listener]]
service = "pop3s"
address = "127.0.0.3:0"
client_certificates = "required"
client_ca = %q
mechanisms = { EXTERNAL = "required" }
`, caFile, names, cert.Fingerprint(&pinned), caFile)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*config.Config, error) {
		return config.Load(file, config.Flags{Data: filepath.Join(filepath.Dir(file), "data"), LMTP: "off"}, os.Getenv)
	}
	settings("common-name")
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	_, l := begin(t, c)
	for _, name := range []string{"ana", "bea", "carl"} {
		addUser(t, l.server, name)
	}
	// as connects, and signs in by EXTERNAL as somebody.
	as := func(listener int, identity string, shown ...tls.Certificate) string {
		t.Helper()
		p, _, err := secure(t, addressIn(t, l.server, POP3S, listener), &tls.Config{Certificates: shown})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.expect("+OK")
		p.say("AUTH EXTERNAL " + identity + "\r\nQUIT\r\n")
		line, err := p.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	const (
		in         = "+OK 0 messages (0 octets)"
		wrong      = "-ERR [AUTH] wrong name or password"
		notOffered = "-ERR that mechanism is not offered"
	)
	for _, test := range []struct {
		name     string
		listener int
		identity string
		shown    []tls.Certificate
		want     string
	}{
		{"by its authority", 0, "=", []tls.Certificate{ana}, in},
		{"as who it is", 0, "YW5h", []tls.Certificate{ana}, in},
		{"as somebody else", 0, "YmVh", []tls.Certificate{ana}, wrong},
		{"by its fingerprint", 0, "=", []tls.Certificate{pinned}, in},
		{"by its fingerprint, as somebody else", 0, "YW5h", []tls.Certificate{pinned}, wrong},
		{"of nobody's", 0, "=", []tls.Certificate{foreign}, notOffered},
		{"none", 0, "=", nil, notOffered},
		{"where it is off", 1, "=", []tls.Certificate{ana}, notOffered},
		{"where it is required", 2, "=", []tls.Certificate{ana}, in},
	} {
		if got := as(test.listener, test.identity, test.shown...); got != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	p, _, err := secure(t, addressIn(t, l.server, POP3S, 2), &tls.Config{Certificates: []tls.Certificate{ana}})
	if err != nil {
		t.Fatal(err)
	}
	p.say("USER ana\r\n")
	p.expect("+OK")
	p.expect("-ERR")
	p.Close()

	// Addresses of domains that are nobody's here are not taken for the names
	// without one; what is read anew holds at once.
	settings("email")
	if err := l.server.Reload(load); err != nil {
		t.Fatal(err)
	}
	if got := as(0, "=", ana); got != notOffered {
		t.Errorf("an address of a foreign domain: %q", got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append([]byte("delivery = { local_domains = [\"example.org\"] }\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.server.Reload(load); err != nil {
		t.Fatal(err)
	}
	if got := as(0, "YmVhQGV4YW1wbGUub3Jn", ana); got != in {
		t.Errorf("an address of a domain of ours: %q", got)
	}

	// A reload that cannot read the authorities changes nothing.
	if err := os.WriteFile(caFile, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.server.Reload(load); err == nil || !strings.Contains(err.Error(), "no certificate in it") {
		t.Errorf("authorities that cannot be read: %v", err)
	}
	if got := as(0, "YmVhQGV4YW1wbGUub3Jn", ana); got != in {
		t.Errorf("after a reload that was refused: %q", got)
	}
}

// Clients are asked for a certificate on the listeners where EXTERNAL is on, and
// on no others: some of them bother people about it.
func TestWhoIsAskedForACertificate(t *testing.T) {
	caFile, ana := clientCertificate(t)
	c := fileConfig(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf(`
[listen]
pop3s = ["127.0.0.1:0"]
[client_certificates]
ca_file = %q
names = ["common-name"]
[[listener]]
service = "pop3s"
address = "127.0.0.2:0"
mechanisms = { EXTERNAL = "on" }
[[listener]]
service = "pop3s"
address = "127.0.0.3:0"
mechanisms = { EXTERNAL = "on" }
client_certificates = "off"
`, caFile))
	_, l := begin(t, c)
	addUser(t, l.server, "ana")
	for listener, want := range []bool{false, true, false} {
		asked := false
		p, _, err := secure(t, addressIn(t, l.server, POP3S, listener), &tls.Config{
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return &ana, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.expect("+OK")
		p.say("AUTH EXTERNAL =\r\nQUIT\r\n")
		line, err := p.in.ReadString('\n')
		if err != nil || asked != want || strings.HasPrefix(line, "+OK") != want {
			t.Errorf("listener %d: asked %v, then %q, %v", listener, asked, line, err)
		}
		p.Close()
	}
}

// APOP is there where it is on, for who has a password for it, until that or the
// user's own is another.
func TestAPOPSignsIn(t *testing.T) {
	c := fileConfig(t, filepath.Join(t.TempDir(), "data"), `
hostname = "mail.example.org"
[[listener]]
service = "pop3"
address = "127.0.0.1:0"
mechanisms = { APOP = "on" }
[[listener]]
service = "pop3"
address = "127.0.0.2:0"
`)
	_, l := begin(t, c)
	addUser(t, l.server, "ana")
	call := func(op, password string) {
		t.Helper()
		if err := l.server.Operations().Call(t.Context(), op, UserArgs{Name: "ana", Password: password}, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	greeted := func(listener int) (*peer, string) {
		t.Helper()
		p := dial(t, addressIn(t, l.server, POP3, listener))
		line, err := p.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return p, regexp.MustCompile(`<[0-9a-f]{32}@mail\.example\.org>`).FindString(line)
	}
	signIn := func(secret string) string {
		t.Helper()
		p, timestamp := greeted(0)
		defer p.Close()
		p.say(fmt.Sprintf("APOP ana %x\r\nQUIT\r\n", md5.Sum([]byte(timestamp+secret))))
		line, err := p.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	if _, timestamp := greeted(0); timestamp != "" {
		t.Error("APOP is announced while nobody has a password for it")
	}
	call(OpUserAPOP, "tanstaaf")
	if _, timestamp := greeted(0); timestamp == "" {
		t.Error("APOP is not announced")
	}
	if _, timestamp := greeted(1); timestamp != "" {
		t.Error("APOP is announced where it is off")
	}
	if got := signIn("tanstaaf"); got != "+OK 0 messages (0 octets)" {
		t.Errorf("the right password: %q", got)
	}
	if got := signIn("secret"); got != "-ERR [AUTH] wrong name or password" {
		t.Errorf("the password of the user, which is another: %q", got)
	}
	call(OpUserAPOP, "another")
	if got := signIn("tanstaaf"); got != "-ERR [AUTH] wrong name or password" {
		t.Errorf("the old password: %q", got)
	}
	call(OpUserPassword, "new secret")
	if _, timestamp := greeted(0); timestamp != "" {
		t.Error("the password for APOP is still there after that of the user is another")
	}
}
