// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
	"restante.example/sasl"
)

// tokens knows which token is whose.
type tokens map[string]string

func (k tokens) CheckToken(_ context.Context, a maildrop.Attempt, token string) (string, error) {
	switch name, ok := k[token]; {
	case strings.HasPrefix(token, "outage-token"):
		return "", errors.New("the provider does not answer")
	case token == "narrow":
		return "", &maildrop.TokenError{Status: "insufficient_scope", Scope: "mail", Config: "https://id.example/", Err: errors.New("no scope mail")}
	case !ok:
		return "", &maildrop.TokenError{Err: errors.New("it has expired")}
	default:
		return name, nil
	}
}

func withTokens(o *pop3mem.Store) *pop3server.Options {
	opt := withTLS(o)
	opt.Mechanisms = policies{"OAUTHBEARER": pop3server.PolicyOn, "XOAUTH2": pop3server.PolicyOn}
	opt.Tokens = tokens{"good": "ana", "hers": "bob", strings.Repeat("x", 16<<10): "ana", "nobodys": "nobody"}
	return opt
}

func bearer(mechanism, user, token string) string {
	text := "user=" + user + "\x01auth=Bearer " + token + "\x01\x01"
	if mechanism == "OAUTHBEARER" {
		if user != "" {
			user = "a=" + user
		}
		text = "n," + user + ",\x01host=localhost\x01port=995\x01auth=Bearer " + token + "\x01\x01"
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

func TestTokenSignIn(t *testing.T) {
	o := office(t, "a\n\n1\n")
	o.AddUser("bob", "secret")
	o.AddUser("carl", "secret")
	if err := o.Disable("bob"); err != nil {
		t.Fatal(err)
	}
	guard, log := &notingGuard{}, &lockedBuffer{}
	opt := withTokens(o)
	opt.Guard, opt.Logger, opt.Limits.Failures, opt.Limits.WrongCommands = guard, log.logger(), -1, -1
	opt.Trace = func(string) bool { return true }
	s := serve(t, opt)
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		for _, test := range []struct{ user, token, challenge, want, guard string }{
			{"ana", "good", "", "+OK 1 messages", "ana true"},
			{"ANA", "good", "", "+OK 1 messages", "ANA true"}, // another way to write the same name
			{"", "good", "", "+OK 1 messages", "ana true"},    // OAUTHBEARER only
			{"ana", strings.Repeat("x", 16<<10), "", "+OK 1 messages", "ana true"},
			{"ana", "bad", "invalid_token", "-ERR [AUTH] wrong name or password", "ana false"},
			{"", "bad", "invalid_token", "-ERR [AUTH] wrong name or password", " false"},
			{"ana", "narrow", "insufficient_scope", "-ERR [AUTH] wrong name or password", "ana false"},
			{"bob", "good", "invalid_token", "-ERR [AUTH] wrong name or password", "bob false"},
			{"carl", "good", "invalid_token", "-ERR [AUTH] wrong name or password", "carl false"}, // another's token
			{"nobody", "good", "invalid_token", "-ERR [AUTH] wrong name or password", "nobody false"},
			{"bob", "hers", "invalid_token", "-ERR [AUTH] wrong name or password", "bob false"}, // disabled
			{"nobody", "nobodys", "invalid_token", "-ERR [AUTH] wrong name or password", "nobody false"},
			{"ana", "outage-token", "", "-ERR [SYS/TEMP] ", ""},
		} {
			if mechanism == "XOAUTH2" && test.user == "" {
				continue
			}
			for _, lines := range []int{1, 2} {
				c, _ := overTLS(t, s, 0)
				if lines == 1 {
					c.send("AUTH " + mechanism + " " + bearer(mechanism, test.user, test.token))
				} else {
					c.ask("AUTH "+mechanism, "+ ")
					c.send(bearer(mechanism, test.user, test.token))
				}
				if test.challenge != "" {
					c.refusedWith(mechanism, test.challenge)
					c.send("AQ==") // RFC 7628 section 3.2.3
				}
				c.want(test.want)
				if got := guard.told(); got != test.guard {
					t.Errorf("%s %s %.10s: the guard was told %q", mechanism, test.user, test.token, got)
				}
				c.ask("QUIT", "+OK")
				c.ended()
			}
		}
	}
	all := log.String()
	for _, secret := range []string{"good", "hers", "xxxx", "outage-token", "bad", "narrow", "Bearer", base64.StdEncoding.EncodeToString([]byte("auth=Bearer"))[:12]} {
		if strings.Contains(all, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(all, "mechanism=XOAUTH2 reason=credentials error=\"it has expired\"") {
		t.Error("the log does not say why a token was refused")
	}
}

// refusedWith reads the challenge that says why a token is refused.
func (c *client) refusedWith(mechanism, status string) {
	c.t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.want("+ "), "+ "))
	var told map[string]string
	if err != nil || json.Unmarshal(raw, &told) != nil {
		c.t.Fatalf("the challenge is %q, %v", raw, err)
	}
	want := map[string]string{"status": status}
	if mechanism == "XOAUTH2" {
		want = map[string]string{"status": map[string]string{"invalid_token": "401", "insufficient_scope": "403"}[status], "schemes": "Bearer"}
	}
	if status == "insufficient_scope" {
		want["scope"], want["openid-configuration"] = "mail", "https://id.example/"
	}
	if len(told) != len(want) {
		c.t.Errorf("%s says %s", mechanism, raw)
	}
	for key, value := range want {
		if told[key] != value {
			c.t.Errorf("%s says %s", mechanism, raw)
		}
	}
}

// However a client answers a refusal, there is one reply to it, and the
// connection stays in step; three of them are enough.
func TestRefusedTokenKeepsStep(t *testing.T) {
	log := &lockedBuffer{}
	opt := withTokens(office(t))
	opt.Logger = log.logger()
	s := serve(t, opt)
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		for _, answer := range []string{"AQ==", "", "*", "=", "not base64!", strings.Repeat("A", 40<<10)} {
			c, _ := overTLS(t, s, 0)
			c.ask("AUTH "+mechanism+" "+bearer(mechanism, "ana", "bad"), "+ ")
			c.ask(answer, "-ERR [AUTH]")
			c.ask("CAPA", "+OK")
			c.text()
			for range 2 {
				c.ask("AUTH "+mechanism+" "+bearer(mechanism, "ana", "bad"), "+ ")
				c.ask(answer, "-ERR [AUTH]")
			}
			c.ended()
		}
	}
	// Who leaves instead of answering is in the log all the same.
	before := strings.Count(log.String(), "sign-in refused")
	c, _ := overTLS(t, s, 0)
	c.ask("AUTH XOAUTH2 "+bearer("XOAUTH2", "ana", "bad"), "+ ")
	c.close()
	for all := 1; all > 0; time.Sleep(time.Millisecond) {
		all, _ = s.Connections()
	}
	if n := strings.Count(log.String(), "sign-in refused") - before; n != 1 {
		t.Errorf("%d lines in the log for a guesser who left", n)
	}
}

func TestMalformedTokens(t *testing.T) {
	opt := withTokens(office(t))
	opt.Limits.WrongCommands = -1
	c, _ := overTLS(t, serve(t, opt), 0)
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, message := range []string{
		"", "n,,", "n,,\x01auth=Bearer good\x01", "p=tls-exporter,,\x01auth=Bearer good\x01\x01", "n,a=ana,\x01auth=Basic good\x01\x01",
		"n,a=ana,\x01auth=Bearer good\x01auth=Bearer bad\x01\x01", "n,a=an=a,\x01auth=Bearer good\x01\x01", "n,a=\x00,\x01auth=Bearer good\x01\x01",
	} {
		c.ask("AUTH OAUTHBEARER "+cmpEmpty(encode(message)), "-ERR the response is malformed")
	}
	for _, message := range []string{"user=\x01auth=Bearer good\x01\x01", "user=ana\x01auth=Bearer good", "user=ana\x01auth=Bearer go od\x01\x01"} {
		c.ask("AUTH XOAUTH2 "+encode(message), "-ERR the response is malformed")
	}
	c.ask("AUTH XOAUTH2 "+bearer("XOAUTH2", "ana", "good"), "+OK")
}

func cmpEmpty(s string) string {
	if s == "" {
		return "="
	}
	return s
}

// Tokens are taken only where they can be checked, and where a password could
// be sent as well.
func TestTokensAreAnnounced(t *testing.T) {
	both := func(s string) bool { return strings.Contains(s, "OAUTHBEARER XOAUTH2") }
	s := serve(t, withTokens(office(t)))
	c := dial(t, s, "192.0.2.1")
	c.want("+OK")
	if got := c.announced(); strings.Contains(got, "OAUTH") {
		t.Errorf("in clear text: %s", got)
	}
	c.ask("AUTH XOAUTH2 "+bearer("XOAUTH2", "ana", "good"), "-ERR a password is accepted only under TLS")
	c, _ = overTLS(t, s, 0)
	if got := c.announced(); !both(got) {
		t.Errorf("under TLS: %s", got)
	}
	for name, change := range map[string]func(*pop3server.Options){
		"off":                  func(opt *pop3server.Options) { opt.Mechanisms = nil },
		"nobody checks":        func(opt *pop3server.Options) { opt.Tokens = nil },
		"nobody is identified": func(opt *pop3server.Options) { opt.Directory = struct{ maildrop.Directory }{opt.Directory} },
	} {
		opt := withTokens(office(t))
		change(opt)
		c, _ := overTLS(t, serve(t, opt), 0)
		if got := c.announced(); strings.Contains(got, "OAUTH") {
			t.Errorf("%s: %s", name, got)
		}
		c.ask("AUTH XOAUTH2 "+bearer("XOAUTH2", "ana", "good"), "-ERR that mechanism is not offered")
	}
	// Our own client, which stays in step too.
	c, _ = overTLS(t, s, 0)
	client := sasl.OAuthBearerClient("ana", "narrow", "localhost", 995)
	if got := c.authenticate(client); !strings.HasPrefix(got, "-ERR [AUTH]") || client.Failure() == nil || client.Failure().Scope != "mail" {
		t.Errorf("%q, %+v", got, client.Failure())
	}
	if got := c.authenticate(sasl.XOAuth2Client("ana", "good")); !strings.HasPrefix(got, "+OK") {
		t.Errorf("%q", got)
	}
}
