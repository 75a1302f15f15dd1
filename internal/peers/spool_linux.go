// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"os/exec"
	"testing"
)

// Popa3d starts popa3d over an mbox that holds the messages, which have LF line
// ends and no line that begins with "From ". It has no TLS. It needs root.
func Popa3d(t testing.TB, messages []string) *POP3Server {
	t.Helper()
	return spool(t, "popa3d", "/usr/sbin/popa3d", messages)
}

// Mailutils starts the POP3 server of GNU Mailutils over an mbox that holds the
// messages, which have LF line ends and no line that begins with "From ". It
// runs without TLS. It needs root.
func Mailutils(t testing.TB, messages []string) *POP3Server {
	t.Helper()
	return spool(t, "mailutils", "/usr/sbin/pop3d", messages, "--inetd", "--no-config")
}

// spool runs a server, for each connection, that serves /var/mail/ana.
func spool(t testing.TB, server, program string, messages []string, args ...string) *POP3Server {
	t.Helper()
	tree := unpacked(t, server)
	uid, gid := owner(t)
	j := newJail(t, tree, uid, gid)
	j.take(t, program)
	j.usePAM(t, server)
	left := mbox(t, j.path("/var/mail/"+theUser), messages, uid, gid)
	address := inetd(t, func() *exec.Cmd { return j.command(nil, program, args...) })
	return &POP3Server{Addr: address, User: theUser, Password: thePassword, Left: left}
}
