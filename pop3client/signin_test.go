// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"restante.example/pop3"
	"restante.example/sasl"
)

func TestDefaultChoice(t *testing.T) {
	everything := []string{"LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "XOAUTH2", "SCRAM-SHA-1-PLUS", "OAUTHBEARER",
		"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "ANONYMOUS"}
	binding := []sasl.ChannelBinding{{Type: "tls-exporter"}}
	for _, test := range []struct {
		name  string
		offer Offer
		want  string
	}{
		{"everything", Offer{Mechanisms: everything, MayReveal: true, Password: true, Bindings: binding},
			"[SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN USER]"},
		{"no binding", Offer{Mechanisms: everything, MayReveal: true, Password: true}, "[SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN USER]"},
		{"clear text", Offer{Mechanisms: everything, Password: true}, "[SCRAM-SHA-256 SCRAM-SHA-1]"},
		{"clear text, token", Offer{Mechanisms: everything, Token: true}, "[]"},
		{"clear text, nothing announced", Offer{Password: true}, "[]"},
		{"token", Offer{Mechanisms: everything, Token: true, MayReveal: true}, "[OAUTHBEARER XOAUTH2]"},
		{"token, nothing announced", Offer{Token: true, MayReveal: true}, "[XOAUTH2]"},
		{"old server", Offer{Password: true, MayReveal: true}, "[USER]"},
		{"APOP is not chosen", Offer{Password: true, MayReveal: true, Timestamp: true}, "[USER]"},
		{"nothing to sign in with", Offer{Mechanisms: everything, MayReveal: true}, "[]"},
	} {
		if got := fmt.Sprint(DefaultChoice(test.offer)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// speak offers one mechanism and serves it by package sasl.
func speak(conn net.Conn, announce string, serve func() sasl.Server) error {
	r := bufio.NewReader(conn)
	say := func(line string) error { _, err := io.WriteString(conn, line+"\r\n"); return err }
	if err := say("+OK"); err != nil {
		return err
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		switch {
		case words[0] == "CAPA":
			err = say("+OK\r\nSASL " + announce + "\r\n.")
		case words[0] == "AUTH" && len(words) == 3:
			var initial, challenge []byte
			if initial, err = base64.StdEncoding.DecodeString(words[2]); err != nil {
				return err
			}
			server := serve()
			done := false
			for response := initial; ; {
				if challenge, done, err = server.Next(response); err != nil || done && challenge == nil {
					break
				}
				if err := say("+ " + base64.StdEncoding.EncodeToString(challenge)); err != nil {
					return err
				}
				if line, err = r.ReadString('\n'); err != nil {
					return err
				}
				if response, err = base64.StdEncoding.DecodeString(strings.TrimSpace(line)); err != nil || done {
					break
				}
			}
			if err != nil {
				err = say("-ERR [AUTH] no")
			} else {
				err = say("+OK")
			}
		default:
			err = say("-ERR unknown")
		}
		if err != nil {
			return err
		}
	}
}

// TestSCRAM: under TLS the exchange is bound to the connection, in clear text
// it works without showing the password.
func TestSCRAM(t *testing.T) {
	key, err := sasl.DeriveSCRAM("SHA-256", "secret", []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(_, _ string) (sasl.SCRAMKeys, error) {
		return sasl.SCRAMKeys{Salt: []byte("salt"), Iterations: 4096, Keys: []sasl.SCRAMKey{key}}, nil
	}
	for _, secured := range []bool{true, false} {
		for _, password := range []sasl.Secret{"secret", "wrong"} {
			client, server := net.Pipe()
			var trace strings.Builder
			opt := &Options{Trace: TraceTo(&trace)}
			serve := func() sasl.Server { return sasl.SCRAMServer("SHA-256", lookup, false) }
			var front, back net.Conn = client, server
			if secured {
				cert, pool := certificate(t)
				tlsServer := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
				serve = func() sasl.Server {
					return sasl.SCRAMPlusServer("SHA-256", lookup, sasl.ServerBindings(tlsServer.ConnectionState(), &cert))
				}
				front, back = tls.Client(client, &tls.Config{RootCAs: pool, ServerName: "mail.example.org"}), tlsServer
			}
			announce := "PLAIN SCRAM-SHA-256"
			if secured {
				announce += " SCRAM-SHA-256-PLUS"
			}
			done := make(chan error, 1)
			go func() { done <- speak(back, announce, serve) }()
			c, err := New(t.Context(), front, opt)
			if err != nil {
				t.Fatal(err)
			}
			err = c.SignIn(t.Context(), Credentials{User: "u1", Password: password})
			if password == "secret" && err != nil || password == "wrong" && !errors.Is(err, pop3.CodeAuth) {
				t.Errorf("TLS %v, %s: %v", secured, string(password), err)
			}
			if plus := strings.Contains(trace.String(), "SCRAM-SHA-256-PLUS ****"); plus != secured {
				t.Errorf("TLS %v: %s", secured, &trace)
			}
			if strings.Contains(trace.String(), "AUTH PLAIN") {
				t.Errorf("PLAIN after wrong credentials: %s", &trace)
			}
			_ = c.Close()
			_ = server.Close()
			<-done
		}
	}
}

// TestImpostor: a server that takes our proof and cannot give its own is left.
func TestImpostor(t *testing.T) {
	key, err := sasl.DeriveSCRAM("SHA-256", "secret", []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	key.ServerKey[0] ^= 1
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- speak(server, "SCRAM-SHA-256", func() sasl.Server {
			return sasl.SCRAMServer("SHA-256", func(_, _ string) (sasl.SCRAMKeys, error) {
				return sasl.SCRAMKeys{Salt: []byte("salt"), Iterations: 4096, Keys: []sasl.SCRAMKey{key}}, nil
			}, false)
		})
	}()
	c, err := New(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), u1); !errors.Is(err, sasl.ErrServer) || c.Err() == nil {
		t.Error(err, c.Err())
	}
	if err := <-done; err == nil {
		t.Error("the conversation went on")
	}
}

// TestLyingServer: a server that says +OK before it has proved that it knows
// the password is not believed.
func TestLyingServer(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		r := bufio.NewScanner(server)
		for reply := range slices.Values([]string{"+OK", "+OK\r\nSASL SCRAM-SHA-256\r\n.", "+OK welcome"}) {
			if _, err := io.WriteString(server, reply+"\r\n"); err != nil || !r.Scan() {
				return
			}
		}
	}()
	c, err := New(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), u1); !errors.Is(err, sasl.ErrServer) || c.Err() == nil || c.State() != pop3.Authorization {
		t.Error(err, c.Err())
	}
}

const xoauth2 = "dXNlcj11MQFhdXRoPUJlYXJlciB0b2tlbgEB" // user=u1, token

// TestSignIn shows what is said under TLS, or in clear text that is allowed.
func TestSignIn(t *testing.T) {
	long := sasl.Secret(strings.Repeat("t", 300))
	longLine := base64.StdEncoding.EncodeToString([]byte("user=u1\x01auth=Bearer " + string(long) + "\x01\x01"))
	token := Credentials{User: "u1", Token: "token"}
	for _, test := range []struct {
		name   string
		cred   Credentials
		says   string
		want   func(error) bool // nil: success
		broken bool
	}{
		{name: "PLAIN", cred: u1, says: capa("SASL PLAIN", "AUTH-RESP-CODE") + `
			C: AUTH PLAIN AHUxAHNlY3JldA==
			S: +OK`},
		{name: "PLAIN that the server cannot", cred: u1, says: capa("SASL PLAIN", "AUTH-RESP-CODE") + `
			C: AUTH PLAIN AHUxAHNlY3JldA==
			S: -ERR unknown command
			C: USER u1
			S: +OK
			C: PASS secret
			S: +OK`},
		{name: "PLAIN on two lines where codes are not announced", cred: u1, says: capa("SASL PLAIN") + `
			C: AUTH PLAIN
			S: +
			C: AHUxAHNlY3JldA==
			S: -ERR wrong`, want: refused("")},
		{name: "PLAIN refused by name, then USER", cred: u1, says: capa("SASL PLAIN") + `
			C: AUTH PLAIN
			S: -ERR unknown
			C: USER u1
			S: +OK
			C: PASS secret
			S: +OK`},
		{name: "wrong password ends it", cred: u1, says: capa("SASL PLAIN LOGIN", "AUTH-RESP-CODE") + `
			C: AUTH PLAIN AHUxAHNlY3JldA==
			S: -ERR [AUTH] wrong`, want: refused(pop3.CodeAuth)},
		{name: "IN-USE ends it", cred: u1, says: capa("SASL PLAIN LOGIN", "AUTH-RESP-CODE") + `
			C: AUTH PLAIN AHUxAHNlY3JldA==
			S: -ERR [IN-USE] later`, want: refused(pop3.CodeInUse)},
		{name: "LOGIN", cred: u1, says: capa("SASL LOGIN") + `
			C: AUTH LOGIN
			S: + VXNlcm5hbWU6
			C: dTE=
			S: + no base64 at all
			C: c2VjcmV0
			S: +OK`},
		{name: "USER refused", cred: u1, says: capa("UIDL") + `
			C: USER u1
			S: -ERR [SYS/TEMP] later`, want: refused(pop3.CodeSysTemp)},
		{name: "password with blanks", cred: Credentials{User: "u 1", Password: " a  b "}, says: capa("USER") +
			"\nC: USER u 1\nS: +OK\nC: PASS  a  b \nS: +OK"},
		{name: "XOAUTH2", cred: token, says: capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2 ` + xoauth2 + `
			S: +OK`},
		{name: "XOAUTH2 as Microsoft wants it", cred: Credentials{User: "u1", Token: "token", TwoLineToken: true}, says: capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2
			S: +
			C: ` + xoauth2 + `
			S: +OK`},
		{name: "XOAUTH2, long token", cred: Credentials{User: "u1", Token: long}, says: capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2
			S: + come on
			C: ` + longLine + `
			S: +OK`},
		{name: "XOAUTH2 refused in JSON", cred: token, says: capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2 ` + xoauth2 + `
			S: + eyJzdGF0dXMiOiI0MDAifQ==
			C:
			S: -ERR [AUTH] failed`, want: func(err error) bool {
			failure, ok := errors.AsType[*sasl.TokenFailure](err)
			return ok && failure.Status == "400" && refused(pop3.CodeAuth)(err) && errors.Is(err, sasl.ErrCredentials)
		}},
		{name: "OAUTHBEARER", cred: token, says: capa("SASL XOAUTH2 OAUTHBEARER", "AUTH-RESP-CODE") + `
			C: AUTH OAUTHBEARER bixhPXUxLAFhdXRoPUJlYXJlciB0b2tlbgEB
			S: +OK`},
		{name: "no mechanism", cred: token, says: capa("SASL PLAIN") + `
			C: AUTH XOAUTH2 ` + xoauth2 + `
			S: -ERR unknown`, want: refused("")},
		{name: "unknown to us", cred: Credentials{User: "u1", Password: "p", Choose: func(o Offer) []string { return o.Mechanisms }},
			says: capa("SASL X-OWN"), want: func(err error) bool { return errors.Is(err, ErrNoMechanism) }},
		{name: "APOP", cred: Credentials{User: "mrose", Password: "tanstaaf", Choose: func(o Offer) []string { return []string{APOP} }},
			// The example of RFC 1939 section 7.
			says: `
			C: CAPA
			S: -ERR
			C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
			S: +OK`},
		{name: "challenges without end", cred: Credentials{User: "u1", Token: "token"}, says: capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2 ` + xoauth2 + `
			S: + e30=
			C:
			S: + e30=
			C: *
			S: -ERR aborted`, want: func(err error) bool { return errors.Is(err, sasl.ErrUnexpected) }},
		{name: "success after we gave up", cred: token, says: capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2 ` + xoauth2 + `
			S: + e30=
			C:
			S: + e30=
			C: *
			S: +OK`, want: func(err error) bool { return errors.Is(err, sasl.ErrUnexpected) }, broken: true},
		{name: "a reason after we gave up", cred: token, says: capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2 ` + xoauth2 + `
			S: + e30=
			C:
			S: + e30=
			C: *
			S: -ERR [SYS/TEMP] later`, want: func(err error) bool { return errors.Is(err, sasl.ErrUnexpected) && refused(pop3.CodeSysTemp)(err) }},
		{name: "no reply at all", cred: u1, says: capa("SASL PLAIN") + `
			C: AUTH PLAIN
			S: maybe`, want: func(err error) bool { return errors.Is(err, ErrProtocol) }, broken: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := script(t, "S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\n"+test.says)
			c, err := New(t.Context(), conn, &Options{InsecurePassword: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = c.SignIn(t.Context(), test.cred)
			switch {
			case test.want == nil && (err != nil || c.State() != pop3.Transaction):
				t.Error(err)
			case test.want != nil && (err == nil || !test.want(err) || c.State() != pop3.Authorization):
				t.Error(err)
			}
			if broken := c.Err() != nil; broken != test.broken {
				t.Error(c.Err())
			}
		})
	}
}

func capa(lines ...string) string {
	return "C: CAPA\nS: +OK\nS: " + strings.Join(lines, "\nS: ") + "\nS: ."
}

func refused(code pop3.Code) func(error) bool {
	return func(err error) bool {
		refusal, ok := errors.AsType[*pop3.Error](err)
		return ok && refusal.Code == code
	}
}

// TestLongToken: a refusal of a token that Microsoft's servers cannot take says so.
func TestLongToken(t *testing.T) {
	for length, want := range map[int]bool{4096: false, 4097: true} {
		token := sasl.Secret(strings.Repeat("t", length))
		line := base64.StdEncoding.EncodeToString([]byte("user=u1\x01auth=Bearer " + string(token) + "\x01\x01"))
		c, err := New(t.Context(), script(t, "S: +OK\nC: AUTH XOAUTH2\nS: +\nC: "+line+"\nS: -ERR Protocol error"), clear)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), Credentials{User: "u1", Token: token}); errors.Is(err, ErrTokenTooLong) != want || !refused("")(err) {
			t.Errorf("%d: %v", length, err)
		}
		_ = c.Close()
	}
}

// TestClearText: without TLS and without leave nothing that reveals the
// password is sent, by whatever way.
func TestClearText(t *testing.T) {
	for _, test := range []struct {
		name string
		try  func(*Client) error
	}{
		{"SignIn", func(c *Client) error { return c.SignIn(t.Context(), u1) }},
		{"token", func(c *Client) error { return c.SignIn(t.Context(), Credentials{User: "u1", Token: "token"}) }},
		{"chosen PLAIN", func(c *Client) error {
			return c.SignIn(t.Context(), Credentials{User: "u1", Password: "secret", Choose: func(Offer) []string { return []string{"PLAIN"} }})
		}},
		{"chosen USER", func(c *Client) error {
			return c.SignIn(t.Context(), Credentials{User: "u1", Password: "secret", Choose: func(Offer) []string { return []string{User} }})
		}},
		{"UserPass", func(c *Client) error { return c.UserPass(t.Context(), "u1", "secret") }},
		{"Authenticate", func(c *Client) error { return c.Authenticate(t.Context(), sasl.PlainClient("", "u1", "secret")) }},
	} {
		// A script that takes nothing: any octet would block and fail.
		c, err := New(t.Context(), script(t, "S: +OK"), &Options{SkipCapabilities: true, InsecureLocalPassword: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := test.try(c); !errors.Is(err, ErrClearText) || c.Err() != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		_ = c.Close()
	}
}

// TestArguments: what would end a command early is refused before anything is
// sent, and the conversation goes on.
func TestArguments(t *testing.T) {
	for _, cred := range []Credentials{
		{User: "u1\r\nDELE 1", Password: "secret"}, {User: "u1", Password: "a\nb"}, {User: "u\x001", Password: "secret"},
		{User: strings.Repeat("u", 249), Password: "secret"}, {User: "", Password: "secret"}, {User: "u1", Password: sasl.Secret(strings.Repeat("p", 249))},
	} {
		c, err := New(t.Context(), script(t, "S: +OK\nC: QUIT\nS: +OK"), clear)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), cred); !errors.Is(err, ErrArgument) {
			t.Errorf("%q: %v", cred.User, err)
		} else if strings.Contains(err.Error(), "ppp") || strings.Contains(err.Error(), "a\nb") {
			t.Errorf("the error shows the password: %v", err)
		}
		if err := c.Quit(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestEcho: a server that repeats what was sent, whole or cut short, shows the
// password neither as it is nor in base64.
func TestEcho(t *testing.T) {
	withPassword := func(names ...string) Credentials {
		return Credentials{User: "u1", Password: "s3cret-pw", Choose: func(Offer) []string { return names }}
	}
	const bearer = "dXNlcj11MQFhdXRoPUJlYXJlciB0MGszbi14AQE=" // user=u1, t0k3n-x
	const stamp = "<1896.697170952@dbc.mtview.ca.us>"
	digest := fmt.Sprintf("%x", md5.Sum([]byte(stamp+"s3cret-pw")))
	for _, test := range []struct {
		name  string
		cred  Credentials
		says  string
		shows string
		hides []string
	}{
		{"PLAIN", withPassword("PLAIN"), capa("SASL PLAIN", "AUTH-RESP-CODE") + `
			C: AUTH PLAIN AHUxAHMzY3JldC1wdw==
			S: -ERR unknown command: AUTH PLAIN AHUxAHMzY3JldC1wdw==!`,
			"AUTH PLAIN [redacted]!", []string{"AHUxAHMzY3JldC1wdw"}},
		{"PLAIN cut short", withPassword("PLAIN"), capa("SASL PLAIN", "AUTH-RESP-CODE") + `
			C: AUTH PLAIN AHUxAHMzY3JldC1wdw==
			S: -ERR unknown: AHUxAHMzY3JldC1w...`, "unknown: [redacted]...", []string{"AHMz", "Y3Jl"}},
		{"PASS cut short", withPassword(User), "C: CAPA\nS: -ERR\nC: USER u1\nS: +OK\nC: PASS s3cret-pw\nS: -ERR unknown command: PASS s3cret-p...",
			"unknown command: PASS [redacted]...", []string{"s3cret"}},
		{"late", withPassword("PLAIN", "LOGIN"), capa("SASL PLAIN LOGIN", "AUTH-RESP-CODE") + `
			C: AUTH PLAIN AHUxAHMzY3JldC1wdw==
			s: -ERR unknown\r\n-ERR not AHUxAHMzY3JldC1wdw== nor s3cret-pw\r\n`, "not [redacted] nor [redacted]", []string{"AHUx", "s3cret"}},
		{"PLAIN on two lines", withPassword("PLAIN", "LOGIN"), capa("SASL PLAIN LOGIN") + `
			C: AUTH PLAIN
			S: +
			C: AHUxAHMzY3JldC1wdw==
			S: AHUxAHMzY3JldC1wdw== is no command`, "[redacted] is no command", []string{"AHUxAHMz"}},
		{"LOGIN", withPassword("LOGIN"), capa("SASL LOGIN") + `
			C: AUTH LOGIN
			S: + VXNlcm5hbWU6
			C: dTE=
			S: + UGFzc3dvcmQ6
			C: czNjcmV0LXB3
			S: -ERR what are "dTE=" and "czNjcmV0LXB3"?`, "what are", []string{"czNjcmV0"}},
		{"APOP", withPassword(APOP), "C: CAPA\nS: -ERR\nC: APOP u1 " + digest + "\nS: -ERR not APOP u1 " + digest,
			"not APOP u1 [redacted]", []string{digest}},
		{"XOAUTH2", Credentials{User: "u1", Token: "t0k3n-x"}, capa("SASL XOAUTH2") + `
			C: AUTH XOAUTH2 ` + bearer + `
			S: + ` + base64.StdEncoding.EncodeToString([]byte(`{"status":"`+bearer+` t0k3n-x"}`)) + `
			C:
			S: -ERR no`, "[redacted] [redacted]", []string{bearer[:16], "t0k3n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var trace strings.Builder
			c, err := New(t.Context(), script(t, "S: +OK "+stamp+"\n"+test.says), &Options{InsecurePassword: true, Trace: TraceTo(&trace)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = c.SignIn(t.Context(), test.cred)
			if err == nil {
				t.Fatal("signed in")
			}
			if !strings.Contains(err.Error(), test.shows) {
				t.Errorf("%q is not in %v", test.shows, err)
			}
			for _, secret := range test.hides {
				if strings.Contains(err.Error(), secret) || strings.Contains(trace.String(), secret) {
					t.Errorf("shows %s: %v\n%s", secret, err, &trace)
				}
			}
		})
	}
}

// TestEchoAfterSignIn: what comes behind the last answer hides the password still, and
// what is asked then comes whole.
func TestEchoAfterSignIn(t *testing.T) {
	const start = "S: +OK\nC: USER u1\nS: +OK\nC: PASS 320\n"
	cred := Credentials{User: "u1", Password: "320"}
	for _, test := range []struct{ says, shows string }{
		{"s: +OK\\r\\n-ERR not PASS 320\\r\\n", "not PASS [redacted]"},
		{"S: +OK\nC: STAT\nS: +OK 2 320", ""},
	} {
		c, err := New(t.Context(), script(t, start+test.says), clear)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SignIn(t.Context(), cred); err != nil {
			t.Fatal(err)
		}
		if _, octets, err := c.Stat(t.Context()); test.shows == "" && (err != nil || octets != 320) ||
			test.shows != "" && (err == nil || !strings.Contains(err.Error(), test.shows)) {
			t.Errorf("%q: %d, %v", test.says, octets, err)
		}
	}
}

// TestChallengesComeWhole: what is hidden from people is not taken out of what
// the mechanism reads.
func TestChallengesComeWhole(t *testing.T) {
	var got string
	mech := &asking{got: &got}
	c, err := New(t.Context(), script(t, "S: +OK\nC: AUTH X-ASK\nS: + Y2oxIQ==\nC: Y2ox\nS: +OK"), clear)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.authenticate(t.Context(), mech, false, "Y2ox"); err != nil || got != "cj1!" {
		t.Errorf("%q, %v", got, err)
	}
}

// asking is a mechanism with one challenge.
type asking struct{ got *string }

func (a *asking) Start() (string, []byte, error) { return "X-ASK", nil, nil }
func (a *asking) Done() bool                     { return true }
func (a *asking) Next(challenge []byte) ([]byte, error) {
	*a.got = string(challenge)
	return []byte("cj1"), nil
}

// TestTrace: names are shown, secrets are not, even where the server repeats
// them, and control sequences are neither in the trace nor in errors.
func TestTrace(t *testing.T) {
	var trace strings.Builder
	c, err := New(context.Background(), script(t, `
		s: +OK \e[31mready\r\n
		C: USER u1
		S: +OK
		C: PASS hunter22
		s: -ERR \e]0;x wrong password hunter22\r\n
		C: AUTH PLAIN AHUxAGh1bnRlcjIy
		S: +OK
		C: UIDL
		S: +OK
		S: 1 secret-id
		S: .
		C: RETR 1
		S: +OK
		S: Subject: private
		S: .`), &Options{InsecurePassword: true, SkipCapabilities: true, Trace: TraceTo(&trace)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.SignIn(t.Context(), Credentials{User: "u1", Password: "hunter22"})
	if err == nil || strings.Contains(err.Error(), "hunter22") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q", err)
	}
	if err := c.Authenticate(t.Context(), sasl.PlainClient("", "u1", "hunter22")); err != nil {
		t.Fatal(err)
	}
	for _, err := range c.UIDL(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := c.Retr(t.Context(), Want{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	want := "S: +OK ?[31mready\nC: USER u1\nS: +OK\nC: PASS ****\nS: -ERR ?]0;x wrong password [redacted]\n" +
		"C: AUTH PLAIN ****\nS: +OK\nC: UIDL\nS: +OK\nS: (1 rows)\nC: RETR 1\nS: +OK\nS: (18 octets of text)\n"
	if trace.String() != want {
		t.Errorf("got  %q\nwant %q", trace.String(), want)
	}
	if c.Greeting() != "?[31mready" {
		t.Errorf("%q", c.Greeting())
	}
}
