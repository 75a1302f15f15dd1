// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package cert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var discard = slog.New(slog.DiscardHandler)

// pair writes a fresh certificate and its key to two files.
func pair(t *testing.T, certFile, keyFile string) {
	t.Helper()
	certificate, key, err := generate([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, certificate)
	write(t, keyFile, key)
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := writeDurably(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	pair(t, certFile, keyFile)
	var logged bytes.Buffer
	s, err := Load(certFile, keyFile, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	s.now = func() time.Time { return clock }
	next := func() string {
		t.Helper()
		clock = clock.Add(2 * checkEvery)
		c, err := s.Certificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return Fingerprint(c)
	}
	first := next()
	if next() != first {
		t.Fatal("the certificate changed by itself")
	}

	pair(t, certFile, keyFile)
	if c, _ := s.Certificate(nil); Fingerprint(c) != first {
		t.Fatal("the files are looked at more often than they should")
	}
	second := next()
	if second == first {
		t.Fatal("the new pair was not taken")
	}

	// A certificate without its key must not be taken, and is said once.
	oldKey, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pair(t, certFile, keyFile)
	newKey, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, oldKey)
	logged.Reset()
	for range 2 {
		if next() != second {
			t.Fatal("a pair that does not fit was taken")
		}
	}
	if n := strings.Count(logged.String(), "the old one stays"); n != 1 {
		t.Fatalf("the bad pair was logged %d times: %s", n, logged.String())
	}
	write(t, keyFile, newKey)
	third := next()
	if third == second {
		t.Fatal("the mended pair was not taken")
	}

	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	logged.Reset()
	for range 2 {
		if next() != third {
			t.Fatal("the certificate went with its file")
		}
	}
	if n := strings.Count(logged.String(), "the old one stays"); n != 1 {
		t.Fatalf("the missing file was logged %d times: %s", n, logged.String())
	}
	pair(t, certFile, keyFile)
	if next() == third {
		t.Fatal("the pair that came back was not taken")
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, other := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"), filepath.Join(dir, "o.pem")
	pair(t, certFile, keyFile)
	pair(t, filepath.Join(dir, "oc.pem"), other)
	for _, files := range [][2]string{{certFile, other}, {certFile, filepath.Join(dir, "none")}, {keyFile, keyFile}} {
		_, err := Load(files[0], files[1], discard)
		if err == nil || !strings.Contains(err.Error(), files[1]) {
			t.Errorf("%v: error %v", files, err)
		}
	}
}

func TestSelfSignedIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	names := []string{"localhost", "mail.example.org", "127.0.0.1", "::1"}
	s, err := SelfSigned(dir, names, discard)
	if err != nil {
		t.Fatal(err)
	}
	again, err := SelfSigned(dir, names, discard)
	if err != nil {
		t.Fatal(err)
	}
	if s.Fingerprint() != again.Fingerprint() {
		t.Error("the second start made another certificate")
	}
	info, err := os.Stat(filepath.Join(dir, selfSignedKey))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v", info.Mode())
	}
	ca, err := os.ReadFile(CAFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(ca, []byte("PRIVATE")) {
		t.Error("the file for clients holds the key")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, name := range names {
		if _, err := again.current.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, selfSignedKey), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(dir, names, discard); err == nil {
		t.Error("a damaged file was replaced without a word")
	}
}

// handshake runs one handshake against Config and returns the client's error.
func handshake(t *testing.T, s *Source, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		server := tls.Server(there, Config(&Set{Default: s}, "pop3"))
		_ = server.Handshake() // the client's side is what the test looks at
		_, _ = io.WriteString(server, "x")
		_ = there.Close()
	}()
	client.InsecureSkipVerify = true
	c := tls.Client(here, client)
	err := c.Handshake()
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	_ = here.Close()
	<-done
	return c.ConnectionState(), err
}

func TestConfig(t *testing.T) {
	s, err := SelfSigned(t.TempDir(), []string{"localhost"}, discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		conf *tls.Config
		ok   bool
	}{
		{"1.3", &tls.Config{}, true},
		{"1.3, pop3", &tls.Config{NextProtos: []string{"pop3"}}, true},
		{"1.3, a foreign protocol", &tls.Config{NextProtos: []string{"http/1.1"}}, false},
		{"1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"1.2, CBC", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
	} {
		state, err := handshake(t, s, c.conf)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.ok && len(c.conf.NextProtos) > 0 && state.NegotiatedProtocol != "pop3" {
			t.Errorf("%s: protocol %q", c.name, state.NegotiatedProtocol)
		}
	}
}
