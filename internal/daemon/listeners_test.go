// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/cert"
	"restante.example/internal/config"
	"restante.example/pop3server"
)

// fileConfig reads a configuration as from a file, with a data directory of its
// own.
func fileConfig(t *testing.T, data, text string) *config.Config {
	t.Helper()
	name := filepath.Join(t.TempDir(), "restanted.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(name, config.Flags{Data: data}, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// addressIn returns where the nth listener of a service is bound.
func addressIn(t *testing.T, s *Server, service string, n int) string {
	t.Helper()
	for _, l := range s.Listening() {
		if l.Service == service {
			if n == 0 {
				return l.Address
			}
			n--
		}
	}
	t.Fatalf("there is no such listener of %s: %v", service, s.Listening())
	return ""
}

// freePort returns a port that nobody listens on now.
func freePort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// selfSigned makes a certificate and returns the file of both and its
// fingerprint.
func selfSigned(t *testing.T, name string) (file, fingerprint string) {
	t.Helper()
	dir := t.TempDir()
	s, err := cert.SelfSigned(dir, []string{name}, NewLog(os.Stderr, config.Default()).Logger)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "self-signed.key"), s.Fingerprint()
}

// clientCertificate makes a certificate for a client, which is its own authority,
// with mail addresses in it.
func clientCertificate(t *testing.T, addresses ...string) (caFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ana"}, EmailAddresses: addresses,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure connects with TLS from the first octet and returns the fingerprint
// that is shown.
func secure(t *testing.T, address string, settings *tls.Config) (*peer, string, error) {
	t.Helper()
	settings.InsecureSkipVerify = true
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", address, settings)
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	shown := cert.Fingerprint(&tls.Certificate{Certificate: [][]byte{conn.ConnectionState().PeerCertificates[0].Raw}})
	return &peer{conn, bufio.NewReader(conn), t}, shown, nil
}

// Each listener has the rules that the file gives it, and the others those of
// all.
func TestListenersHaveTheirRules(t *testing.T) {
	ownFile, ownPrint := selfSigned(t, "own.example.org")
	namedFile, namedPrint := selfSigned(t, "named.example.org")
	defaultFile, defaultPrint := selfSigned(t, "mail.example.org")
	caFile, client := clientCertificate(t)
	c := fileConfig(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf(`
[listen]
pop3 = ["127.0.0.1:0"]
pop3s = ["127.0.0.1:0"]
[tls]
cert_file = %[1]q
key_file = %[1]q
[[certificate]]
cert_file = %[2]q
key_file = %[2]q
[[listener]]
service = "pop3"
address = "[::1]:0"
clear_text = "never"
mechanisms = { LOGIN = "off" }
[[listener]]
service = "pop3s"
address = "[::1]:0"
cert_file = %[3]q
key_file = %[3]q
[[listener]]
service = "pop3s"
address = "127.0.0.2:0"
client_certificates = "required"
client_ca = %[4]q
`, defaultFile, namedFile, ownFile, caFile))
	_, l := begin(t, c)
	addUser(t, l.server, "ana")

	open := dial(t, addressIn(t, l.server, POP3, 0))
	open.say("USER ana\r\nPASS secret\r\nQUIT\r\n")
	open.expect("+OK 0 messages")
	strict := dial(t, addressIn(t, l.server, POP3, 1))
	strict.expect("+OK")
	strict.say("USER ana\r\n")
	strict.expect("-ERR")

	for _, test := range []struct {
		listener   int
		name, want string
	}{
		{0, "named.example.org", namedPrint}, {0, "", defaultPrint}, {0, "own.example.org", defaultPrint},
		{1, "named.example.org", ownPrint}, {1, "", ownPrint},
	} {
		p, shown, err := secure(t, addressIn(t, l.server, POP3S, test.listener), &tls.Config{ServerName: test.name})
		if err != nil {
			t.Fatal(err)
		}
		if shown != test.want {
			t.Errorf("listener %d, %q: the wrong certificate", test.listener, test.name)
		}
		p.say("USER ana\r\nPASS secret\r\nQUIT\r\n")
		p.expect("+OK 0 messages")
	}
	certified := addressIn(t, l.server, POP3S, 2)
	// TLS 1.3 tells of it only after the client has finished.
	if p, _, err := secure(t, certified, &tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("a client without a certificate comes in")
		_ = p.Close()
	}
	p, _, err := secure(t, certified, &tls.Config{Certificates: []tls.Certificate{client}})
	if err != nil {
		t.Fatal(err)
	}
	p.say("USER ana\r\nPASS secret\r\nQUIT\r\n")
	p.expect("+OK 0 messages")
}

// What stands behind a proxy is believed from the proxy, and counts as what it
// is.
func TestBehindAProxy(t *testing.T) {
	c := fileConfig(t, filepath.Join(t.TempDir(), "data"), `
[[listener]]
service = "pop3"
address = "127.0.0.1:0"
proxies = ["127.0.0.1"]
[[listener]]
service = "pop3"
address = "127.0.0.2:0"
proxies = ["192.0.2.1"]
[[listener]]
service = "lmtp"
address = "127.0.0.1:0"
proxies = ["127.0.0.1"]
`)
	_, l := begin(t, c)
	addUser(t, l.server, "ana")
	through := addressIn(t, l.server, POP3, 0)

	// A proxy on this machine: its clients are not on it, even where they are.
	p := dial(t, through)
	p.say("PROXY TCP4 127.0.0.1 127.0.0.1 40000 110\r\nUSER ana\r\n")
	p.expect("+OK")
	p.expect("-ERR")
	p = dial(t, through)
	p.say("USER ana\r\n")
	if _, err := p.in.ReadString('\n'); err == nil {
		t.Error("without a header the server answers")
	}
	// From elsewhere a header is a command that does not exist.
	p = dial(t, addressIn(t, l.server, POP3, 1))
	p.say("PROXY TCP4 192.0.2.7 127.0.0.1 40000 110\r\nUSER ana\r\nPASS secret\r\nQUIT\r\n")
	p.expect("+OK")
	p.expect("-ERR")
	p.expect("+OK 0 messages")
	l.says(t, "remote=127.0.0.1 tls=\"\" mechanism=USER")
	m := dial(t, addressIn(t, l.server, LMTP, 0))
	m.say("PROXY TCP4 192.0.2.25 127.0.0.1 40000 24\r\nLHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ana@localhost>\r\nDATA\r\n")
	m.expect("354")
	m.say("Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
	m.expect("250 2.1.5")
	m.expect("221")
	l.says(t, "192.0.2.25")

	// A reload tells to believe what it says of TLS, too.
	next := *c
	next.Listeners = append([]config.Listener(nil), c.Listeners...)
	next.Listeners[0].TrustProxyTLS = true
	if err := l.server.Reload(func() (*config.Config, error) { return &next, nil }); err != nil {
		t.Fatal(err)
	}
	p = dial(t, through)
	p.say("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x1e\xc0\x00\x02\x07\x7f\x00\x00\x01\x9c\x40\x00\x6e" +
		"\x20\x00\x0f\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.3USER ana\r\nPASS secret\r\nQUIT\r\n")
	p.expect("+OK 1 messages")
	p.expect("+OK")
	l.says(t, "remote=192.0.2.7 tls=proxy")
}

// says waits until the log says something.
func (l *life) says(t *testing.T, what string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(l.log.String(), what); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %s:\n%s", what, l.log)
		}
	}
}

// A reload binds new addresses and leaves those that are gone, without ending a
// session; one that fails changes nothing.
func TestReloadChangesAddresses(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first, second := freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
	text := func(addresses ...string) string {
		return fmt.Sprintf("[listen]\npop3 = [%s]\npop3s = []\nlmtp = []\n", strings.Join(addresses, ","))
	}
	_, l := begin(t, fileConfig(t, data, text(`"`+first+`"`)))
	addUser(t, l.server, "ana")
	session := dial(t, first)
	session.say("USER ana\r\nPASS secret\r\n")
	session.expect("+OK 0 messages")
	reload := func(text string) error {
		return l.server.Reload(func() (*config.Config, error) { return fileConfig(t, data, text), nil })
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = reload(text(`"`+second+`"`, `"`+taken.Addr().String()+`"`))
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "restart") {
		t.Errorf("an address in use: %v", err)
	}
	if _, err := net.Dial("tcp", second); err == nil {
		t.Error("a reload that was refused has bound an address")
	}
	dial(t, first).expect("+OK")

	if err := reload(text(`"`+first+`"`, `"`+second+`"`)); err != nil {
		t.Fatal(err)
	}
	dial(t, first).expect("+OK")
	dial(t, second).expect("+OK")
	if err := reload(text(`"` + second + `"`)); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", first); err == nil {
		t.Error("an address that is gone is still listened on")
	}
	if got := l.server.Listening(); len(got) != 1 || got[0].Address != second {
		t.Errorf("listening on %v", got)
	}
	session.say("NOOP\r\nQUIT\r\n")
	session.expect("+OK")
	session.expect("+OK")
	dial(t, second).expect("+OK")
	l.signals <- syscall.SIGTERM
	l.wait(t)
}

// What is written is what is listened on: all addresses of one family, or of
// both.
func TestFamilies(t *testing.T) {
	for address, reached := range map[string][2]bool{
		"127.0.0.1": {true, false}, "[::1]": {false, true}, "0.0.0.0": {true, false}, "[::]": {false, true}, "": {true, true},
	} {
		_, port, err := net.SplitHostPort(freePort(t, "127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		l, err := bindAddress(t.Context(), address+":"+port, t.TempDir(), "")
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		for i, host := range []string{"127.0.0.1", "::1"} {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if (err == nil) != reached[i] {
				t.Errorf("%s is reached by %s: %v, want %v", address, host, err == nil, reached[i])
			}
			if err == nil {
				_ = conn.Close()
			}
		}
		_ = l.Close()
	}
}

// The zone of a link-local address is part of it.
func TestZone(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addresses {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() == nil && ip.IP.IsLinkLocalUnicast() {
				address := net.JoinHostPort(ip.IP.String()+"%"+i.Name, "0")
				l, err := bindAddress(t.Context(), address, t.TempDir(), "")
				if err != nil {
					t.Fatalf("%s: %v", address, err)
				}
				_, port, _ := net.SplitHostPort(l.Addr().String())
				conn, err := net.Dial("tcp", net.JoinHostPort(ip.IP.String()+"%"+i.Name, port))
				if err != nil {
					t.Fatalf("%s cannot be reached: %v", address, err)
				}
				_, _ = conn.Close(), l.Close()
				return
			}
		}
	}
	t.Skip("no interface of this machine has a link-local address of IPv6; a machine with a network has one")
}

// A self-signed certificate of the wrong kind of file for client_ca is refused
// at once, not at the first client.
func TestClientCAMustHoldCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := &config.Listener{ClientCertificates: config.ClientCertificatesOn, ClientCA: file}
	if err := askForCertificates(&tls.Config{}, at); err == nil || !strings.Contains(err.Error(), "no certificate in it") {
		t.Errorf("got %v", err)
	}
	settings := &tls.Config{}
	at.ClientCA, _ = clientCertificate(t)
	if err := askForCertificates(settings, at); err != nil || settings.ClientCAs.Equal(x509.NewCertPool()) {
		t.Errorf("a good one: %v", err)
	}
}

// Whoever came in by a listener just before it went is held to its rules, not to
// those of all.
func TestRulesOutliveTheirListener(t *testing.T) {
	log := NewLog(os.Stderr, config.Default()).Logger
	with := fileConfig(t, "/d", "[[listener]]\nservice = \"pop3\"\naddress = \":110\"\nclear_text = \"never\"\n")
	without := fileConfig(t, "/d", "clear_text = \"loopback\"\n")
	var r *reception
	for i, step := range []struct {
		c    *config.Config
		want pop3server.ClearText
	}{{with, pop3server.ClearTextNever}, {without, pop3server.ClearTextNever}, {without, pop3server.ClearTextDefault}} {
		var err error
		if r, err = receive(step.c, r, log); err != nil {
			t.Fatal(err)
		}
		if got := r.listeners()["pop3 :110"].ClearText; got != step.want {
			t.Errorf("step %d: clear text is %v, want %v", i, got, step.want)
		}
	}
}

// An address that loses its table has the rules of all, with the reload that
// takes the table away.
func TestAddressWithoutItsTable(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	lmtp := "\n[listen]\nlmtp = []\n"
	c := fileConfig(t, data, lmtp+"[[listener]]\nservice = \"pop3\"\naddress = \"127.0.0.1:0\"\nclear_text = \"loopback\"\n")
	_, l := begin(t, c)
	addUser(t, l.server, "ana")
	address := addressIn(t, l.server, POP3, 0)
	try := func(want string) {
		t.Helper()
		p := dial(t, address)
		p.say("USER ana\r\nQUIT\r\n")
		p.expect(want)
	}
	try("+OK send PASS")
	next := fileConfig(t, data, "clear_text = \"never\"\n[listen]\nlmtp = []\npop3 = [\"127.0.0.1:0\"]\npop3s = []\n")
	if err := l.server.Reload(func() (*config.Config, error) { return next, nil }); err != nil {
		t.Fatal(err)
	}
	if got := addressIn(t, l.server, POP3, 0); got != address {
		t.Fatalf("bound at %s, was at %s", got, address)
	}
	try("-ERR")
}
