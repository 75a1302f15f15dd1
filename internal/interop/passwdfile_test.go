// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// TestPasswdFileAsDovecotReadsIt: from one file, the same people sign in to
// Dovecot and to restanted, and the same do not.
func TestPasswdFileAsDovecotReadsIt(t *testing.T) {
	lookAtSources(t)
	doveadm := peers.Need(t, "doveadm")
	const right = "correct horse"
	var users [][3]string
	for i, scheme := range []string{"PLAIN", "SSHA512", "SHA512-CRYPT", "BLF-CRYPT", "ARGON2ID", "PBKDF2", "SCRAM-SHA-256", "MD5-CRYPT"} {
		out, err := exec.Command(doveadm, "pw", "-s", scheme, "-p", right).Output()
		if err != nil {
			t.Fatalf("doveadm pw -s %s: %v", scheme, err)
		}
		users = append(users, [3]string{fmt.Sprintf("u%d@example.org", i), strings.TrimSpace(string(out)), ""})
	}
	users = append(users, [3]string{"near", users[1][1], "allow_nets=192.0.2.0/24,127.0.0.0/8"},
		[3]string{"far", users[1][1], "allow_nets=192.0.2.0/24"}, [3]string{"barred", users[1][1], "nologin"}, [3]string{"locked", "{CRYPT}*", ""})
	dovecot := peers.DovecotUsers(t, nil, users)
	dir := newDir(t)
	o := startOffice(t, dir, fmt.Sprintf("[users]\npasswd_file = %q\n", dovecot.UsersFile))
	try := func(u [3]string, password string, want bool) {
		t.Helper()
		there := signsIn(t, dovecot.Addr, u[0], password)
		if here := signsIn(t, o.POP3, u[0], password); there != here || here != want {
			t.Errorf("%s (%.12s %s) with %q: Dovecot lets it in: %v, restanted: %v, want %v", u[0], u[1], u[2], password, there, here, want)
		}
	}
	in, out := users[:9], users[9:]
	for _, u := range in {
		try(u, right, true)
	}
	// Both slow down who fails, so there are few of these.
	try(in[0], "wrong horse", false)
	for _, u := range out {
		try(u, right, false)
	}
}

// signsIn reports whether a user is let in.
func signsIn(t *testing.T, address, name, password string) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "USER %s\r\nPASS %s\r\nQUIT\r\n", name, password); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	last := ""
	for range 3 { // the greeting, and the answers to USER and PASS
		if last, err = in.ReadString('\n'); err != nil {
			t.Fatalf("%s: %v after %q", address, err, last)
		}
	}
	return strings.HasPrefix(last, "+OK")
}
