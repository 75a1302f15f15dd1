// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
	"restante.example/internal/tokens/tokenstest"
)

// openTokenOffice starts restanted with the tokens of a provider, and a user
// with a letter.
func openTokenOffice(t *testing.T, p *tokenstest.Provider, more string) (*office, account) {
	t.Helper()
	dir := peers.Dir(t)
	ca := filepath.Join(dir, "provider.pem")
	writeFile(t, ca, p.CA)
	o := startOffice(t, dir, fmt.Sprintf("mechanisms = { OAUTHBEARER = \"on\", XOAUTH2 = \"on\" }\n[tokens]\nissuer = %q\naudience = [%q]\nca_file = %q\n%s",
		p.Issuer, tokenstest.Audience, ca, more))
	a := o.add(t, tokenstest.Email, "implicit")
	o.deliver(t, corpus()[0].text, a.user)
	return o, a
}

// asksProvider is a configuration that asks about each token each time.
func asksProvider(t *testing.T, p *tokenstest.Provider) string {
	t.Helper()
	secret := filepath.Join(newDir(t), "secret")
	writeFile(t, secret, tokenstest.Secret)
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("introspection = %q\nclient_id = %q\nclient_secret_file = %q\ncache = \"0s\"",
		p.Issuer+tokenstest.IntrospectionPath, tokenstest.ClientID, secret)
}

// bearerMessages are what a client sends, by mechanism. RFC 7628 section 3.1.
func bearerMessages(user, token string) map[string]string {
	return map[string]string{
		"OAUTHBEARER": "n,a=" + user + ",\x01host=localhost\x01port=995\x01auth=Bearer " + token + "\x01\x01",
		"XOAUTH2":     "user=" + user + "\x01auth=Bearer " + token + "\x01\x01",
	}
}

// bearerSession is a conversation under TLS in which somebody signs in with a
// token, on one line or on two; the answer is the last line, and what the client
// is told of a refusal.
func bearerSession(t *testing.T, o *office, mechanism, message string, lines int) (answer, told string) {
	t.Helper()
	roots := x509.NewCertPool()
	text, err := os.ReadFile(o.CAFile)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", o.POP3S, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	ok(t, in)
	talk := func(line string) string {
		t.Helper()
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			t.Fatal(err)
		}
		answer, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return strings.TrimRight(answer, "\r\n")
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(message))
	if lines == 1 {
		answer = talk("AUTH " + mechanism + " " + encoded)
	} else {
		if answer = talk("AUTH " + mechanism); answer != "+ " {
			t.Fatalf("AUTH %s is answered with %q", mechanism, answer)
		}
		answer = talk(encoded)
	}
	if challenge, refused := strings.CutPrefix(answer, "+ "); refused {
		text, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			t.Fatal(err)
		}
		told = string(text)
		answer = talk(map[string]string{"OAUTHBEARER": "AQ==", "XOAUTH2": ""}[mechanism])
	}
	if strings.HasPrefix(answer, "+OK") {
		if stat := talk("STAT"); !strings.HasPrefix(stat, "+OK 1 ") {
			t.Errorf("STAT is answered with %q", stat)
		}
		talk("QUIT")
	}
	return answer, told
}

// TestTokens: both mechanisms, on one line and on two, with signed tokens and
// with those that the provider is asked about.
func TestTokens(t *testing.T) {
	t.Parallel()
	p := tokenstest.New(t)
	for name, more := range map[string]string{"signed": "", "asked": asksProvider(t, p)} {
		t.Run(name, func(t *testing.T) {
			o, a := openTokenOffice(t, p, more)
			make := func(c tokenstest.Claims) string {
				if name == "asked" {
					return p.Opaque(c)
				}
				return p.Token("RS256", c)
			}
			good, another := make(nil), make(tokenstest.Claims{"aud": "webmail"})
			for _, lines := range []int{1, 2} {
				for mechanism, message := range bearerMessages(a.user, good) {
					if answer, _ := bearerSession(t, o, mechanism, message, lines); !strings.HasPrefix(answer, "+OK") {
						t.Errorf("%s on %d lines: %q", mechanism, lines, answer)
					}
				}
				for mechanism, message := range bearerMessages(a.user, another) {
					answer, told := bearerSession(t, o, mechanism, message, lines)
					if !strings.HasPrefix(answer, "-ERR [AUTH] ") {
						t.Errorf("%s on %d lines, wrong: %q", mechanism, lines, answer)
					}
					var says map[string]string
					status := map[string]string{"OAUTHBEARER": "invalid_token", "XOAUTH2": "401"}[mechanism]
					if err := json.Unmarshal([]byte(told), &says); err != nil || says["status"] != status ||
						says["openid-configuration"] != p.Issuer+tokenstest.DiscoveryPath {
						t.Errorf("%s on %d lines, the client is told %q", mechanism, lines, told)
					}
				}
			}
			// As long as it may be, on one line and on two.
			if name == "signed" {
				for _, lines := range []int{1, 2} {
					long := bearerMessages(a.user, make(tokenstest.Claims{"groups": strings.Repeat("g", 11_500)}))["XOAUTH2"]
					if answer, _ := bearerSession(t, o, "XOAUTH2", long, lines); !strings.HasPrefix(answer, "+OK") || len(long) < 15<<10 {
						t.Errorf("%d octets on %d lines: %q", len(long), lines, answer)
					}
				}
			}
			// Nobody named; somebody else named.
			if answer, _ := bearerSession(t, o, "OAUTHBEARER", "n,,\x01auth=Bearer "+good+"\x01\x01", 1); !strings.HasPrefix(answer, "+OK") {
				t.Errorf("with no name: %q", answer)
			}
			o.add(t, "bob@example.org", "implicit")
			bob := bearerMessages("bob@example.org", good)
			if answer, _ := bearerSession(t, o, "XOAUTH2", bob["XOAUTH2"], 1); !strings.HasPrefix(answer, "-ERR [AUTH] ") {
				t.Errorf("with another's name: %q", answer)
			}
			// A provider that answers nonsense about whatever it is asked.
			p.SetOdd(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
			if name == "asked" {
				if answer, _ := bearerSession(t, o, "XOAUTH2", bearerMessages(a.user, good)["XOAUTH2"], 1); !strings.HasPrefix(answer, "-ERR [SYS/TEMP] ") {
					t.Errorf("with the provider down: %q", answer)
				}
			}
			p.SetOdd(nil)
			if name == "asked" {
				p.Revoke(good)
			} else {
				o.run(t, "", "user", "disable", a.user)
			}
			if answer, _ := bearerSession(t, o, "OAUTHBEARER", bearerMessages(a.user, good)["OAUTHBEARER"], 1); !strings.HasPrefix(answer, "-ERR [AUTH] ") {
				t.Errorf("withdrawn: %q", answer)
			}
			said := o.log.String()
			if !strings.Contains(said, "for the audience") {
				t.Error("the log does not say why a token was refused")
			}
			for _, token := range []string{good, another, tokenstest.Secret} {
				for _, part := range append(strings.Split(token, "."), token) {
					if strings.Contains(said, part) {
						t.Errorf("a token or secret is in the log: %s", part)
					}
				}
			}
		})
	}
}

// A provider that is down when the first token comes, and comes back.
func TestProviderComesLate(t *testing.T) {
	t.Parallel()
	p := tokenstest.New(t)
	p.SetOdd(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	o, a := openTokenOffice(t, p, "")
	message := bearerMessages(a.user, p.Token("ES256", nil))["OAUTHBEARER"]
	if answer, told := bearerSession(t, o, "OAUTHBEARER", message, 1); !strings.HasPrefix(answer, "-ERR [SYS/TEMP] ") || told != "" {
		t.Errorf("with the provider down: %q, %q", answer, told)
	}
	p.SetOdd(nil)
	waitFor(t, "a sign-in", func() bool {
		answer, _ := bearerSession(t, o, "OAUTHBEARER", message, 1)
		return strings.HasPrefix(answer, "+OK")
	})
}

// TestCurlWithTokens: curl has both mechanisms, and sends the token on one line
// or on two.
func TestCurlWithTokens(t *testing.T) {
	t.Parallel()
	curl := peers.Need(t, "curl")
	p := tokenstest.New(t)
	o, a := openTokenOffice(t, p, "")
	want := wire(a.user, corpus()[0].text)
	for mechanism := range bearerMessages("", "") {
		for _, first := range []string{"sasl-ir", "no-sasl-ir"} {
			for token, code := range map[string]int{p.Token("ES256", nil): 0, p.Token("ES256", tokenstest.Claims{"aud": "webmail"}): 67} {
				home := newDir(t)
				config := fmt.Sprintf("silent\nshow-error\nuser = %q\noauth2-bearer = %q\nlogin-options = \"AUTH=%s\"\n%s\ncacert = %q\nurl = %q\noutput = \"letter\"\n",
					a.user+":", token, mechanism, first, a.ca, a.url("1"))
				// 67 is CURLE_LOGIN_DENIED.
				result := execute(t, home, config, curl, "-K", "-").must(t, code)
				if code != 0 {
					if !strings.Contains(result.output, "denied") {
						t.Errorf("%s, %s: curl says %s", mechanism, first, result.output)
					}
					continue
				}
				got, err := os.ReadFile(filepath.Join(home, "letter"))
				if err != nil || string(got) != want {
					t.Errorf("%s, %s: %q, %v", mechanism, first, got, err)
				}
			}
		}
	}
	waitFor(t, "the ends of the sessions", func() bool { return len(o.sessions(t, a.user)) == 4 })
	for _, s := range o.sessions(t, a.user) {
		if s.End != "quit" || s.Retrieved != 1 || s.Mechanism != "OAUTHBEARER" && s.Mechanism != "XOAUTH2" {
			t.Errorf("%+v", s)
		}
	}
}

// TestCollectorsWithTokens: mpop, which has both mechanisms, and restante. Each
// has its token from a command, as it has a password.
func TestCollectorsWithTokens(t *testing.T) {
	t.Parallel()
	mpop := peers.Need(t, "mpop")
	p := tokenstest.New(t)
	o, a := openTokenOffice(t, p, "")
	a.password = p.Token("ES256", nil)
	want := []string{wire(a.user, corpus()[0].text)}
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		r := run{account: a, home: newDir(t), out: newDir(t)}
		r.mechanism = mechanism
		runMpop(t, mpop, r).must(t, 0)
		same(t, "mpop, "+mechanism, readMaildir(t, r.out), []string{unix(a, want[0])})
		r.password = p.Token("ES256", tokenstest.Claims{"aud": "webmail"})
		runMpop(t, mpop, r).must(t, 77) // EX_NOPERM
	}
	c := callerAt(t, newDir(t), a)
	for i, flag := range c.flags {
		if flag == "--password-file" {
			c.flags[i], c.flags[i+1] = "--token-command", "cat "+c.flags[i+1]
		}
	}
	destination, path := c.place("maildir", "letters")
	inbox(t, path)
	c.fetch(t, "--to", destination)
	same(t, "restante", readMaildir(t, path), []string{unix(a, want[0])})
	mechanisms := map[string]int{}
	waitFor(t, "the ends of the sessions", func() bool { return len(o.sessions(t, a.user)) == 3 })
	for _, s := range o.sessions(t, a.user) {
		mechanisms[s.Mechanism]++
	}
	if mechanisms["OAUTHBEARER"] != 2 || mechanisms["XOAUTH2"] != 1 {
		t.Errorf("the sessions: %v", mechanisms)
	}
}
