// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"encoding/base64"
	"strings"
	"testing"

	"restante.example/internal/peers"
	"restante.example/internal/tokens/tokenstest"
)

// TestOpenSSL: what the TLS of the server takes and refuses, asked by OpenSSL.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	openssl := peers.Need(t, "openssl")
	o := openOffice(t)
	letter := corpus()[1]
	accounts := map[string]account{"implicit": o.add(t, "ana@example.org", "implicit"), "stls": o.add(t, "carla@example.org", "stls")}
	for _, a := range accounts {
		o.deliver(t, letter.text, a.user)
	}
	for _, c := range []struct {
		name  string
		flags string
		good  bool
	}{
		{"TLS 1.3", "-tls1_3", true},
		{"TLS 1.2", "-tls1_2", true},
		{"TLS 1.1", "-tls1_1 -cipher DEFAULT@SECLEVEL=0", false},
		{"TLS 1.0", "-tls1 -cipher DEFAULT@SECLEVEL=0", false},
		{"TLS 1.2 without AEAD", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256", false},
		{"ALPN pop3", "-alpn pop3", true},
		{"ALPN of several", "-alpn imap,pop3", true},
		{"ALPN of another protocol", "-alpn http/1.1", false},
	} {
		for tls, a := range accounts {
			t.Run(c.name+" "+tls, func(t *testing.T) {
				args := append([]string{"s_client", "-connect", "localhost:" + a.port, "-servername", "localhost",
					"-CAfile", a.ca, "-verify_return_error", "-verify_hostname", "localhost", "-quiet", "-crlf"}, strings.Fields(c.flags)...)
				if tls == "stls" {
					args = append(args, "-starttls", "pop3")
				}
				commands := "USER " + a.user + "\nPASS " + password + "\nRETR 1\nQUIT\n"
				got := execute(t, newDir(t), commands, openssl, args...)
				// It shows what comes, with the dots still doubled.
				sent := strings.ReplaceAll(wire(a.user, letter.text), "\r\n.", "\r\n..") + ".\r\n"
				switch {
				case c.good && (got.code != 0 || !strings.Contains(got.output, sent)):
					t.Errorf("exit code %d\n%s", got.code, got.output)
				case !c.good && (got.code == 0 || !strings.Contains(got.output, "alert") || strings.Contains(got.output, "+OK")):
					t.Errorf("not refused: exit code %d\n%s", got.code, got.output)
				}
			})
		}
	}
}

// TestOpenSSLShowsCertificate: whoever shows the certificate of a person is that
// person by EXTERNAL, and nobody else; without one it is not announced.
func TestOpenSSLShowsCertificate(t *testing.T) {
	t.Parallel()
	openssl := peers.Need(t, "openssl")
	people := newAuthority(t)
	o := startOffice(t, peers.Dir(t), allMechanisms(t, tokenstest.New(t), people))
	a := o.addFor(t, tokenstest.Email, "implicit")
	o.deliver(t, corpus()[0].text, a.user)
	o.addFor(t, "carla@example.org", "implicit")
	certificate, key := people.issue(t, a.user)
	for _, c := range []struct {
		name, flags, commands, says string
	}{
		{"nobody named", "-cert " + certificate + " -key " + key, "AUTH EXTERNAL =\nSTAT\nQUIT\n", "+OK 1 "},
		{"named", "-cert " + certificate + " -key " + key, "AUTH EXTERNAL " + base64.StdEncoding.EncodeToString([]byte(a.user)) + "\nSTAT\nQUIT\n", "+OK 1 "},
		{"somebody else named", "-cert " + certificate + " -key " + key,
			"AUTH EXTERNAL " + base64.StdEncoding.EncodeToString([]byte("carla@example.org")) + "\nQUIT\n", "-ERR [AUTH]"},
		{"no certificate", "", "AUTH EXTERNAL =\nQUIT\n", "-ERR that mechanism is not offered"},
	} {
		args := append([]string{"s_client", "-connect", "localhost:" + a.port, "-servername", "localhost",
			"-CAfile", a.ca, "-verify_return_error", "-quiet", "-crlf"}, strings.Fields(c.flags)...)
		got := execute(t, newDir(t), "CAPA\n"+c.commands, openssl, args...)
		if !strings.Contains(got.output, c.says) || strings.Contains(got.output, "EXTERNAL") != (c.flags != "") {
			t.Errorf("%s: exit code %d\n%s", c.name, got.code, got.output)
		}
	}
}
