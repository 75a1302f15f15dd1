// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// POP3Server is a running POP3 server of others, with one user.
type POP3Server struct {
	// Addr is where it speaks POP3, with STLS where CA is set. A password in
	// clear text is accepted there.
	Addr string
	// TLSAddr is where it speaks POP3S; empty where it cannot.
	TLSAddr string
	// CA is the file with the certificate to trust, in PEM, which is for
	// "localhost" and 127.0.0.1; empty where the server has no TLS.
	CA string
	// User and Password sign in.
	User, Password string
	// UsersFile is Dovecot's passwd-file; empty for others.
	UsersFile string
	// Left returns the messages that are in the maildrop now, as the server
	// keeps them, without the lines that an mbox adds, in order of arrival.
	Left func() []string
}

// The one user of every server.
const (
	theUser     = "ana"
	thePassword = "open sesame"
)

// owner returns the user to whom the mail of a test belongs.
func owner(t testing.TB) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		t.Fatalf("user nobody is %s:%s", u.Uid, u.Gid)
	}
	return uid, gid
}

// maildir makes a Maildir of messages, which belongs to uid and gid, and returns
// what lists it.
func maildir(t testing.TB, path string, messages []string, uid, gid int) func() []string {
	t.Helper()
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now().Add(-time.Hour).Unix()
	for i, text := range messages {
		// One second after the other, since that is how they are put in order.
		name := fmt.Sprintf("%d.M%dP1.peer", begin+int64(i), i)
		writeFile(t, filepath.Join(path, "new", name), text, 0o644)
	}
	give(t, path, uid, gid)
	return func() []string {
		var files []string
		for _, sub := range []string{"new", "cur"} {
			found, err := filepath.Glob(filepath.Join(path, sub, "*.peer*"))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
		sort.Slice(files, func(i, j int) bool { return filepath.Base(files[i]) < filepath.Base(files[j]) })
		var left []string
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, string(text))
		}
		return left
	}
}

// mbox makes an mbox file of messages with LF line ends, which have no line that
// begins with "From " and no empty line at their end, and returns what lists it.
func mbox(t testing.TB, path string, messages []string, uid, gid int) func() []string {
	t.Helper()
	const from = "From sender@example.net Mon Jan  1 00:00:00 2024\n"
	var b strings.Builder
	for _, text := range messages {
		b.WriteString(from + text + "\n")
	}
	writeFile(t, path, b.String(), 0o600)
	give(t, path, uid, gid)
	return func() []string {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) || err == nil && len(text) == 0 {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		parts := strings.Split(strings.TrimPrefix(string(text), "From "), "\nFrom ")
		for i, part := range parts {
			_, message, _ := strings.Cut(part, "\n")
			if i == len(parts)-1 && strings.HasSuffix(message, "\n\n") {
				message = message[:len(message)-1] // the empty line in front of the next one
			}
			left = append(left, mboxFields.ReplaceAllString(message, ""))
		}
		return left
	}
}

// mboxFields are the header lines in which programs keep what they know of a
// message.
var mboxFields = regexp.MustCompile(`(?m)^(Status|X-Status|X-UID|X-IMAP|X-IMAPbase|X-Keywords): [^\n]*\n`)

// give makes a tree of files belong to somebody.
func give(t testing.TB, path string, uid, gid int) {
	t.Helper()
	err := filepath.WalkDir(path, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// certificate writes a self-signed certificate and its key into dir.
func certificate(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), 0o600)
	return cert, key
}
