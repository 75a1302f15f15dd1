// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"restante.example/collect"
	"restante.example/pop3client"
	"restante.example/sasl"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoad(t *testing.T) {
	file := write(t, `
[defaults]
tls = "stls"
to = ["maildir:~/Mail"]
keep = "30d"
password_command = "pass show {}"

[accounts.work]
server = "pop.example.org:1110"
user = "ana"
delete = true
ca = "ca.pem"

[accounts.home]
server = "::1"
user = "bea"
password_env = "BEA"
to = ["mbox:x", "eml:y"]
max_size = "25MB"
`)
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "ca.pem"), cert, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := Load(file, "/home/ana")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	work, home := list[0], list[1]
	if work.Name != "work" || work.Address() != "pop.example.org:1110" || work.TLS != "stls" || work.PasswordCommand == "" ||
		work.Policy() != (collect.Keep{Delete: true}) || work.CA != filepath.Join(filepath.Dir(file), "ca.pem") || work.Recipient != "ana" {
		t.Errorf("%+v", work)
	}
	if home.Address() != "[::1]:110" || home.PasswordCommand != "" || len(home.To) != 2 || home.MaxSize != 25e6 ||
		home.Policy() != (collect.Keep{For: 30 * 24 * time.Hour}) || time.Duration(home.Interval) != DefaultInterval {
		t.Errorf("%+v", home)
	}
}

// All mistakes come at once, each with its line.
func TestEveryMistakeHasItsLine(t *testing.T) {
	file := write(t, `keep = "30d"
[defaults]
colour = "red"
interval = "soon"
[acounts.x]
[accounts.a]
server = "pop.example.org"
user = "a"
tls = "maybe"
to = ["maildir:x", "imap:y"]
pin = ["12:34"]
delete = true
keep = "2w"
[accounts.b]
server = "pop.example.org:99999"
tls = "none"
password = "x"
netrc = "~/.netrc"
[accounts.c]
server = "pop.example.org"
user = "recent:c@example.org"
to = ["lmtp:unix:/x"]
tls = "none"
keep_messages = 5
`)
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file, "/home/ana")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	got := make(map[int]string)
	for _, p := range problems {
		got[p.Line] += p.Text + "\n"
	}
	for line, want := range map[int]string{
		1: "no table", 3: "there is no \"colour\"", 4: "is no time", 5: "no table [acounts.x]", 9: "maybe", 10: "imap:y", 11: "fingerprint",
		12: "contradict", 14: "no user name", 15: "99999", 17: "only one of", 23: "without TLS",
	} {
		if !strings.Contains(got[line], want) {
			t.Errorf("line %d: %q, want %q", line, got[line], want)
		}
	}
	if runtime.GOOS != "windows" && !strings.Contains(got[17], "chmod 600") {
		t.Errorf("a password that others can read: %q", got[17])
	}
	if !strings.Contains(err.Error(), "recent:") {
		t.Errorf("deletion in Gmail's mode for several devices: %v", err)
	}
	if strings.Contains(err.Error(), "password = \"x\"") {
		t.Error("a problem shows the password")
	}
}

func TestNotTOML(t *testing.T) {
	for _, text := range []string{"[defaults\n", "x = = 1", ""} {
		if _, err := Load(write(t, text), ""); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("[defaults]\nto=['eml:x']\n[accounts.a]\nserver='h'\nuser='u'\n")
	f.Add("[[accounts.a]]\na.b.c=1\n[accounts]\nx={y=1}")
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := Load(name, "/h")
		if err == nil && len(list) == 0 {
			t.Error("no account and no error")
		}
		for _, a := range list {
			if a.Server == "" || a.User == "" || len(a.To) == 0 {
				t.Errorf("incomplete: %+v", a)
			}
		}
	})
}

func TestFromFlags(t *testing.T) {
	a, err := FromFlags(Settings{Server: "127.0.0.1:1110", TLS: "none", User: "u1", To: []string{"maildir:x"}}, ToCollect)
	if err != nil || a.Name != "u1@127.0.0.1" {
		t.Fatal(a, err)
	}
	for server, way := range map[string]string{"pop.example.org": "implicit", "pop.example.org:110": "stls", "pop.example.org:995": "implicit", "pop.example.org:40123": "implicit"} {
		b, err := FromFlags(Settings{Server: server, TLS: way, User: "u1", To: []string{"maildir:x"}}, ToCollect)
		if err != nil || b.Name != "u1@pop.example.org" {
			t.Errorf("%s: %v, %v", server, b, err)
		}
	}
	opt, err := a.Options()
	if err != nil || !opt.InsecureLocalPassword || opt.InsecurePassword {
		t.Errorf("%+v, %v", opt, err)
	}
	for _, s := range []Settings{
		{Server: "192.0.2.1", TLS: "none", User: "u", To: []string{"eml:x"}},
		{Server: "h", User: "u"},
		{User: "u", To: []string{"eml:x"}},
		{Server: "h", User: "u\r\nDELE 1", To: []string{"eml:x"}},
		{Server: "h", User: "u", To: []string{"eml:x"}, CA: "/no/such/file"},
		{Server: "h", User: "u", To: []string{"eml:x"}, CA: write(t, "no certificate")},
	} {
		if _, err := FromFlags(s, ToCollect); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	if _, err := FromFlags(Settings{Server: "h", User: "u"}, ToLook); err != nil {
		t.Error(err)
	}
	a.CA = write(t, "no certificate any more")
	if _, err := a.Options(); !errors.As(err, new(*SettingsError)) {
		t.Error(err)
	}
}

func TestFileNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range []string{"a", "A", "a/b", "a\\b", "..", ".", "a:b", "ana@example.org", "a%2fb", "CON ", "ñ"} {
		f := fileName(name)
		if strings.ContainsAny(f, "/\\: ") || f == "." || f == ".." || seen[strings.ToLower(f)] {
			t.Errorf("%q became %q", name, f)
		}
		seen[strings.ToLower(f)] = true
	}
}

func credentials(t *testing.T, s Settings, from Source) (pop3client.Credentials, error) {
	t.Helper()
	a, err := FromFlags(s, ToLook)
	if err != nil {
		t.Fatal(err)
	}
	return a.Credentials(t.Context(), from)
}

func TestWherePasswordsComeFrom(t *testing.T) {
	keyring.MockInit()
	if err := keyring.Set(KeyringService, "u@h", "ring"); err != nil {
		t.Fatal(err)
	}
	file := write(t, "from file\r\nsecond line\n")
	netrc := write(t, "machine x login u password wrong # no\nmachine h\n  login other password no\n"+
		"machine h login u\n  password \"two words\"\nmacdef init\nmachine h login u password no\n\ndefault login z password no\n")
	env := map[string]string{"MINE": "from env", "RESTANTE_PASSWORD": "single", "RESTANTE_PASSWORD_V_H": "named"}
	from := Source{Getenv: func(k string) string { return env[k] }, Single: true, Ask: func(context.Context, *Account) (sasl.Secret, error) {
		return "asked", nil
	}}
	base := Settings{Server: "h", User: "u"}
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"file":    {func(s *Settings) { s.PasswordFile = file }, "from file"},
		"env":     {func(s *Settings) { s.PasswordEnv = "MINE" }, "from env"},
		"keyring": {func(s *Settings) { s.Keyring = true }, "ring"},
		"netrc":   {func(s *Settings) { s.Netrc = netrc }, "two words"},
		"single":  {func(*Settings) {}, "single"},
		"named":   {func(s *Settings) { s.User = "v" }, "named"},
	} {
		s := base
		c.change(&s)
		got, err := credentials(t, s, from)
		if err != nil || string(got.Password) != c.want {
			t.Errorf("%s: %q, %v", name, string(got.Password), err)
		}
	}
	from.Single = false
	if got, err := credentials(t, base, from); err != nil || string(got.Password) != "asked" {
		t.Errorf("asked: %v", err)
	}
	from.Ask = nil
	if _, err := credentials(t, base, from); !errors.Is(err, ErrNoPassword) {
		t.Errorf("nobody to ask: %v", err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("the rest needs a Unix shell and modes; run on Unix")
	}
	base.PasswordCommand = "printf 'cmd\\nrest\\n'"
	if got, err := credentials(t, base, from); err != nil || string(got.Password) != "cmd" {
		t.Errorf("command: %q, %v", string(got.Password), err)
	}
	base.PasswordCommand = "echo secret; exit 3"
	if _, err := credentials(t, base, from); err == nil || strings.Contains(err.Error(), "echo") || strings.Contains(err.Error(), "secret") {
		t.Errorf("failing command: %v", err)
	}
	if err := os.Chmod(netrc, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := credentials(t, Settings{Server: "h", User: "u", Netrc: netrc}, from); err == nil {
		t.Error("a netrc that others can read was used")
	}
}

// What a person must do something about is told from what may pass.
func TestNoPasswordIsLasting(t *testing.T) {
	keyring.MockInit()
	from := Source{Getenv: func(string) string { return "" }}
	netrc := write(t, "machine h login other password no\nmachine h login v password")
	sources := map[string]Settings{
		"env": {PasswordEnv: "UNSET"}, "no file": {PasswordFile: "/no/such/file"}, "empty file": {PasswordFile: write(t, "\nx\n")},
		"keyring": {Keyring: true}, "netrc": {Netrc: netrc}, "netrc that ends early": {User: "v", Netrc: netrc}, "no netrc": {Netrc: "/no/such/file"},
		"line end": {Password: "a\nb"},
	}
	noKeyring := map[string]error{
		"no D-Bus": &exec.Error{Name: "dbus-launch", Err: exec.ErrNotFound}, "no socket": fs.ErrNotExist, "no session": new(exec.ExitError),
		"no kind of keyring": keyring.ErrUnsupportedPlatform,
	}
	for name := range noKeyring {
		sources[name] = Settings{Keyring: true}
	}
	if runtime.GOOS != "windows" {
		sources["no command"] = Settings{PasswordCommand: "no-such-command-here"}
		sources["silent command"] = Settings{PasswordCommand: "true"}
		sources["no command for tokens"] = Settings{TokenCommand: "/no/such/command"}
	}
	from.Warn = func(err error) { t.Errorf("warned as well: %v", err) }
	for name, s := range sources {
		keyring.MockInit()
		if ringless := noKeyring[name]; ringless != nil {
			keyring.MockInitWithError(ringless)
		}
		s.Server = "h"
		if s.User == "" {
			s.User = "u"
		}
		_, err := credentials(t, s, from)
		if secret := (*SecretError)(nil); !errors.As(err, &secret) || !errors.Is(err, ErrNoPassword) ||
			strings.Count(err.Error(), ErrNoPassword.Error()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	keyring.MockInitWithError(errors.New("locked"))
	if _, err := credentials(t, Settings{Server: "h", User: "u", Keyring: true}, from); err == nil || errors.Is(err, ErrNoPassword) {
		t.Errorf("a keyring that fails: %v", err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("the rest needs a Unix shell; run on Unix")
	}
	failing := Settings{Server: "h", User: "u", PasswordCommand: "exit 1"}
	if _, err := credentials(t, failing, from); err == nil || errors.Is(err, ErrNoPassword) {
		t.Errorf("a command that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, err := FromFlags(failing, ToLook)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Credentials(ctx, from); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestTokens(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a Unix shell; run on Unix")
	}
	got, err := credentials(t, Settings{Server: "outlook.office365.com", User: "u", TokenCommand: "echo tok", Mechanism: "xoauth2"}, Source{})
	if err != nil || string(got.Token) != "tok" || !got.TwoLineToken || got.Choose(pop3client.Offer{})[0] != "XOAUTH2" {
		t.Errorf("%+v, %v", got, err)
	}
}
