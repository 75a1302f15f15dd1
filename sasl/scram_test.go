// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// scramVector is an exchange as the RFCs print it.
type scramVector struct {
	hash, clientNonce, serverNonce, salt     string
	clientFirst, serverFirst, clientFinal, v string
}

var scramVectors = []scramVector{
	{ // RFC 5802 section 5
		"SHA-1", "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
		"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
	},
	{ // RFC 7677 section 3
		"SHA-256", "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
		"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	},
}

func TestSCRAMVectors(t *testing.T) {
	for _, v := range scramVectors {
		c := SCRAMClient(v.hash, "", "user", "pencil", false)
		c.nonce = v.clientNonce
		name, first, err := c.Start()
		if string(first) != v.clientFirst || name != "SCRAM-"+v.hash || err != nil {
			t.Fatalf("%s: %q, %q, %v", v.hash, name, first, err)
		}
		final, err := c.Next([]byte(v.serverFirst))
		if string(final) != v.clientFinal || err != nil {
			t.Errorf("%s: %q, %v", v.hash, final, err)
		}
		if rest, err := c.Next([]byte(v.v)); len(rest) != 0 || err != nil || !c.Done() {
			t.Errorf("%s: %q, %v", v.hash, rest, err)
		}

		salt, err := base64.StdEncoding.DecodeString(v.salt)
		if err != nil {
			t.Fatal(err)
		}
		key, err := DeriveSCRAM(v.hash, "pencil", salt, 4096)
		if err != nil {
			t.Fatal(err)
		}
		s := SCRAMServer(v.hash, fixedKeys(SCRAMKeys{salt, 4096, []SCRAMKey{key}}), false)
		s.nonce = v.serverNonce
		if got, _, err := s.Next([]byte(v.clientFirst)); string(got) != v.serverFirst || err != nil {
			t.Errorf("%s: %q, %v", v.hash, got, err)
		}
		if got, done, err := s.Next([]byte(v.clientFinal)); string(got) != v.v || !done || err != nil {
			t.Errorf("%s: %q, %v, %v", v.hash, got, done, err)
		}
		if _, done, err := s.Next([]byte(v.clientFinal)); done || !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s: a third message: %v, %v", v.hash, done, err)
		}
	}
}

func fixedKeys(keys SCRAMKeys) SCRAMLookup {
	return func(string, string) (SCRAMKeys, error) { return keys, nil }
}

var testSalt = []byte("0123456789abcdef")

func keysFor(t testing.TB, hash string, passwords ...string) SCRAMKeys {
	t.Helper()
	keys := SCRAMKeys{Salt: testSalt, Iterations: MinIterations}
	for _, p := range passwords {
		key, err := DeriveSCRAM(hash, p, testSalt, MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		keys.Keys = append(keys.Keys, key)
	}
	return keys
}

func TestSCRAMFindsTheKey(t *testing.T) {
	passwords := []string{"first", "second", "\u2168 third"}
	keys := keysFor(t, "SHA-256", passwords...)
	for i, p := range append(passwords, "IX third") {
		s := SCRAMServer("SHA-256", fixedKeys(keys), false)
		if err := converse(t, SCRAMClient("SHA-256", "", "u1", p, true), s, i%2 == 0); err != nil {
			t.Errorf("%q: %v", p, err)
		}
		if want := min(i, 2); s.Matched() != want {
			t.Errorf("%q matched key %d", p, s.Matched())
		}
	}
	for name, keys := range map[string]SCRAMKeys{"wrong": keys, "unknown": {Salt: testSalt, Iterations: MinIterations}} {
		s := SCRAMServer("SHA-256", fixedKeys(keys), false)
		if err := converse(t, SCRAMClient("SHA-256", "", "u1", "other", false), s, true); !errors.Is(err, ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
		if s.Matched() != -1 {
			t.Errorf("%s matched %d", name, s.Matched())
		}
	}
}

func TestSCRAMNamesAreEscapedAndPrepared(t *testing.T) {
	var identity, name string
	keys := keysFor(t, "SHA-256", "p")
	s := SCRAMServer("SHA-256", func(i, n string) (SCRAMKeys, error) {
		identity, name = i, n
		return keys, nil
	}, false)
	if err := converse(t, SCRAMClient("SHA-256", "a=b,c", "u\u00ad,=2C", "p", false), s, true); err != nil {
		t.Fatal(err)
	}
	if identity != "a=b,c" || name != "u,=2C" || s.Name() != name {
		t.Errorf("got %q and %q", identity, name)
	}
}

func TestSCRAMLookupFailureEndsTheExchange(t *testing.T) {
	broken := errors.New("the directory is broken")
	s := SCRAMServer("SHA-256", func(string, string) (SCRAMKeys, error) { return SCRAMKeys{}, broken }, false)
	if err := converse(t, SCRAMClient("SHA-256", "", "u1", "p", false), s, true); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestSCRAMBindings(t *testing.T) {
	a := ChannelBinding{Type: BindExporter, Data: []byte("connection a")}
	b := ChannelBinding{Type: BindExporter, Data: []byte("connection b")}
	end := ChannelBinding{Type: BindServerEndPoint, Data: []byte("certificate")}
	foreign := ChannelBinding{Type: "tls-unique", Data: []byte("x")}
	lookup := fixedKeys(keysFor(t, "SHA-256", "p"))
	plus := func(binding ChannelBinding) Client { return SCRAMPlusClient("SHA-256", "", "u1", "p", binding) }
	for _, test := range []struct {
		name   string
		client Client
		server Server
		want   error
	}{
		{"exporter", plus(a), SCRAMPlusServer("SHA-256", lookup, []ChannelBinding{a, end}), nil},
		{"end point", plus(end), SCRAMPlusServer("SHA-256", lookup, []ChannelBinding{a, end}), nil},
		{"another connection", plus(b), SCRAMPlusServer("SHA-256", lookup, []ChannelBinding{a, end}), ErrChannelBinding},
		{"unknown type", plus(foreign), SCRAMPlusServer("SHA-256", lookup, []ChannelBinding{a}), ErrChannelBinding},
		{"no bindings", plus(a), SCRAMPlusServer("SHA-256", lookup, nil), ErrChannelBinding},
		{"downgraded", SCRAMClient("SHA-256", "", "u1", "p", true), SCRAMServer("SHA-256", lookup, true), ErrChannelBinding},
		{"not offered", SCRAMClient("SHA-256", "", "u1", "p", true), SCRAMServer("SHA-256", lookup, false), nil},
		{"cannot", SCRAMClient("SHA-256", "", "u1", "p", false), SCRAMServer("SHA-256", lookup, true), nil},
		{"plus without flag", SCRAMClient("SHA-256", "", "u1", "p", false), SCRAMPlusServer("SHA-256", lookup, []ChannelBinding{a}), ErrMalformed},
		{"flag without plus", plus(a), SCRAMServer("SHA-256", lookup, true), ErrMalformed},
	} {
		if err := converse(t, test.client, test.server, true); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	// The flag is signed: one that was changed on the way does not pass.
	s := SCRAMServer("SHA-256", lookup, true)
	c := SCRAMClient("SHA-256", "", "u1", "p", true)
	_, first, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	challenge, _, err := s.Next(append([]byte("n"), first[1:]...))
	if err != nil {
		t.Fatal(err)
	}
	final, err := c.Next(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Next(final); !errors.Is(err, ErrChannelBinding) {
		t.Errorf("a changed flag: %v", err)
	}
}

func TestSCRAMClientRefusesBadServers(t *testing.T) {
	salt := ",s=" + base64.StdEncoding.EncodeToString(testSalt)
	for _, test := range []struct{ name, challenge, want string }{
		{"few iterations", "r=NONCEx" + salt + ",i=4095", "4095 iterations"},
		{"costly", "r=NONCEx" + salt + ",i=10000001", "10000001 iterations"},
		{"negative", "r=NONCEx" + salt + ",i=-4096", "malformed"},
		{"huge", "r=NONCEx" + salt + ",i=99999999999999999999", "malformed"},
		{"own nonce", "r=NONCE" + salt + ",i=4096", "nonce"},
		{"foreign nonce", "r=otherNONCEx" + salt + ",i=4096", "nonce"},
		{"mandatory extension", "m=x,r=NONCEx" + salt + ",i=4096", "malformed"},
		{"no salt", "r=NONCEx,s=,i=4096", "malformed"},
		{"long salt", "r=NONCEx,s=" + strings.Repeat("AAAA", 400) + ",i=4096", "malformed"},
		{"long", "r=NONCEx" + strings.Repeat("x", 9000) + salt + ",i=4096", "malformed"},
		{"refusal", "e=unknown-user", "wrong credentials"},
		{"escape", "e=\x1b[2J", `"\x1b[2J"`},
		{"empty", "", "malformed"},
	} {
		c := SCRAMClient("SHA-256", "", "u1", "p", false)
		if _, _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_, err := c.Next([]byte(strings.ReplaceAll(test.challenge, "NONCE", c.nonce)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, err := c.Next([]byte("v=AAAA")); err == nil || c.Done() {
			t.Errorf("%s: the client goes on after it", test.name)
		}
	}
	for final, want := range map[string]error{
		"v=" + base64.StdEncoding.EncodeToString(make([]byte, 32)): ErrServer,
		"v=AAAA":                        ErrServer,
		"v=":                            ErrMalformed,
		"":                              ErrMalformed,
		"e=invalid-proof":               ErrCredentials,
		"e=channel-bindings-dont-match": ErrChannelBinding,
	} {
		c := SCRAMClient("SHA-256", "", "u1", "p", false)
		if _, _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte("r=" + c.nonce + "x" + salt + ",i=4096")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte(final)); !errors.Is(err, want) || c.Done() {
			t.Errorf("%q: %v, want %v", final, err, want)
		}
	}
}

func TestSCRAMServerRefusesWhatIsMalformed(t *testing.T) {
	lookup := fixedKeys(keysFor(t, "SHA-256", "p"))
	for _, first := range []string{
		"", "n", "n,", "n,,", "n,,n=u", "n,,n=,r=x", "n,,n=u,r=", "n,,n=u=,r=x", "n,,m=x,n=u,r=x", "x,,n=u,r=x",
		"n,b=x,n=u,r=x", "n,a=,n=u,r=x", "n,,n=u,r=a b", "n,,n=u,r=x,", "n,,n=u,r=x,m=1", "n,,n=u\xff,r=x", "n,,n=\x01,r=x",
		"n,,n=" + strings.Repeat("u", 1025) + ",r=x", "n,,n=u,r=" + strings.Repeat("x", 513), "n,,n=u,r=" + strings.Repeat("x", 9000),
	} {
		if _, _, err := SCRAMServer("SHA-256", lookup, false).Next([]byte(first)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.60q: %v", first, err)
		}
	}
	proof := ",p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for final, want := range map[string]error{
		"c=biws,r=NONCE" + proof:          ErrCredentials,
		"c=biws,r=NONCE,x=y" + proof:      ErrCredentials,
		"c=biws,r=NONCE,m=y" + proof:      ErrMalformed,
		"c=biws,r=NONCEx" + proof:         ErrMalformed,
		"c=eSws,r=NONCE" + proof:          ErrChannelBinding,
		"c=biws,r=NONCE":                  ErrMalformed,
		"c=biws,r=NONCE,p=AAAA":           ErrMalformed,
		"c=biws,r=NONCE" + proof + proof:  ErrMalformed,
		"r=NONCE,c=biws" + proof:          ErrMalformed,
		"c=bi ws,r=NONCE" + proof:         ErrMalformed,
		"c=biws,r=NONCE" + proof + ",x=y": ErrMalformed,
	} {
		s := SCRAMServer("SHA-256", lookup, false)
		if _, _, err := s.Next([]byte("n,,n=u,r=abc")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Next([]byte(strings.ReplaceAll(final, "NONCE", s.nonce))); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", final, err, want)
		}
	}
}

func TestDeriveSCRAMRefuses(t *testing.T) {
	for name, derive := range map[string]func() (SCRAMKey, error){
		"hash":       func() (SCRAMKey, error) { return DeriveSCRAM("MD5", "p", testSalt, 4096) },
		"empty":      func() (SCRAMKey, error) { return DeriveSCRAM("SHA-256", "", testSalt, 4096) },
		"control":    func() (SCRAMKey, error) { return DeriveSCRAM("SHA-256", "a\nb", testSalt, 4096) },
		"salt":       func() (SCRAMKey, error) { return DeriveSCRAM("SHA-256", "p", nil, 4096) },
		"iterations": func() (SCRAMKey, error) { return DeriveSCRAM("SHA-256", "p", testSalt, 0) },
	} {
		if key, err := derive(); err == nil {
			t.Errorf("%s: %v", name, key)
		}
	}
}

// An independent implementation speaks with ours, both ways round.
func TestSCRAMAgainstAnotherImplementation(t *testing.T) {
	generators := map[string]scram.HashGeneratorFcn{"SHA-1": scram.SHA1, "SHA-256": scram.SHA256}
	for hash, generator := range generators {
		for _, user := range []string{"u1", "a=b,c", "u\u00ad\u2168"} {
			for _, password := range []string{"pencil", "p\u00e4ss w\u00a0rd", ",=\"\\"} {
				theirs, err := generator.NewClient(user, password, "")
				if err != nil {
					t.Fatal(err)
				}
				ours := SCRAMServer(hash, fixedKeys(keysFor(t, hash, "x", password)), false)
				if err := theirClient(theirs.NewConversation(), ours); err != nil || ours.Matched() != 1 {
					t.Errorf("%s, their client, %q %q: %v", hash, user, password, err)
				}
				server, err := generator.NewServer(func(string) (scram.StoredCredentials, error) {
					return theirs.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(testSalt), Iters: MinIterations})
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := theirServer(SCRAMClient(hash, "", user, password, false), server.NewConversation()); err != nil {
					t.Errorf("%s, their server, %q %q: %v", hash, user, password, err)
				}
				binding := scram.ChannelBinding{Type: BindExporter, Data: []byte("same connection")}
				mine := ChannelBinding{Type: BindExporter, Data: binding.Data}
				plus := SCRAMPlusServer(hash, fixedKeys(keysFor(t, hash, password)), []ChannelBinding{mine})
				if err := theirClient(theirs.NewConversationWithChannelBinding(binding), plus); err != nil {
					t.Errorf("%s-PLUS, their client: %v", hash, err)
				}
				if err := theirServer(SCRAMPlusClient(hash, "", user, password, mine),
					server.NewConversationWithChannelBindingRequired(binding)); err != nil {
					t.Errorf("%s-PLUS, their server: %v", hash, err)
				}
			}
		}
	}
}

func theirClient(c *scram.ClientConversation, s Server) error {
	message := ""
	for done := false; ; {
		response, err := c.Step(message)
		if err != nil {
			return err
		}
		if done {
			if !c.Valid() {
				return errors.New("the client is not content")
			}
			return nil
		}
		challenge, isDone, err := s.Next([]byte(response))
		if err != nil {
			return err
		}
		message, done = string(challenge), isDone
	}
}

func theirServer(c Client, s *scram.ServerConversation) error {
	_, message, err := c.Start()
	for err == nil && !c.Done() {
		var challenge string
		if challenge, err = s.Step(string(message)); err == nil {
			message, err = c.Next([]byte(challenge))
		}
	}
	if err == nil && !s.Valid() {
		err = errors.New("the server is not content")
	}
	return err
}

func TestNoncesDiffer(t *testing.T) {
	a, b := newNonce(), newNonce()
	if a == b || !validNonce(a) || bytes.Contains([]byte(a), []byte(",")) {
		t.Errorf("%q and %q", a, b)
	}
}
