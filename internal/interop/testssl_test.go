// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// tolerated are the findings of testssl.sh that say nothing of the server.
var tolerated = map[string]string{
	"engine_problem":  "what the OpenSSL of the testing machine lacks (GOST); those suites are tried over sockets",
	"cert_revocation": "the private authority of the test publishes neither CRL nor OCSP",
}

// required are findings that must be there and be good, so that a scan that broke
// off, or of something else, does not pass.
var required = []string{
	"SSLv2", "SSLv3", "TLS1_2", "TLS1_3", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW",
	"cipherlist_STRONG", "cipher_order", "cert_trust", "cert_chain_of_trust", "cert_keySize", "cert_signatureAlgorithm",
	"heartbleed", "CCS", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS", "POODLE_SSL", "fallback_SCSV",
	"SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4",
}

// TestTestSSL: testssl.sh finds nothing worse than LOW in the TLS of either port,
// with a certificate of an authority of its own. docs/testing.md has the full run.
func TestTestSSL(t *testing.T) {
	t.Parallel()
	testssl := peers.Need(t, "testssl")
	dir := peers.Dir(t)
	ca := issue(t, dir)
	o := startOffice(t, dir, fmt.Sprintf("[tls]\ncert_file = %q\nkey_file = %q\n", filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")))
	for name, a := range map[string]account{"POP3S": o.add(t, "ana@example.org", "implicit"), "STLS": o.add(t, "carla@example.org", "stls")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--protocols", "--std", "--pfs", "--server-preference", "--server-defaults", "--vulnerable", "localhost:" + a.port}
			if name == "STLS" {
				args = append([]string{"--starttls", "pop3"}, args...)
			}
			seen := make(map[string]finding)
			for _, f := range scan(t, testssl, ca, args...) {
				seen[f.ID] = f
				good := slices.Contains([]string{"OK", "INFO", "LOW", "DEBUG"}, f.Severity)
				if _, ok := tolerated[f.ID]; !good && !ok {
					t.Errorf("%s: %s: %s", f.Severity, f.ID, f.Finding)
				}
			}
			for _, id := range required {
				if f := seen[id]; f.Severity != "OK" {
					t.Errorf("%s is not found to be good: %+v", id, f)
				}
			}
			for _, id := range []string{"TLS1", "TLS1_1"} {
				if f := seen[id]; f.Finding != "not offered" {
					t.Errorf("%s: %q", id, f.Finding)
				}
			}
		})
	}
}

// finding is one of testssl.sh.
type finding struct{ ID, Severity, Finding string }

// scan runs testssl.sh, which asks nobody but the server.
func scan(t *testing.T, testssl, ca string, args ...string) []finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	home := newDir(t)
	file := filepath.Join(home, "findings.json")
	common := []string{"--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1",
		"--connect-timeout", "10", "--openssl-timeout", "10", "--add-ca", ca, "--jsonfile", file}
	cmd := exec.CommandContext(ctx, testssl, append(common, args...)...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "LANG=C.UTF-8"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// Its exit code counts findings; what matters is read from them.
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("testssl.sh: %v, %v\n%s", err, ctx.Err(), &out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	var list []finding
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%v\n%s\n%s", err, text, &out)
	}
	return list
}

// issue makes an authority and a certificate of it for localhost, with their chain
// and key in dir, and returns the file of the authority.
func issue(t *testing.T, dir string) (ca string) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	store := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
		return path
	}
	serial := func() *big.Int {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	root, leaf := key(), key()
	authority := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "an authority for a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, authority, authority, root.Public(), root)
	if err != nil {
		t.Fatal(err)
	}
	server := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, 90), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, server, authority, leaf.Public(), root)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(leaf)
	if err != nil {
		t.Fatal(err)
	}
	store("chain.pem", "CERTIFICATE", leafDER)
	store("key.pem", "PRIVATE KEY", pkcs8)
	return store("ca.pem", "CERTIFICATE", rootDER)
}
