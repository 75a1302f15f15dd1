// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package peers starts real mail programs of others for tests, from Debian's
// packages: on loopback ports, in directories of their own, and ended with the
// test. Only tests import it.
//
// A program that is not there skips the test and says what would run it; where
// the environment variable RESTANTE_PEERS is "required", as in ./check, it fails
// the test instead. The script install.sh beside this file installs them all.
package peers

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// packageOf names the Debian package of a program where that is another word.
func packageOf(program string) string {
	switch program {
	case "getmail":
		return "getmail6"
	case "dovecot", "doveadm":
		return "dovecot-pop3d"
	case "mkfs.xfs":
		return "xfsprogs"
	case "postconf", "postqueue":
		return "postfix"
	case "java":
		return "default-jre-headless"
	case "promtool":
		return "prometheus"
	case "script":
		return "bsdutils"
	case "systemd-analyze":
		return "systemd"
	case "testssl":
		return "testssl.sh"
	}
	return program
}

// Need returns the path of a program, or skips the test.
func Need(t testing.TB, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	// Servers are often outside the path of a person.
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	Missing(t, "%s is not installed: apt-get install %s, or ./check, which installs all that the tests need",
		program, packageOf(program))
	return ""
}

// NeedRoot skips the test where it does not run as root, which servers need to
// change their user.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "this test starts a server that wants to begin as root: run it as root, as CI does")
	}
}

// Missing skips the test with a reason that says what would run it, or fails it
// where RESTANTE_PEERS is "required".
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("RESTANTE_PEERS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Dir returns a new directory that every user of the machine can enter, as
// servers with users of their own need it; it is removed with the test. Its path
// is short enough for a socket.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // what is left is in the way of nobody
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Port returns a TCP port of 127.0.0.1 that is free now.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// PostfixServer is a running Postfix.
type PostfixServer struct {
	// SMTP is the address at which it takes mail for the domain example.org,
	// and for nobody else.
	SMTP string

	config string
	log    string
}

// patience is how long a server may take to start or to end. A server that is
// broken shows by its exit or its log long before.
const patience = 30 * time.Second

// waitFor polls until ready reports true, and reports whether it did.
func waitFor(ready func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ready() {
			return true
		}
	}
	return false
}

// answers reports whether somebody accepts connections there.
func answers(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// writeFile writes a file of a server's configuration.
func writeFile(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// run runs a program to its end and returns what it printed; failing fails the
// test.
func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// local writes an address of this machine.
func local(port int) string { return "127.0.0.1:" + itoa(port) }

func itoa(n int) string { return strconv.Itoa(n) }
