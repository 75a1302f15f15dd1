// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante.example/internal/config"
	"restante.example/internal/tokens/tokenstest"
)

// withTokens is a configuration in which the tokens of a provider are taken.
func withTokens(t *testing.T, p *tokenstest.Provider, more string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("mechanisms = { OAUTHBEARER = \"on\", XOAUTH2 = \"on\" }\n[tokens]\nissuer = %q\naudience = [%q]\nca_file = \"ca.pem\"\n%s\n",
		p.Issuer, tokenstest.Audience, more)
	for name, text := range map[string]string{"c.toml": text, "ca.pem": p.CA, "secret": tokenstest.Secret + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "c.toml"), config.Flags{Data: filepath.Join(dir, "data"), POP3: "127.0.0.1:0",
		POP3S: "127.0.0.1:0", LMTP: "127.0.0.1:0"}, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// introspection is what a configuration says to ask the provider.
func introspection(p *tokenstest.Provider) string {
	return fmt.Sprintf("introspection = %q\nclient_id = %q\nclient_secret_file = \"secret\"\ncache = \"0s\"", p.Issuer+tokenstest.IntrospectionPath, tokenstest.ClientID)
}

// A provider that hangs does not hold up the start: nobody asks it.
func TestProviderDelaysNoStart(t *testing.T) {
	p := tokenstest.New(t)
	p.SetOdd(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ready, l := begin(t, withTokens(t, p, ""))
	dial(t, ready.POP3).expect("+OK")
	if l.server.tokenChecker() == nil || p.Asked(tokenstest.DiscoveryPath) != 0 {
		t.Error("the server has no checker, or the provider was asked")
	}
}

// A reload without a change keeps what is known of the provider; a secret that
// has changed, or a setting, makes a new checker; what cannot be used changes
// nothing.
func TestReloadOfTokens(t *testing.T) {
	p := tokenstest.New(t)
	c := withTokens(t, p, introspection(p))
	_, l := begin(t, c)
	reload := func(more func(*config.Config)) error {
		return l.server.Reload(func() (*config.Config, error) {
			next := *c
			if more != nil {
				more(&next)
			}
			return &next, nil
		})
	}
	first := l.server.tokens.Load()
	secret := c.Tokens.ClientSecretFile
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(reload(nil))
	if l.server.tokens.Load() != first {
		t.Error("a reload without a change made another checker")
	}
	must(os.WriteFile(secret, []byte("another\n"), 0o600))
	must(reload(nil))
	second := l.server.tokens.Load()
	if second == first || second.made.Secret != "another" {
		t.Error("a changed secret is not in force")
	}
	must(os.Chmod(secret, 0o644))
	if err := reload(nil); err == nil || !strings.Contains(err.Error(), "chmod 600 "+secret) {
		t.Errorf("a secret that everybody may read: %v", err)
	}
	if err := reload(func(c *config.Config) { c.Tokens.CAFile = "none"; c.Tokens.ClientSecretFile = "" }); err == nil {
		t.Error("a file that is not there was taken")
	}
	if l.server.tokens.Load() != second {
		t.Error("a reload that was refused changed the checker")
	}
	must(reload(func(c *config.Config) { c.Tokens = config.Tokens{} }))
	if l.server.tokenChecker() != nil {
		t.Error("tokens are still taken")
	}
	if strings.Contains(l.log.String(), "another") || strings.Contains(fmt.Sprintf("%+v", second.made), "another") {
		t.Error("the secret shows")
	}
}

// With no domain named, every domain leads to names without one: not for a
// token, whose provider may have accounts of every domain.
func TestForeignDomainsSignNobodyIn(t *testing.T) {
	p := tokenstest.New(t)
	c := withTokens(t, p, "")
	_, l := begin(t, c)
	for _, name := range []string{"ana", "bob@example.org"} {
		addUser(t, l.server, name)
	}
	check := func(want map[string]string) {
		t.Helper()
		for name, account := range want {
			if got, err := l.server.tokenUser(name); got != account || (err == nil) != (account != "") {
				t.Errorf("%s is taken for %q, %v; want %q", name, got, err, account)
			}
		}
	}
	check(map[string]string{"ana": "ana", "Ana": "ana", "BOB@Example.org": "bob@example.org",
		"ana@elsewhere.example": "", "ana@example.net": "", "a b": "", "": "",
		// Others than ana, Kim and zoë to whoever vouches for them.
		"\uff41na": "", "\u212aim": "", "zoe\u0308": "", "ZOË": "zoë", "bob@\uff25xample.org": "bob@example.org"})
	if err := l.server.Reload(func() (*config.Config, error) {
		next := *c
		next.Delivery.LocalDomains = []string{"example.net"}
		return &next, nil
	}); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"ana": "ana", "ana@Example.net": "ana", "bob@example.org": "bob@example.org",
		"ana@elsewhere.example": "ana@elsewhere.example"})
	if u, err := l.server.office.directory.Get(t.Context(), "ana@elsewhere.example"); err == nil {
		t.Errorf("a user of another domain: %+v", u)
	}
}
