// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// converse runs an exchange to its end, as a protocol would.
func converse(t *testing.T, c Client, s Server, withInitial bool) error {
	t.Helper()
	_, initial, err := c.Start()
	if err != nil {
		return err
	}
	var challenge []byte
	var done bool
	if withInitial && initial != nil {
		challenge, done, err = s.Next(initial)
	} else if challenge, done, err = s.Next(nil); err == nil && !done && initial != nil {
		if len(challenge) != 0 {
			t.Fatalf("challenge %q before the client's first words", challenge)
		}
		challenge, done, err = s.Next(initial)
	}
	for range 8 {
		if err != nil {
			return err
		}
		if done && challenge == nil {
			if !c.Done() {
				t.Error("the server is done and the client is not")
			}
			return nil
		}
		response, clientErr := c.Next(challenge)
		if clientErr != nil {
			return clientErr
		}
		if done {
			if len(response) != 0 || !c.Done() {
				t.Errorf("after the last data: response %q, done %v", response, c.Done())
			}
			return nil
		}
		challenge, done, err = s.Next(response)
	}
	t.Fatal("the exchange does not end")
	return nil
}

// only accepts one identity, user and password.
func only(identity, user, password string) func(i, u, p string) error {
	return func(i, u, p string) error {
		if i != identity || u != user || p != password {
			return ErrCredentials
		}
		return nil
	}
}

func TestPasswordMechanisms(t *testing.T) {
	for _, initial := range []bool{true, false} {
		for _, test := range []struct {
			name   string
			client Client
			server Server
			want   error
		}{
			{"plain", PlainClient("", "u1", "a b ü"), PlainServer(only("", "u1", "a b ü")), nil},
			{"plain identity", PlainClient("boss", "u1", "p"), PlainServer(only("boss", "u1", "p")), nil},
			{"plain wrong", PlainClient("", "u1", "x"), PlainServer(only("", "u1", "p")), ErrCredentials},
			{"plain NUL", PlainClient("", "u1", "x\x00y"), PlainServer(only("", "u1", "x\x00y")), ErrMalformed},
			{"plain empty", PlainClient("", "u1", ""), PlainServer(only("", "u1", "")), ErrMalformed},
			{"plain long", PlainClient("", strings.Repeat("u", 1025), "p"), PlainServer(only("", "", "")), ErrMalformed},
			{"login", LoginClient("u1", "a b ü"), LoginServer(only("", "u1", "a b ü")), nil},
			{"login wrong", LoginClient("u1", "x"), LoginServer(only("", "u1", "p")), ErrCredentials},
			{"external", ExternalClient(""), ExternalServer(func(i string) error { return only("", "", "")(i, "", "") }), nil},
			{"external as", ExternalClient("u1"), ExternalServer(func(i string) error { return only("u1", "", "")(i, "", "") }), nil},
			{"external wrong", ExternalClient("u2"), ExternalServer(func(i string) error { return only("u1", "", "")(i, "", "") }), ErrCredentials},
		} {
			if err := converse(t, test.client, test.server, initial); !errors.Is(err, test.want) {
				t.Errorf("%s, initial response %v: %v, want %v", test.name, initial, err, test.want)
			}
		}
	}
}

func TestLoginTakesAnInitialName(t *testing.T) {
	s := LoginServer(only("", "u1", "p"))
	challenge, done, err := s.Next([]byte("u1"))
	if string(challenge) != "Password:" || done || err != nil {
		t.Fatalf("got %q, %v, %v", challenge, done, err)
	}
	if _, done, err = s.Next([]byte("p")); !done || err != nil {
		t.Fatalf("got %v, %v", done, err)
	}
}

func TestPlainServerRefusesWhatIsMalformed(t *testing.T) {
	for _, message := range []string{
		"", "u1", "\x00u1", "\x00\x00", "\x00u1\x00", "\x00\x00p", "\x00u1\x00p\x00", "a\x00b\x00c\x00d",
		"\x00u\xff\x00p", "\x00u1\x00" + strings.Repeat("p", 1025), strings.Repeat("x", 1<<17),
	} {
		s := PlainServer(func(i, u, p string) error { t.Errorf("asked for %q %q %q", i, u, p); return nil })
		if _, done, err := s.Next([]byte(message)); done || !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40q: %v, %v", message, done, err)
		}
		if _, done, err := s.Next([]byte("\x00u1\x00p")); done || !errors.Is(err, ErrUnexpected) {
			t.Errorf("a second try in the same exchange: %v, %v", done, err)
		}
	}
}

func TestClientsRefuseFurtherChallenges(t *testing.T) {
	for _, c := range []Client{PlainClient("", "u", "p"), ExternalClient("")} {
		if _, _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte("more?")); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%T: %v", c, err)
		}
	}
	c := LoginClient("u", "p")
	if _, initial, err := c.Start(); initial != nil || err != nil {
		t.Fatalf("LOGIN starts with %q, %v", initial, err)
	}
	for _, want := range []string{"u", "p"} {
		if got, err := c.Next(nil); string(got) != want || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if _, err := c.Next(nil); !errors.Is(err, ErrUnexpected) {
		t.Errorf("third challenge: %v", err)
	}
}

func TestTokens(t *testing.T) {
	check := func(user, token string) error {
		switch {
		case user == "u=1,@example.org" && token == "t0k.en==":
			return nil
		case token == "scope":
			return &TokenFailure{Status: "insufficient_scope", Scope: "mail"}
		case token == "broken":
			return errors.New("the provider does not answer")
		}
		return ErrCredentials
	}
	type makers struct {
		client func(user, token string) *TokenClient
		server func() Server
	}
	for name, m := range map[string]makers{
		"OAUTHBEARER": {
			func(u, tok string) *TokenClient { return OAuthBearerClient(u, tok, "pop.example.org", 995) },
			func() Server { return OAuthBearerServer(check) }},
		"XOAUTH2": {XOAuth2Client, func() Server { return XOAuth2Server(check) }},
	} {
		for _, initial := range []bool{true, false} {
			c := m.client("u=1,@example.org", "t0k.en==")
			if err := converse(t, c, m.server(), initial); err != nil || c.Failure() != nil {
				t.Errorf("%s: %v, %v", name, err, c.Failure())
			}
			c = m.client("u1", "old")
			if err := converse(t, c, m.server(), initial); !errors.Is(err, ErrCredentials) {
				t.Errorf("%s, old token: %v", name, err)
			}
			if f := c.Failure(); f == nil || f.Status != "invalid_token" || c.Done() {
				t.Errorf("%s, old token: %+v, done %v", name, f, c.Done())
			}
			c = m.client("u1", "scope")
			if err := converse(t, c, m.server(), initial); !errors.Is(err, ErrCredentials) || c.Failure().Scope != "mail" {
				t.Errorf("%s, scope: %v, %+v", name, err, c.Failure())
			}
			c = m.client("u1", "broken")
			if err := converse(t, c, m.server(), initial); err == nil || errors.Is(err, ErrCredentials) || c.Failure() != nil {
				t.Errorf("%s, broken: %v", name, err)
			}
		}
		for _, bad := range [][2]string{{"u\x01x", "t"}, {"u", "t\x01"}, {"u", "a b"}, {"u", ""}, {"u", "t\r\n"}} {
			if _, _, err := m.client(bad[0], bad[1]).Start(); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s %q: %v", name, bad, err)
			}
		}
	}
}

// The example of RFC 7628 section 4.1, and the answer of section 4.3.
func TestOAuthBearerVectors(t *testing.T) {
	c := OAuthBearerClient("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "server.example.com", 143)
	_, initial, err := c.Start()
	want := "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
	if string(initial) != want || err != nil {
		t.Errorf("got %q, %v", initial, err)
	}
	answer, err := c.Next([]byte(`{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}`))
	if !bytes.Equal(answer, []byte{1}) || err != nil {
		t.Errorf("answer %q, %v", answer, err)
	}
	if f := c.Failure(); f.Status != "invalid_token" || f.Scope != "example_scope" || !strings.HasPrefix(f.Configuration, "https://example.com/") {
		t.Errorf("failure %+v", f)
	}
	if _, err = c.Next(nil); !errors.Is(err, ErrUnexpected) {
		t.Errorf("second challenge: %v", err)
	}
}

func TestTokenServersRefuseWhatIsMalformed(t *testing.T) {
	for _, message := range []string{
		"", "n,,", "n,,\x01", "n,,\x01auth=Bearer t\x01", "p=tls-exporter,,\x01auth=Bearer t\x01\x01",
		"n,a=,\x01auth=Bearer t\x01\x01", "n,a=u=x,\x01auth=Bearer t\x01\x01", "n,,\x01auth=Basic t\x01\x01",
		"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01", "n,,\x01auth=Bearer \x01\x01", "n,,x\x01auth=Bearer t\x01\x01",
		"user=\x01auth=Bearer t\x01\x01", "user=u\x01auth=Bearer t\x01", "user=u", "user=u\x01noequals\x01\x01",
	} {
		for _, server := range []func(func(u, t string) error) Server{OAuthBearerServer, XOAuth2Server} {
			s := server(func(u, tok string) error { t.Errorf("asked for %q %q by %q", u, tok, message); return nil })
			if _, done, err := s.Next([]byte(message)); done || !errors.Is(err, ErrMalformed) {
				t.Errorf("%q: %v, %v", message, done, err)
			}
		}
	}
}
