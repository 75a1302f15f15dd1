// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"restante.example/internal/peers"
	"restante.example/internal/tokens/tokenstest"
)

// mechanisms are what each program is tried with; docs/sign-in.md has the same.
var mechanisms = map[string][]string{
	"curl":       {"PLAIN", "LOGIN", "APOP", "OAUTHBEARER", "EXTERNAL"},
	"mpop":       {"USER", "PLAIN", "LOGIN", "APOP", "SCRAM-SHA-1", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "EXTERNAL"},
	"fetchmail":  {"USER", "APOP"},
	"getmail":    {"USER", "APOP"},
	"mutt":       {"PLAIN", "APOP", "SCRAM-SHA-1", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"},
	"s-nail":     {"USER", "APOP", "XOAUTH2", "EXTERNAL"},
	"Python":     {"USER", "APOP"},
	"Perl":       {"USER", "APOP"},
	"Ruby":       {"USER", "APOP"},
	"Java":       {"USER", "PLAIN", "APOP", "XOAUTH2"},
	"Sylpheed":   {"USER", "APOP"},
	"Claws Mail": {"USER", "APOP"},
}

// failed is what programs say, some of which end with exit code 0 all the same.
var failed = regexp.MustCompile(`(?i)-ERR|login failed|authentication failed`)

// apopPassword is the one for APOP, which the server has to know itself.
const apopPassword = "an office of its own"

// allMechanisms is a configuration with every mechanism: with the tokens of a
// provider, and the certificates of an authority.
func allMechanisms(t *testing.T, p *tokenstest.Provider, people *authority) string {
	t.Helper()
	ca := filepath.Join(newDir(t), "provider.pem")
	writeFile(t, ca, p.CA)
	return fmt.Sprintf(`mechanisms = { SCRAM-SHA-1 = "on", APOP = "on", OAUTHBEARER = "on", XOAUTH2 = "on", EXTERNAL = "on" }
[client_certificates]
ca_file = %q
names = ["email"]
[tokens]
issuer = %q
audience = [%q]
ca_file = %q
`, people.file, p.Issuer, tokenstest.Audience, ca)
}

// TestMechanisms: each program signs in with each of its mechanisms, and is
// refused when what it has is wrong.
func TestMechanisms(t *testing.T) {
	provider := tokenstest.New(t)
	good, another := provider.Token("RS256", nil), provider.Token("RS256", tokenstest.Claims{"aud": "webmail"})
	people, others := newAuthority(t), newAuthority(t)
	more := allMechanisms(t, provider, people)
	for name, ways := range mechanisms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			once := programs[name](t)
			o := startOffice(t, peers.Dir(t), more)
			a := o.addFor(t, tokenstest.Email, "implicit")
			o.deliver(t, corpus()[0].text, a.user)
			for i, mechanism := range ways {
				r := run{account: a, home: newDir(t), out: newDir(t)}
				r.mechanism = mechanism
				wrong := "not the password"
				switch mechanism {
				case "APOP":
					r.password = apopPassword
				case "OAUTHBEARER", "XOAUTH2":
					r.password, wrong = good, another
				}
				if mechanism == "EXTERNAL" {
					r.certificate, r.key = people.issue(t, a.user)
				}
				if got := once(t, r); got.code != 0 || failed.MatchString(got.output) {
					t.Fatalf("%s: exit code %d\n%s", mechanism, got.code, got.output)
				}
				waitFor(t, "the session by "+mechanism, func() bool { return len(o.sessions(t, a.user)) > i })
				if s := o.sessions(t, a.user)[i]; s.Mechanism != mechanism {
					t.Errorf("%s: the session is %+v", mechanism, s)
				}
				r.password, r.home, r.out = wrong, newDir(t), newDir(t)
				if mechanism == "EXTERNAL" {
					r.certificate, r.key = others.issue(t, a.user)
				}
				if got := once(t, r); got.code == 0 && !failed.MatchString(got.output) {
					t.Errorf("%s with what is wrong: exit code 0\n%s", mechanism, got.output)
				}
				if n := len(o.sessions(t, a.user)); n != i+1 {
					t.Errorf("%s with what is wrong opens a session: %d", mechanism, n)
				}
				refusal := fmt.Sprintf(`"mechanism":%q,"reason":"credentials"`, mechanism)
				if mechanism == "EXTERNAL" { // which is not announced then
					refusal = "the client certificate opens nothing"
				}
				waitFor(t, mechanism+" to be refused", func() bool { return strings.Contains(o.log.String(), refusal) })
			}
		})
	}
}

// addFor adds a user who can sign in by every mechanism.
func (o *office) addFor(t *testing.T, user, tls string) account {
	t.Helper()
	o.run(t, password+"\n", "user", "add", user, "--scram-sha-1", "--password-stdin")
	o.run(t, apopPassword+"\n", "user", "apop", user, "on", "--password-stdin")
	return o.reach(t, user, tls)
}

// TestTriedMechanismsAreDocumented: the table in docs/sign-in.md is what
// TestMechanisms tries.
func TestTriedMechanismsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "sign-in.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| ([A-Z]?[\\w' -]+?)(?: [\\d.]+)? \\| (`.*`) \\|$").FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = strings.Split(strings.Trim(row[2], "`"), "`, `")
	}
	if !reflect.DeepEqual(rows, mechanisms) {
		t.Errorf("documented: %v\ntried: %v", rows, mechanisms)
	}
}

// TestCurlPrefersOAUTHBEARER: where both are offered, curl with a token takes
// that one, whatever it was told.
func TestCurlPrefersOAUTHBEARER(t *testing.T) {
	t.Parallel()
	curl := peers.Need(t, "curl")
	p := tokenstest.New(t)
	people := newAuthority(t)
	for offered, taken := range map[string]string{"on": "OAUTHBEARER", "off": "XOAUTH2"} {
		more := strings.Replace(allMechanisms(t, p, people), `OAUTHBEARER = "on"`, fmt.Sprintf("OAUTHBEARER = %q", offered), 1)
		o := startOffice(t, peers.Dir(t), more)
		a := o.addFor(t, tokenstest.Email, "implicit")
		o.deliver(t, corpus()[0].text, a.user)
		a.mechanism, a.password = "XOAUTH2", p.Token("RS256", nil)
		execute(t, newDir(t), curlConfig(a)+fmt.Sprintf("url = %q\n", a.url("1")), curl, "-K", "-").must(t, 0)
		waitFor(t, "the end of the session", func() bool { return len(o.sessions(t, a.user)) == 1 })
		if s := o.sessions(t, a.user)[0]; s.Mechanism != taken {
			t.Errorf("OAUTHBEARER is %s: the session is %+v", offered, s)
		}
	}
}
