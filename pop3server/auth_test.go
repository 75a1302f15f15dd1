// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"restante.example/maildrop"
	"restante.example/pop3"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
	"restante.example/sasl"
)

// authenticate goes through an exchange and returns the last line.
func (c *client) authenticate(x sasl.Client) string {
	c.t.Helper()
	name, response, err := x.Start()
	if err != nil {
		c.t.Fatal(err)
	}
	line := "AUTH " + name
	if response != nil {
		line += " " + base64.StdEncoding.EncodeToString(response)
	}
	for {
		c.send(line)
		got := c.line()
		challenge, more := strings.CutPrefix(got, "+ ")
		if !more {
			return got
		}
		raw, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			c.t.Fatal(err)
		}
		answer, err := x.Next(raw)
		if err != nil {
			c.t.Fatal(err)
		}
		line = base64.StdEncoding.EncodeToString(answer)
	}
}

// overTLS connects with STLS; version is the only one that the client speaks.
func overTLS(t *testing.T, s *pop3server.Server, version uint16) (*client, tls.ConnectionState) {
	t.Helper()
	c := dial(t, s, "192.0.2.1")
	c.want("+OK")
	c.ask("STLS", "+OK")
	config := clientTLS()
	config.MinVersion, config.MaxVersion = version, version
	return c, c.startTLS(config)
}

func withTLS(o *pop3mem.Store) *pop3server.Options {
	opt := options(o)
	opt.TLSConfig = serverTLS()
	return opt
}

func TestSCRAM(t *testing.T) {
	s := serve(t, withTLS(office(t)))
	c := dial(t, s, "192.0.2.1") // in clear text too: it reveals nothing
	c.want("+OK")
	if got := c.authenticate(sasl.SCRAMClient("SHA-256", "", "ana", "wrong", false)); !strings.HasPrefix(got, "-ERR [AUTH]") {
		t.Errorf("wrong password: %q", got)
	}
	if got := c.authenticate(sasl.SCRAMClient("SHA-256", "", "nobody", "secret", false)); !strings.HasPrefix(got, "-ERR [AUTH]") {
		t.Errorf("unknown user: %q", got)
	}
	if got := c.authenticate(sasl.SCRAMClient("SHA-256", "", "ana", "secret", false)); !strings.HasPrefix(got, "+OK") {
		t.Errorf("right password: %q", got)
	}
}

// Both bindings, where the version of TLS has them. RFC 9266, RFC 5929.
func TestSCRAMPlus(t *testing.T) {
	o := office(t)
	s := serve(t, withTLS(o))
	for version, types := range map[uint16][]string{
		tls.VersionTLS13: {sasl.BindExporter, sasl.BindServerEndPoint},
		tls.VersionTLS12: {sasl.BindServerEndPoint},
	} {
		for i, kind := range types {
			c, state := overTLS(t, s, version)
			binding := sasl.ClientBindings(state)[i]
			if binding.Type != kind {
				t.Fatalf("binding %d of %x is %s", i, version, binding.Type)
			}
			if got := c.authenticate(sasl.SCRAMPlusClient("SHA-256", "", "ana", "secret", binding)); !strings.HasPrefix(got, "+OK") {
				t.Errorf("%s: %q", kind, got)
			}
			c.ask("QUIT", "+OK")
			c.ended()
		}
	}
	// Another connection's binding is somebody in between. That is not [AUTH]: a
	// mail program would throw the password away.
	c, _ := overTLS(t, s, tls.VersionTLS13)
	stolen := sasl.ChannelBinding{Type: sasl.BindExporter, Data: make([]byte, 32)}
	if got := c.authenticate(sasl.SCRAMPlusClient("SHA-256", "", "ana", "secret", stolen)); !strings.HasPrefix(got, "-ERR channel binding") {
		t.Errorf("a stolen binding: %q", got)
	}
	if got := c.authenticate(sasl.SCRAMClient("SHA-256", "", "ana", "secret", true)); !strings.HasPrefix(got, "-ERR channel binding") {
		t.Errorf("a client that believes PLUS was not offered: %q", got)
	}
}

// The codes of RFC 2449 and 3206, each where it is meant; [AUTH] never when
// the directory cannot answer.
func TestCodesOfRefusedSignIns(t *testing.T) {
	broken := errors.New("connection refused")
	for _, test := range []struct {
		name string
		op   pop3mem.Op
		err  error
		want string
	}{
		{"directory down", pop3mem.OpSignIn, broken, "-ERR [SYS/TEMP] "},
		{"directory says", pop3mem.OpSignIn, &pop3.Error{Code: pop3.CodeSysPerm, Text: "moved\r\n+OK away"}, "-ERR [SYS/PERM] moved??+OK away"},
		{"a long text", pop3mem.OpSignIn, &pop3.Error{Text: strings.Repeat("ñ", 1000)}, "-ERR nnn"},
		{"store down", pop3mem.OpOpen, broken, "-ERR [SYS/TEMP] "},
		{"no maildrop", pop3mem.OpOpen, maildrop.ErrNoMaildrop, "-ERR [SYS/PERM] "},
		{"no view", pop3mem.OpOpen, maildrop.ErrNoView, "-ERR [SYS/PERM] "},
		{"in use", pop3mem.OpOpen, maildrop.ErrInUse, "-ERR [IN-USE] "},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
				if op == test.op {
					return test.err
				}
				return nil
			}})
			o.AddUser("ana", "secret")
			c := dial(t, serve(t, options(o)), "")
			c.want("+OK")
			for range 5 { // none of them counts as a guess
				c.ask("USER ana", "+OK")
				if got := c.ask("PASS secret", test.want); len(got)+2 > pop3.MaxStatus || !utf8.ValidString(got) {
					t.Errorf("a first line of %d octets: %q", len(got), got)
				}
			}
			got := c.authenticate(sasl.SCRAMClient("SHA-256", "", "ana", "secret", false))
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("SCRAM: %q", got)
			}
		})
	}
}

func TestSecondSessionIsInUse(t *testing.T) {
	s := serve(t, options(office(t)))
	first := dial(t, s, "").signIn()
	c := dial(t, s, "")
	c.want("+OK")
	c.ask("USER ana", "+OK")
	c.ask("PASS secret", "-ERR [IN-USE]")
	first.ask("QUIT", "+OK")
	first.ended()
	c.ask("USER ana", "+OK")
	c.ask("PASS secret", "+OK")
}

func TestThreeWrongPasswords(t *testing.T) {
	c := dial(t, serve(t, options(office(t))), "")
	c.want("+OK")
	for range 3 {
		c.ask("USER ana", "+OK")
		c.ask("PASS wrong", "-ERR [AUTH]")
	}
	c.ended()
}

// refusingGuard lets nobody in.
type refusingGuard struct{ err error }

func (g refusingGuard) Before(context.Context, netip.Addr, string) error { return g.err }
func (g refusingGuard) After(netip.Addr, string, bool)                   { panic("nothing was checked") }

func TestGuardRefuses(t *testing.T) {
	for want, err := range map[string]error{
		"-ERR [SYS/TEMP] ":         errors.New("too many tries"),
		"-ERR [LOGIN-DELAY] later": &pop3.Error{Code: pop3.CodeLoginDelay, Text: "later"},
	} {
		opt := options(office(t))
		opt.Guard = refusingGuard{err}
		c := dial(t, serve(t, opt), "")
		c.want("+OK")
		c.ask("USER ana", "+OK")
		c.ask("PASS secret", want)
		c.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", want)
	}
}

// Without a store or directory the server says so in POP3.
func TestZeroOptions(t *testing.T) {
	c := dial(t, serve(t, &pop3server.Options{Logger: slog.New(slog.DiscardHandler)}), "")
	c.want("+OK")
	c.ask("USER ana", "+OK")
	c.ask("PASS secret", "-ERR [SYS/TEMP]")
}

// Commands have 255 octets, tokens 16 KiB; what is longer is refused whole and
// never taken for two commands. RFC 2449 section 4.
func TestLineLimits(t *testing.T) {
	c := dial(t, serve(t, options(office(t))), "")
	c.want("+OK")
	c.ask("USER "+strings.Repeat("n", 248), "+OK")
	c.ask("USER "+strings.Repeat("n", 249), "-ERR the line is too long")
	c.raw("NOOP " + strings.Repeat("x", 30_000) + "\r\nUSER ana\r\n")
	c.want("-ERR the line is too long")
	c.want("+OK send PASS")

	token := base64.StdEncoding.EncodeToString([]byte("\x00ana\x00" + strings.Repeat("p", 1000)))
	c.ask("AUTH PLAIN "+token, "-ERR [AUTH]")
	long := strings.Repeat("QUFB", 16<<10/3)
	c.ask("AUTH PLAIN "+long, "-ERR the response is malformed")
	c.ask("AUTH PLAIN", "+ ")
	c.ask(long, "-ERR the response is malformed")
	c.ask("AUTH PLAIN", "+ ")
	c.ask(strings.Repeat("QUFB", 16<<10), "-ERR the line is too long")

	c.ask("USER ana", "+OK")
	c.ask("PASS secret", "+OK")
	c.ask("LIST "+strings.Repeat(" ", 250), "-ERR the line is too long")
	c.ask("AUTH PLAIN "+long, "-ERR the line is too long")
	c.ask("STAT", "+OK 0 0")
}

func TestLineWithoutEnd(t *testing.T) {
	c := dial(t, serve(t, options(office(t))), "")
	c.want("+OK")
	c.raw(strings.Repeat("x", 2<<20))
	c.want("-ERR")
	c.ended()
}

// Clear text from elsewhere is refused unless the operator says otherwise in
// words that name the risk; this machine is excepted.
func TestClearText(t *testing.T) {
	for _, test := range []struct {
		policy pop3server.ClearText
		from   string
		want   string
	}{
		{pop3server.ClearTextLoopback, "", "+OK"},
		{pop3server.ClearTextLoopback, "127.0.0.1", "+OK"},
		{pop3server.ClearTextLoopback, "::1", "+OK"},
		{pop3server.ClearTextLoopback, "::ffff:127.0.0.1", "+OK"},
		{pop3server.ClearTextLoopback, "192.0.2.1", "-ERR"},
		{pop3server.ClearTextLoopback, "2001:db8::1", "-ERR"},
		{pop3server.ClearTextNever, "", "-ERR"},
		{pop3server.ClearTextNever, "127.0.0.1", "-ERR"},
		{pop3server.InsecureClearTextEverywhere, "192.0.2.1", "+OK"},
	} {
		t.Run(fmt.Sprint(test.policy, test.from), func(t *testing.T) {
			opt := options(office(t))
			opt.ClearText = test.policy
			c := dial(t, serve(t, opt), test.from)
			c.want("+OK")
			announced := strings.Join(c.multi("CAPA"), "|")
			ok := test.want == "+OK"
			if strings.Contains(announced, "|USER|") != ok || strings.Contains(announced, "PLAIN") != ok {
				t.Errorf("announced %s", announced)
			}
			c.ask("USER ana", test.want)
			c.ask("PASS secret", test.want)
			if !ok {
				c.ask("AUTH LOGIN", "-ERR")
				c.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "-ERR")
			}
		})
	}
}
