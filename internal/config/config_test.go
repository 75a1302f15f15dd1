// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func noEnv(string) string { return "" }

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDefaultsWorkWithoutAFile(t *testing.T) {
	dir := t.TempDir()
	c, err := Load("", Flags{Data: dir}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Listen.POP3) != 0 || strings.Join(c.Listen.POP3S, " ") != ":995" ||
		strings.Join(c.Listen.LMTP, " ") != "unix:"+filepath.Join(dir, "lmtp.sock") {
		t.Errorf("listen %+v", c.Listen)
	}
	for name, want := range map[string]string{"u1": "mail/u1/Maildir", "u1@example.org": "mail/example.org/u1/Maildir"} {
		if got, err := c.MaildirOf(name); err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestFlagsOverrideTheFile(t *testing.T) {
	name := write(t, `
data = "/from/file"
clear_text = "never"
language = "es"
[listen]
pop3s = [":1995", ":2995"]
lmtp = ["unix:run/lmtp"]
[timeouts]
idle = "15m"
[delivery]
quota_octets = "25MB"
`)
	c, err := Load(name, Flags{Data: "/from/flag", POP3: "127.0.0.1:0", POP3S: "off"}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File = name
	want.Data, want.ClearText, want.Language, want.Hostname = "/from/flag", "never", "es", c.Hostname
	want.Listen.POP3, want.Listen.POP3S = []string{"127.0.0.1:0"}, []string{}
	want.Listen.LMTP = []string{"unix:" + filepath.Join(filepath.Dir(name), "run/lmtp")}
	want.Timeouts.Idle, want.Delivery.QuotaOctets = Duration(15*time.Minute), 25_000_000
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	name := write(t, `# line 1
clear_text = "sure"
unknown = 1
log_level = 5

[listen]
pop3s = [
  ":995",
  "nowhere",
]
pop4 = []
lmtp = "127.0.0.1:24"

[timeouts]
idle = "ten minutes"
sign_in = "1ms"

[nonsense]
a = 1

[limits]
per_user = -1
[tls]
cert_file = "x.pem"
[metrics]
listen = "9195"
`)
	_, err := Load(name, Flags{POP3: "bad", Data: "/x"}, noEnv)
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	text := err.Error()
	for _, want := range []string{
		`:2: clear_text is "sure"; it can be "loopback", "never"`,
		`:3: there is no "unknown"; there are: data, maildir, hostname`,
		`:4: `,
		`:7: listen.pop3s (--pop3s) is "nowhere"`,
		`:11: [listen] has no "pop4"; it has: pop3s, pop3, lmtp, lmtp_group`,
		`:12: `,
		`:15: "ten minutes" is no duration`,
		`:16: timeouts.sign_in is 1ms`,
		`:18: there is no table [nonsense]; there are: listen, tls`,
		`:22: limits.per_user is negative`,
		`:24: cert_file and key_file`,
		`:26: metrics.listen is "9195"; write ADDRESS:PORT`,
		"\nlisten.pop3 (--pop3) is \"bad\"",
	} {
		if !strings.Contains("\n"+text, want) {
			t.Errorf("missing %q", want)
		}
	}
	if t.Failed() {
		t.Logf("got:\n%s", text)
	}
}

func TestNoTOML(t *testing.T) {
	for text, want := range map[string]string{
		"data = \"/x\"\nhostname = \n":         ":2: ",
		"data = \"/x\"\ndata = \"/y\"\n":       ":2: ",
		"[listen]\n[tls]\n[listen]\npop3=[]\n": ":3: ",
	} {
		name := write(t, text)
		_, err := Load(name, Flags{}, noEnv)
		var problems Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), name+want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Load("/does/not/exist", Flags{}, noEnv); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// What is wrong with a file does not hide where the data is, and nothing is
// guessed where it does not say so.
func TestPartly(t *testing.T) {
	for _, c := range []struct{ text, flag, want string }{
		{"data = \"d\"\nexpire = \"soon\"\nnonsense = 1\n[limits]\nper_user = -1", "", "d"},
		{"nonsense = 1\ndata = \"/d\"", "/flag", "/flag"},
		{"data = 5", "/flag", "/flag"},
		{"data = \"/d", "/flag", "/flag"},
		{"data = \"/d", "", ""},
		{"dataa = \"/d\"", "", ""},
		{"data = 5", "", ""},
	} {
		name := write(t, c.text)
		want := c.want
		if want != "" && !filepath.IsAbs(want) {
			want = filepath.Join(filepath.Dir(name), want)
		}
		switch got := Partly(name, Flags{Data: c.flag}, noEnv); {
		case got == nil && want != "", got != nil && got.Data != want:
			t.Errorf("%q with %q: %+v", c.text, c.flag, got)
		}
	}
	if got := Partly("/does/not/exist", Flags{Data: "/d"}, noEnv); got != nil {
		t.Errorf("no file: %+v", got)
	}
}

func TestMaildirTemplate(t *testing.T) {
	for template, ok := range map[string]bool{
		"/srv/{domain}/{local}": true, "/home/{user}/Maildir": true, "{user}/Maildir": false, "/srv/mail": false,
		"/srv/{local}": false, "/srv/{user}/{group}": false, "/srv/../{user}": false,
	} {
		_, err := Load(write(t, "maildir = \""+template+"\""), Flags{Data: "/x"}, noEnv)
		if (err == nil) != ok {
			t.Errorf("%s: %v", template, err)
		}
	}
	c := Config{Maildir: "/srv/{domain}/{local}/{user}"}
	if got, err := c.MaildirOf("a@b"); err != nil || got != "/srv/b/a/a@b" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := c.MaildirOf("a"); err == nil {
		t.Errorf("a name without a domain: %s", got)
	}
}

func TestDefaultData(t *testing.T) {
	if os.Geteuid() == 0 {
		if dir, err := DefaultData(noEnv); err != nil || dir != SystemData {
			t.Errorf("%s, %v", dir, err)
		}
		return
	}
	for _, c := range []struct{ xdg, home, want string }{
		{"/xdg", "/home/a", "/xdg/restante"},
		{"relative", "/home/a", "/home/a/.local/share/restante"},
		{"", "", ""},
	} {
		got, err := DefaultData(func(name string) string {
			return map[string]string{"XDG_DATA_HOME": c.xdg, "HOME": c.home}[name]
		})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "500": 500, "64MiB": 64 << 20, "25MB": 25e6, "1 GiB": 1 << 30, "2TiB": 2 << 40} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if back, err := ParseSize(got.String()); err != nil || back != got {
			t.Errorf("%s comes back as %v, %v", text, back, err)
		}
	}
	for _, text := range []string{"", "-1", "MiB", "1.5GiB", "99999999999TiB", "12x"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// The example names every setting, with its default where it is behind a "#",
// and loads without a complaint.
func TestExample(t *testing.T) {
	const file = "../../packaging/restanted.toml"
	if _, err := Load(file, Flags{}, noEnv); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// With every setting in force it must say what the defaults say.
	live := regexp.MustCompile(`(?m)^# ([A-Za-z_0-9-]+ = )`).ReplaceAllString(string(text), "$1")
	for _, only := range []string{"data", "maildir", "lmtp", "cert_file", "key_file", "ca_file", "lmtp_group"} {
		live = regexp.MustCompile(`(?m)^`+only+` = .*`).ReplaceAllString(live, "")
	}
	c, err := Load(write(t, live), Flags{Data: "/d"}, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Data, want.Hostname, want.File = "/d", c.Hostname, c.File
	want.Listen.LMTP, want.Listen.POP3 = []string{"unix:/d/lmtp.sock"}, []string{}
	want.Clients.Fingerprints = map[string][]string{}
	want.TraceUsers, want.Delivery.LocalDomains = []string{}, []string{}
	want.Tokens.Audience, want.Tokens.Scopes, want.Tokens.Algorithms = []string{}, []string{}, []string{}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the example says  %+v\nthe defaults are %+v", c, want)
	}
	each(t, reflect.TypeFor[Config](), "", func(table, key string) {
		_, rest, found := strings.Cut(string(text), "\n["+table+"]\n")
		if table == "" {
			rest, found = string(text), true
		}
		rest, _, _ = strings.Cut(rest, "\n[")
		if _, list, isList := strings.Cut(string(text), "\n#[["+table+"]]\n"); isList {
			rest, _, _ = strings.Cut(list, "\n\n")
			rest, found = strings.ReplaceAll("\n"+rest, "\n#", "\n# "), true
		}
		if !found || !regexp.MustCompile(`(?m)^(# )?`+key+` = `).MatchString(rest) {
			t.Errorf("the example does not show %s %s", table, key)
		}
	})
}

func each(t *testing.T, typ reflect.Type, table string, f func(table, key string)) {
	for _, tag := range names(typ, false) {
		f(table, tag)
	}
	for i := range typ.NumField() {
		field := typ.Field(i)
		switch tag := field.Tag.Get("toml"); {
		case field.Type.Kind() == reflect.Struct && table == "":
			each(t, field.Type, tag, f)
		case field.Type.Kind() == reflect.Struct: // of an array of tables, written inline
			f(table, tag)
		case isTables(field.Type):
			each(t, field.Type.Elem(), tag, f)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"", "data = 1", "[listen]\npop3 = [", "a.b = {c = 1}", "[[listen]]\n", "[[listener]]\nservice = 1\n[listener.mechanisms]\nx = 1\n[[certificate]]\n", "[listener]\nx = 1", "[[listener.x]]\n", "listener = [{}]", "'x' = 1\n\"y\\n\" = 2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := &loader{config: Default(), lines: make(map[string]int), file: "f"}
		l.decode([]byte(text))
		for _, p := range l.problems {
			if n := strings.Count(text, "\n") + 1; p.Line < 1 || p.Line > n {
				t.Fatalf("%q: %v", text, p)
			}
		}
	})
}
