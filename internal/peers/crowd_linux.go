// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Crowd is who may sign in to a server that is started for measuring: users u0,
// u1 and so on, with one password, and no mail yet.
type Crowd struct {
	Users    int
	Password string
	// Scheme is what `openssl passwd` is told to make hashes with: "-6" for
	// those that take time, "-1" for quick ones.
	Scheme string
	// Cert and Key are the files of the certificate, PEM.
	Cert, Key string
}

// CrowdServer is a running server with a crowd.
type CrowdServer struct {
	// Addr and TLSAddr are where it speaks POP3 and POP3S.
	Addr, TLSAddr string
	// Box is where the mail of a user is to be put, with %d in place of its
	// number: a Maildir or an mbox file that belongs to UID.
	Box string
	UID int
}

// CrowdCourier starts Courier with a crowd. It needs root.
func CrowdCourier(t testing.TB, crowd Crowd) *CrowdServer {
	t.Helper()
	uid, gid := owner(t)
	j := newJail(t, unpacked(t, "courier"), uid, gid)
	j.admit(t, crowd, uid, gid)
	for i := range crowd.Users {
		home := j.path(fmt.Sprintf("/home/u%d", i))
		if err := os.MkdirAll(home, 0o755); err != nil {
			t.Fatal(err)
		}
		give(t, home, uid, gid)
	}
	c := startCourier(t, j, crowd.Cert, crowd.Key, 20_000)
	return &CrowdServer{Addr: c.addr, TLSAddr: c.tlsAddr, UID: uid, Box: j.path("/home/u%d/Maildir")}
}

// CrowdPopa3d starts popa3d with a crowd. It needs root.
func CrowdPopa3d(t testing.TB, crowd Crowd) *CrowdServer {
	t.Helper()
	uid, gid := owner(t)
	j := newJail(t, unpacked(t, "popa3d"), uid, gid)
	j.admit(t, crowd, uid, gid)
	const program = "/usr/sbin/popa3d"
	j.take(t, program)
	j.usePAM(t, "popa3d")
	address := inetd(t, func() *exec.Cmd { return j.command(nil, program) })
	return &CrowdServer{Addr: address, UID: uid, Box: j.path("/var/mail/u%d")}
}

// admit adds a crowd to the users of a jail.
func (j *jail) admit(t testing.TB, crowd Crowd, uid, gid int) {
	t.Helper()
	hash := strings.TrimSpace(run(t, Need(t, "openssl"), "passwd", crowd.Scheme, crowd.Password))
	var passwd, shadow strings.Builder
	for i := range crowd.Users {
		fmt.Fprintf(&passwd, "u%d:x:%d:%d::/home/u%[1]d:/bin/sh\n", i, uid, gid)
		fmt.Fprintf(&shadow, "u%d:%s:19000::::::\n", i, hash)
	}
	for name, text := range map[string]string{"passwd": passwd.String(), "shadow": shadow.String()} {
		file := j.path(filepath.Join("/etc", name))
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		j.write(t, "/etc/"+name, string(before)+text, 0o600)
	}
	if err := os.Chmod(j.path("/etc/passwd"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Version returns the version of a Debian package that was unpacked for a
// server.
func Version(t testing.TB, server, debian string) string {
	t.Helper()
	f, err := os.Open(filepath.Join(unpacked(t, server), "usr/share/doc", debian, "changelog.Debian.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var name, version string // as in "popa3d (1.0.3-1) unstable; urgency=medium"
	if _, err := fmt.Fscan(text, &name, &version); err != nil {
		t.Fatal(err)
	}
	return strings.Trim(version, "()")
}
