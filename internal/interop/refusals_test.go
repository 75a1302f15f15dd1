// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// dialPOP3 connects in clear text and reads the greeting.
func dialPOP3(t *testing.T, o *office) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", o.POP3, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	ok(t, in)
	return conn, in
}

func ok(t *testing.T, in *bufio.Reader) {
	t.Helper()
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
		t.Fatalf("%q, %v", line, err)
	}
}

// TestRefusalsAreUnderstood: programs tell a wrong password from a mailbox that is
// in use, by the response codes.
func TestRefusalsAreUnderstood(t *testing.T) {
	t.Parallel()
	fetchmail := peers.Need(t, "fetchmail")
	mpop := peers.Need(t, "mpop")
	o := openOffice(t)
	a := o.add(t, "ana@example.org", "implicit")
	o.deliver(t, corpus()[0].text, a.user)
	wrong := a
	wrong.password = "not the password"

	r := run{account: wrong, home: newDir(t), out: newDir(t)}
	fetch(t, fetchmail, r).must(t, 3) // PS_AUTHFAIL
	runMpop(t, mpop, r).must(t, 77)   // EX_NOPERM
	r.account = a
	conn, in := dialPOP3(t, o)
	for _, line := range []string{"USER " + a.user, "PASS " + password} {
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			t.Fatal(err)
		}
		ok(t, in)
	}
	fetch(t, fetchmail, r).must(t, 9) // PS_LOCKBUSY
	runMpop(t, mpop, r).must(t, 77)
	if _, err := io.WriteString(conn, "QUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	ok(t, in)
	r.out = newDir(t)
	fetch(t, fetchmail, r).must(t, 0)
	same(t, "collected at last", readDir(t, r.out), []string{unix(a, wire(a.user, corpus()[0].text))})
}

// TestClearTextNever: where the operator wants it, no password is taken without
// TLS, not even from this machine.
func TestClearTextNever(t *testing.T) {
	t.Parallel()
	curl := peers.Need(t, "curl")
	o := startOffice(t, peers.Dir(t), `clear_text = "never"`)
	plain := o.add(t, "ana@example.org", "none")
	o.deliver(t, corpus()[0].text, plain.user)
	config := curlConfig(plain) + fmt.Sprintf("url = %q\n", plain.url("1"))
	got := execute(t, newDir(t), config, curl, "-K", "-")
	if got.code != 67 { // CURLE_LOGIN_DENIED
		t.Errorf("curl without TLS: exit code %d\n%s", got.code, got.output)
	}
	secure := plain
	secure.tls = "stls"
	r := run{account: secure, home: newDir(t), out: newDir(t)}
	curlAll(t, r)
	same(t, "with STLS", readDir(t, r.out), []string{wire(plain.user, corpus()[0].text)})
}

// TestNothingInFrontOfTLS: octets that somebody slipped in behind STLS, in clear
// text, end the connection. RFC 2595 section 4 has the handshake begin there.
func TestNothingInFrontOfTLS(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	a := o.add(t, "ana@example.org", "stls")
	o.deliver(t, corpus()[0].text, a.user)
	conn, in := dialPOP3(t, o)
	// One write, so that all of it is there when STLS is read.
	if _, err := fmt.Fprintf(conn, "STLS\r\nUSER %s\r\nPASS %s\r\nDELE 1\r\nQUIT\r\n", a.user, password); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(in)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	if n := strings.Count(string(answers), "\n"); n > 1 {
		t.Errorf("octets behind STLS were answered: %q", answers)
	}
	same(t, "on the server", o.held(t, a.user), []string{wire(a.user, corpus()[0].text)})
}
