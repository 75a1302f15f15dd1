// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"restante.example/internal/peers"
	"restante.example/internal/tokens/tokenstest"
)

// between is somebody between a program and the server, who hears everything and
// changes what the server says.
type between struct {
	port string
	// change is what becomes of a line of the server; nil leaves it.
	change func(line string) string
	// near and far are the TLS with the program and with the server, or nil.
	near, far *tls.Config

	mu    sync.Mutex
	heard []string // the lines of the program
}

// opens lets somebody sit between a port of its own and an address.
func (b *between) opens(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = port(t, l.Addr().String())
	var work sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			program, err := l.Accept()
			if err != nil {
				return // closed at the end of the test
			}
			work.Go(func() { b.sits(program, address) })
		}
	})
}

// sits passes lines on, until one of the two has gone.
func (b *between) sits(program net.Conn, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		program.Close()
		return
	}
	for _, c := range []net.Conn{program, server} {
		c.SetDeadline(time.Now().Add(patience))
	}
	if b.near != nil {
		program, server = tls.Server(program, b.near), tls.Client(server, b.far)
	}
	var both sync.WaitGroup
	pass := func(from, to net.Conn, each func(string) string) {
		defer from.Close()
		defer to.Close()
		in := bufio.NewReader(from)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if _, err := to.Write([]byte(each(line))); err != nil {
				return
			}
		}
	}
	both.Go(func() {
		pass(program, server, func(line string) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.heard = append(b.heard, line)
			return line
		})
	})
	both.Go(func() {
		pass(server, program, func(line string) string {
			if b.change != nil {
				return b.change(line)
			}
			return line
		})
	})
	both.Wait()
}

// lines returns what the program has said.
func (b *between) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.heard)
}

// hears reports whether a password can be read in what a program has said, as it
// is or as PLAIN and LOGIN send it.
func (b *between) hears(a account) bool {
	all := strings.Join(b.lines(), "")
	for _, form := range []string{a.password, "\x00" + a.user + "\x00" + a.password} {
		if strings.Contains(all, form) || strings.Contains(all, base64.StdEncoding.EncodeToString([]byte(form))) {
			return true
		}
	}
	return false
}

// proofs are the mechanisms in which the password does not travel.
var proofs = []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "APOP"}

// TestReplay: what somebody has heard of a sign-in signs nobody in again.
func TestReplay(t *testing.T) {
	t.Parallel()
	mpop := peers.Need(t, "mpop")
	o := startOffice(t, peers.Dir(t), allMechanisms(t, tokenstest.New(t), newAuthority(t)))
	a := o.addFor(t, tokenstest.Email, "none")
	for i, mechanism := range proofs {
		var b between
		b.opens(t, o.POP3)
		r := run{account: a, home: newDir(t), out: newDir(t)}
		r.port, r.mechanism = b.port, mechanism
		if mechanism == "APOP" {
			r.password = apopPassword
		}
		runMpop(t, mpop, r).must(t, 0)
		waitFor(t, "the session by "+mechanism, func() bool { return len(o.sessions(t, a.user)) == i+1 })
		if s := o.sessions(t, a.user)[i]; s.Mechanism != mechanism {
			t.Errorf("the session is %+v", s)
		}
		if b.hears(r.account) {
			t.Errorf("%s: the password can be heard", mechanism)
		}
		conn, in := dialPOP3(t, o)
		tried := false
		for _, line := range b.lines() {
			if _, err := fmt.Fprint(conn, line); err != nil {
				t.Fatal(err)
			}
			answer, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			tried = tried || strings.HasPrefix(line, "AUTH "+mechanism) || strings.HasPrefix(line, "APOP ")
			for line == "CAPA\r\n" && answer != ".\r\n" {
				if answer, err = in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if tried && !strings.HasPrefix(answer, "+ ") {
				if !strings.HasPrefix(answer, "-ERR") {
					t.Errorf("%s: a replay is answered %q", mechanism, answer)
				}
				break
			}
		}
		conn.Close()
		if !tried {
			t.Errorf("%s: there was nothing to replay in %q", mechanism, b.lines())
		}
	}
	if n := len(o.sessions(t, a.user)); n != len(proofs) {
		t.Errorf("%d sessions", n)
	}
}

var saslLine = regexp.MustCompile(`^SASL .*\r\n$`)

// stripped is what becomes of a server's lines where somebody takes the proofs
// from its offers: the list of mechanisms, and the timestamp of APOP.
func stripped(line string) string {
	if saslLine.MatchString(line) {
		return "SASL PLAIN LOGIN\r\n"
	}
	if strings.HasPrefix(line, "+OK POP3 server ready <") {
		return "+OK POP3 server ready\r\n"
	}
	return line
}

// fallBack are the programs that take USER and PASS where APOP is not offered,
// though they were told APOP.
var fallBack = []string{"s-nail", "Java"}

// TestStrippedOffers: which programs, told to sign in by a proof, send the
// password in clear text when somebody makes them believe that the server knows
// none.
func TestStrippedOffers(t *testing.T) {
	more := allMechanisms(t, tokenstest.New(t), newAuthority(t))
	for name, ways := range mechanisms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			once := programs[name](t)
			o := startOffice(t, peers.Dir(t), more)
			a := o.addFor(t, tokenstest.Email, "none")
			o.deliver(t, corpus()[0].text, a.user)
			for _, mechanism := range ways {
				if !slices.Contains(proofs, mechanism) {
					continue
				}
				b := between{change: stripped}
				b.opens(t, o.POP3)
				r := run{account: a, home: newDir(t), out: newDir(t)}
				r.port, r.mechanism = b.port, mechanism
				if mechanism == "APOP" {
					r.password = apopPassword
				}
				once(t, r)
				if heard := b.hears(r.account); heard != slices.Contains(fallBack, name) {
					t.Errorf("%s: the password can be heard: %v, in %q", mechanism, heard, b.lines())
				}
			}
			// What they have sent is the password for APOP, which opens nothing else.
			if list := o.sessions(t, a.user); len(list) != 0 {
				t.Errorf("somebody has signed in: %+v", list)
			}
		})
	}
}

// TestSomebodyWithACertificate: somebody who sits between with a certificate that
// the program believes hears no password in SCRAM, and is found out by a program
// that binds its proof to the connection, which another implementation than ours
// does here.
func TestSomebodyWithACertificate(t *testing.T) {
	t.Parallel()
	mpop := peers.Need(t, "mpop")
	o := startOffice(t, peers.Dir(t), allMechanisms(t, tokenstest.New(t), newAuthority(t)))
	a := o.addFor(t, tokenstest.Email, "implicit")
	believed := newAuthority(t)
	pair, err := tls.LoadX509KeyPair(believed.server(t, "localhost"))
	if err != nil {
		t.Fatal(err)
	}
	roots := func(file string) *x509.CertPool {
		pool := x509.NewCertPool()
		text, err := os.ReadFile(file)
		if err != nil || !pool.AppendCertsFromPEM(text) {
			t.Fatalf("%s: %v", file, err)
		}
		return pool
	}
	b := between{near: &tls.Config{Certificates: []tls.Certificate{pair}}, far: &tls.Config{RootCAs: roots(a.ca), ServerName: "localhost"}}
	b.opens(t, o.POP3S)
	r := run{account: a, home: newDir(t), out: newDir(t)}
	r.port, r.ca, r.mechanism = b.port, believed.file, "SCRAM-SHA-256"
	runMpop(t, mpop, r).must(t, 0)
	if b.hears(a) {
		t.Errorf("the password can be heard in %q", b.lines())
	}

	for _, hash := range []string{"SHA-1", "SHA-256"} {
		for _, try := range []struct {
			what, port, ca, mechanism, answer string
			conversation                      func(*scram.Client, scram.ChannelBinding) *scram.ClientConversation
		}{
			{"bound, nobody between", port(t, o.POP3S), a.ca, "SCRAM-" + hash + "-PLUS", "+OK", (*scram.Client).NewConversationWithChannelBinding},
			{"bound", b.port, believed.file, "SCRAM-" + hash + "-PLUS", "-ERR channel binding", (*scram.Client).NewConversationWithChannelBinding},
			{"PLUS taken from the list", b.port, believed.file, "SCRAM-" + hash, "-ERR channel binding",
				func(c *scram.Client, _ scram.ChannelBinding) *scram.ClientConversation {
					return c.NewConversationAdvertisingChannelBinding()
				}},
		} {
			got := signInBound(t, try.port, &tls.Config{RootCAs: roots(try.ca), ServerName: "localhost"}, a, hash, try.mechanism, try.conversation)
			if !strings.HasPrefix(got, try.answer) {
				t.Errorf("%s, %s: %q, want %s", hash, try.what, got, try.answer)
			}
		}
	}
}

// signInBound signs in by a mechanism of SCRAM and returns the last answer.
func signInBound(t *testing.T, port string, settings *tls.Config, a account, hash, mechanism string,
	conversation func(*scram.Client, scram.ChannelBinding) *scram.ClientConversation) string {
	t.Helper()
	conn, err := tls.Dial("tcp", "localhost:"+port, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	binding, err := scram.NewTLSExporterBinding(&state)
	if err != nil {
		t.Fatal(err)
	}
	client, err := map[string]scram.HashGeneratorFcn{"SHA-1": scram.SHA1, "SHA-256": scram.SHA256}[hash].NewClient(a.user, a.password, "")
	if err != nil {
		t.Fatal(err)
	}
	x := conversation(client, binding)
	in := bufio.NewReader(conn)
	ok(t, in)
	message, err := x.Step("")
	if err != nil {
		t.Fatal(err)
	}
	line := "AUTH " + mechanism + " " + base64.StdEncoding.EncodeToString([]byte(message))
	for {
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			t.Fatal(err)
		}
		answer, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		challenge, more := bytes.CutPrefix(answer, []byte("+ "))
		if !more {
			if bytes.HasPrefix(answer, []byte("+OK")) != x.Valid() {
				t.Errorf("%s: %q, and the server's proof: %v", mechanism, answer, x.Valid())
			}
			return string(answer)
		}
		text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(challenge)))
		if err != nil {
			t.Fatal(err)
		}
		if message, err = x.Step(string(text)); err != nil {
			return err.Error()
		}
		line = base64.StdEncoding.EncodeToString([]byte(message))
	}
}
