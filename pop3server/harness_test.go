// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// office returns a post office with one user, ana, whose password is "secret".
func office(t testing.TB, letters ...string) *pop3mem.Store {
	t.Helper()
	o := pop3mem.New(nil)
	o.AddUser("ana", "secret")
	put(t, o, "ana", letters...)
	return o
}

func put(t testing.TB, o *pop3mem.Store, user string, letters ...string) {
	t.Helper()
	for _, l := range letters {
		if err := o.Put(user, l); err != nil {
			t.Fatal(err)
		}
	}
}

// putUTF8 delivers letters as a sender does that has said SMTPUTF8.
func putUTF8(t testing.TB, o *pop3mem.Store, user string, letters ...string) {
	t.Helper()
	for _, l := range letters {
		to, err := o.Recipient(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		d, err := o.Deliver(t.Context(), maildrop.Envelope{SMTPUTF8: true}, []maildrop.Target{{Maildrop: to[0].Maildrop}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(d, l)
		if err := errors.Join(append(d.Commit(t.Context()), err)...); err != nil {
			t.Fatal(err)
		}
	}
}

// options serves an office, and logs nowhere.
func options(o *pop3mem.Store) *pop3server.Options {
	return &pop3server.Options{Store: o, Directory: o, Logger: slog.New(slog.DiscardHandler)}
}

// serve returns a server that is closed at the end of the test.
func serve(t testing.TB, opt *pop3server.Options) *pop3server.Server {
	t.Helper()
	s := pop3server.New(opt)
	t.Cleanup(func() { s.Close() })
	return s
}

// client speaks to a server as a mail program does, and fails the test where
// the answer is not what it should be.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	out  chan string
	once sync.Once
	done chan struct{} // the writer has ended
}

// addressed is a connection that seems to come from an address.
type addressed struct {
	net.Conn
	from netip.Addr
}

func (a addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.from, 40000))
}

// dial connects over a pipe; from is the address that the server sees, or
// empty for a local connection without one.
func dial(t testing.TB, s *pop3server.Server, from string) *client {
	t.Helper()
	mine, theirs := net.Pipe()
	var nc net.Conn = theirs
	if from != "" {
		nc = addressed{theirs, netip.MustParseAddr(from)}
	}
	go s.ServeConn(t.Context(), nc, false)
	return newClient(t, mine)
}

func newClient(t testing.TB, nc net.Conn) *client {
	c := &client{t: t, conn: nc, r: bufio.NewReader(nc), out: make(chan string, 1000), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		for s := range c.out {
			if _, err := io.WriteString(c.conn, s); err != nil {
				for range c.out {
				}
			}
		}
	}()
	t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	c.once.Do(func() {
		c.conn.Close()
		close(c.out)
		<-c.done
	})
}

// raw sends octets as they are, without waiting for them to be read.
func (c *client) raw(s string) { c.out <- s }

// send sends one command line.
func (c *client) send(line string) { c.raw(line + "\r\n") }

// line reads one line without its CRLF.
func (c *client) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("reading a line: %v (got %q)", err, s)
	}
	line, ok := strings.CutSuffix(s, "\r\n")
	if !ok {
		c.t.Fatalf("a line without CRLF: %q", s)
	}
	return line
}

// want reads a line that must begin so, and returns it.
func (c *client) want(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("got %q, want %q", line, prefix)
	}
	return line
}

// ask sends a command whose answer must begin so.
func (c *client) ask(command, prefix string) string {
	c.t.Helper()
	c.send(command)
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("%s: got %q, want %q", command, line, prefix)
	}
	return line
}

// text reads a multi-line text, with its dot-stuffing undone by rules that
// share nothing with the server.
func (c *client) text() string {
	c.t.Helper()
	var b strings.Builder
	for {
		s, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("in a text: %v", err)
		}
		// A line of the text may hold bare CR; it ends at CRLF, and stored mail has
		// no other LF.
		if s == ".\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(s, "."))
	}
}

// multi asks for a multi-line answer.
func (c *client) multi(command string) []string {
	c.t.Helper()
	c.ask(command, "+OK")
	text := strings.TrimSuffix(c.text(), "\r\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\r\n")
}

// signIn greets and signs ana in.
func (c *client) signIn() *client {
	c.t.Helper()
	c.want("+OK")
	c.ask("USER ana", "+OK")
	c.ask("PASS secret", "+OK")
	return c
}

// ended reads to the end of the connection, which must come without more.
func (c *client) ended() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if len(rest) > 0 || err != nil {
		c.t.Fatalf("the end: got %q, %v", rest, err)
	}
}

// rest reads what comes until the connection ends.
func (c *client) rest() string {
	b, _ := io.ReadAll(c.r) // a cut connection is an end too
	return string(b)
}

// lastWords reads what comes until the connection ends, meanwhile.
func (c *client) lastWords() <-chan string {
	words := make(chan string, 1)
	go func() { words <- c.rest() }()
	return words
}

// startTLS switches to TLS, after +OK to STLS.
func (c *client) startTLS(config *tls.Config) tls.ConnectionState {
	c.t.Helper()
	if c.r.Buffered() > 0 {
		c.t.Fatal("octets came behind +OK")
	}
	tc := tls.Client(c.conn, config)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn = tc
	c.r.Reset(tc)
	return tc.ConnectionState()
}

// certificate returns the certificate of the server.
var certificate = sync.OnceValue(newCertificate)

// newCertificate returns a self-signed ECDSA certificate for "localhost".
func newCertificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificate()}} }

func clientTLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(certificate().Leaf)
	// Without a cache of sessions, and at a time when the certificate is valid in
	// a bubble of synctest too.
	return &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"pop3"}}
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
