// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/pop3server"
)

// hello is what a TLS client begins with.
func hello(t *testing.T) string {
	t.Helper()
	mine, theirs := net.Pipe()
	defer mine.Close()
	go tls.Client(theirs, clientTLS()).Handshake() // ends with the pipe
	b := make([]byte, 4096)
	n, err := mine.Read(b)
	if err != nil || b[0] != 22 {
		t.Fatalf("no hello: %x, %v", b[:n], err)
	}
	return string(b[:n])
}

// What belongs to other protocols gets a short answer that shows nothing of it, in
// bounded time, and does nothing: a page or a mail that leads a program here
// cannot use this server against anybody (ALPACA). RFC 8314 section 3.
func TestForeignProtocols(t *testing.T) {
	const commands = "USER ana\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n"
	const script = "<script>alert(1)</script>"
	for name, said := range map[string]string{
		"HTTP POST":    "POST /?" + script + " HTTP/1.1\r\nHost: x\r\n\r\n" + commands,
		"HTTP GET":     "GET /" + script + " HTTP/1.0\r\n\r\n" + commands,
		"HTTP/2":       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + commands,
		"many headers": strings.Repeat("X-Header: "+script+"\r\n", 100) + "\r\n" + commands,
		"SMTP":         "EHLO " + script + "\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" + strings.Repeat(script+"\r\n", 20) + commands,
		"IMAP":         strings.Repeat("a1 LOGIN "+script+" b\r\n", 20) + commands,
		"FTP":          strings.Repeat("STOR "+script+"\r\n", 20) + commands,
		"no lines":     strings.Repeat(script, 200_000),
		"hello":        hello(t),
		"hello twice":  hello(t) + "\r\n" + hello(t),
	} {
		for _, implicit := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				o := office(t, "a\n\n1\n")
				opt := withTLS(o)
				ends := make(chan pop3server.Summary, 1)
				opt.OnEnd = func(s pop3server.Summary) { ends <- s }
				mine, theirs := net.Pipe()
				go serve(t, opt).ServeConn(t.Context(), theirs, implicit)
				go io.WriteString(mine, said) // as much as the server takes
				began := time.Now()
				b, _ := io.ReadAll(mine) // a cut connection is an end too
				answer, end := string(b), <-ends
				if end.User != "" || len(o.Messages("ana")) != 1 {
					t.Errorf("%s, TLS %t: %+v", name, implicit, end)
				}
				if strings.Contains(answer, "script") || len(b) > 1024 && !strings.HasPrefix(name, "hello") {
					t.Errorf("%s, TLS %t: answered by %d octets, %.200q", name, implicit, len(b), answer)
				}
				if took := time.Since(began); took > 35*time.Second {
					t.Errorf("%s, TLS %t: ended after %v", name, implicit, took)
				}
				mine.Close()
			})
		}
	}
}

// rsaCertificate returns a self-signed RSA certificate for "localhost".
func rsaCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// Each version and each cipher suite that a client of Go knows, offered alone, on
// both kinds of port, with both kinds of certificate: only those with forward
// secrecy and authenticated encryption are taken. RFC 9325 section 4.2.
func TestVersionsAndSuites(t *testing.T) {
	opt := withTLS(office(t))
	own := rsaCertificate(t)
	opt.TLSConfig.Certificates = append(opt.TLSConfig.Certificates, own)
	s := serve(t, opt)
	agree := func(config *tls.Config, implicit bool) error {
		config.RootCAs.AddCert(own.Leaf)
		mine, theirs := net.Pipe()
		defer mine.Close()
		go s.ServeConn(t.Context(), theirs, implicit)
		if !implicit {
			c := newClient(t, mine)
			c.want("+OK")
			c.ask("STLS", "+OK")
		}
		secured := tls.Client(mine, config)
		if err := mine.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			return err
		}
		return secured.Handshake()
	}
	for _, implicit := range []bool{false, true} {
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
			config := clientTLS()
			config.MinVersion, config.MaxVersion = version, version
			if err := agree(config, implicit); (err == nil) != (version >= tls.VersionTLS12) {
				t.Errorf("%s, implicit %t: %v", tls.VersionName(version), implicit, err)
			}
		}
		taken := 0
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if suite.SupportedVersions[0] == tls.VersionTLS13 {
				continue // all of TLS 1.3 are good, and cannot be chosen
			}
			good := strings.HasPrefix(suite.Name, "TLS_ECDHE_") &&
				(strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "_CHACHA20_"))
			config := clientTLS()
			config.MinVersion, config.MaxVersion, config.CipherSuites = tls.VersionTLS12, tls.VersionTLS12, []uint16{suite.ID}
			if err := agree(config, implicit); (err == nil) != good {
				t.Errorf("%s, implicit %t: %v", suite.Name, implicit, err)
			}
			if good {
				taken++
			}
		}
		if taken != 6 {
			t.Errorf("%d suites are good, not 6", taken)
		}
	}
}
