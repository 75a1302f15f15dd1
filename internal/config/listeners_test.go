// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestListeners(t *testing.T) {
	name := write(t, `
data = "/d"
[[listener]] # for the proxy
service = "pop3"
address = "127.0.0.1:1110"
clear_text = "never"
mechanisms = { USER = "off" }
proxies = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.1", "unix"]
trust_proxy_tls = true

[listen]
pop3 = [":110"]

[[certificate]]
cert_file = "a.pem"
key_file = "/keys/a.pem"

[[listener]]
service = "pop3s"
address = "[::1]:995"
[listener.mechanisms]
EXTERNAL = "required"

[[listener]]
service = "pop3s"
address = "[::1]:1995"
client_certificates = "required"
client_ca = "ca.pem"
cert_file = "own.pem"
key_file = "own.pem"

[[certificate]]
cert_file = "b.pem"
key_file = "b.pem"
`)
	c, err := Load(name, Flags{}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range c.Listening() {
		got = append(got, a.Name())
	}
	if want := []string{"pop3 :110", "pop3 127.0.0.1:1110", "pop3s [::1]:995", "pop3s [::1]:1995"}; !slices.Equal(got, want) {
		t.Errorf("listening on %q, want %q: what the file says and no defaults", got, want)
	}
	dir := filepath.Dir(name)
	if c.Listeners[0].Mechanisms != (Mechanisms{User: OfferOff}) || c.Listeners[1].Mechanisms != (Mechanisms{External: OfferRequired}) {
		t.Errorf("mechanisms: %+v", c.Listeners)
	}
	if a := c.Listeners[2]; a.ClientCA != filepath.Join(dir, "ca.pem") || a.CertFile != filepath.Join(dir, "own.pem") || !a.Own() {
		t.Errorf("the second: %+v", a)
	}
	if want := []Certificate{{filepath.Join(dir, "a.pem"), "/keys/a.pem"}, {filepath.Join(dir, "b.pem"), filepath.Join(dir, "b.pem")}}; !slices.Equal(c.Certificates, want) {
		t.Errorf("certificates %+v", c.Certificates)
	}
	sources, unix, err := c.Listeners[0].ProxySources()
	if err != nil || !unix || len(sources) != 4 || sources[0].String() != "10.0.0.0/8" || sources[1].String() != "192.0.2.7/32" || sources[3].String() != "198.51.100.1/32" {
		t.Errorf("proxies %v, %v, %v", sources, unix, err)
	}

	// A flag replaces all that the file says of the service.
	if c, err = Load(name, Flags{POP3: "127.0.0.1:9110", POP3S: "off"}, noEnv); err != nil {
		t.Fatal(err)
	}
	if all := c.Listening(); len(all) != 1 || all[0].Name() != "pop3 127.0.0.1:9110" || all[0].Own() {
		t.Errorf("with flags: %+v", all)
	}
}

// Without tables of listeners the defaults hold, and inline tables count too.
func TestListenerDefaults(t *testing.T) {
	c, err := Load(write(t, `data = "/d"`), Flags{}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if all := c.Listening(); len(all) != 2 || all[0].Name() != "pop3s :995" || all[1].Name() != "lmtp unix:/d/lmtp.sock" {
		t.Errorf("%+v", all)
	}
	c, err = Load(write(t, `listener = [{ service = "lmtp", address = "systemd:lmtp" }]`), Flags{Data: "/d"}, noEnv)
	if err != nil || len(c.Listening()) != 1 {
		t.Errorf("inline: %+v, %v", c, err)
	}
}

// Each mistake in a table of a listener has the line that it is in.
func TestListenerMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"[[listener]]\nservice = \"imap\"":                         `:2: [[listener]] needs a service`,
		"[[listener]]\naddress = \":1\"":                           `:1: [[listener]] needs a service`,
		"[[listener]]\nservice = \"pop3\"":                         `:1: address is ""`,
		"\n[[listener]]\nservice = \"pop3\"\naddress = \"995\"":    `:4: address is "995"; write ADDRESS:PORT`,
		"[[listener]]\nservice = \"pop3\"\naddress = \"systemd:\"": `:3: address: "systemd:" needs`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\n[[listener]]\nservice = \"pop3\"\nadress = \":2\"":   `:6: [listener] has no "adress"; it has: service, address`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\n[[listener]]\nservice = \"pop3s\"\naddress = \":1\"": `:6: :1 is there twice`,
		"[listen]\npop3 = [\":1\"]\n[[listener]]\nservice = \"pop3s\"\naddress = \":1\"":                          `:5: :1 is there twice`,
		"[listener]\nservice = \"pop3\"": `:1: [listener] is written [[listener]], once for each`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\n[listener.nonsense]\na = 1":                                                                       `:4: there is no table [listener.nonsense]`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\nproxies = [\"proxy.example.org\"]":                                                                `:4: proxies has "proxy.example.org"`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\nproxies = [\"0.0.0.0/0\"]":                                                                        `everybody could claim any address`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\nproxies = \"10.0.0.0/8\"":                                                                         `:4: `,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\ntrust_proxy_tls = true":                                                                           `:4: trust_proxy_tls`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\nclear_text = \"yes\"":                                                                             `:4: clear_text is "yes"`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\ncert_file = \"/c\"":                                                                               `:4: cert_file and key_file belong together`,
		"[[listener]]\nservice = \"pop3s\"\naddress = \":1\"\nclient_certificates = \"on\"":                                                                    `:4: client_certificates = "on" needs client_ca`,
		"[[listener]]\nservice = \"pop3s\"\naddress = \":1\"\nclient_ca = \"/c\"":                                                                              `:4: client_ca is for`,
		"[[listener]]\nservice = \"pop3s\"\naddress = \":1\"\nclient_certificates = \"maybe\"":                                                                 `:4: client_certificates is "maybe"`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\nclient_certificates = \"required\"\nclient_ca = \"/c\"":                                           `:4: client_certificates = "required" needs service = "pop3s"`,
		"[[listener]]\nservice = \"lmtp\"\naddress = \":1\"\nclear_text = \"never\"":                                                                           `:4: clear_text is for pop3 and pop3s`,
		"[[listener]]\nservice = \"lmtp\"\naddress = \":1\"\ngroup = \"mail\"":                                                                                 `:4: group is for a Unix socket`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\n[listener.mechanisms]\nPLAIN = \"yes\"":                                                           `:5: [listener.mechanisms] PLAIN is "yes"`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\nmechanisms = { CRAM = \"on\" }":                                                                   `:4: `,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\n[listener.mechanisms]\nCRAM = \"on\"":                                                             `:5: [listener.mechanisms] has no "CRAM"; it has: SCRAM-SHA-256-PLUS`,
		"[[listener]]\nservice = \"pop3\"\naddress = \":1\"\n[listener.mechanisms]\nSCRAM-SHA-256 = \"off\"\nPLAIN = \"off\"\nLOGIN = \"off\"\nUSER = \"off\"": `:4: [listener.mechanisms] switches every way to sign in off`,
		"[[certificate]]\ncert_file = \"/c\"":                                                                                                                  `:1: [[certificate]] needs cert_file and key_file`,
		"listener = [{ service = \"imap\" }]":                                                                                                                  `:1: [[listener]] needs a service`,
	} {
		_, err := Load(write(t, text), Flags{Data: "/d"}, noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\ngives %v\nwant  %s", text, err, want)
		}
	}
}

// What the example shows of listeners and certificates is good, too.
func TestExampleOfListeners(t *testing.T) {
	text, err := os.ReadFile("../../packaging/restanted.toml")
	if err != nil {
		t.Fatal(err)
	}
	live := regexp.MustCompile(`(?m)^#(\[\[?[a-z]+\]\]?$|[a-z_]+ = )`).ReplaceAllString(string(text), "$1")
	c, err := Load(write(t, live), Flags{}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Listeners) != 1 || len(c.Certificates) != 1 || c.Listeners[0].Mechanisms.Plain != OfferOff {
		t.Errorf("%+v", c)
	}
}
