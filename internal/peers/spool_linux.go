// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"os/exec"
	"testing"
)

// Popa3d starts popa3d over an mbox that holds the messages, which have LF line
// ends, no line that begins with "From " and no empty line at their end. It has
// no TLS. It needs root.
func Popa3d(t testing.TB, messages []string) *POP3Server {
	t.Helper()
	tree := unpacked(t, "popa3d")
	uid, gid := owner(t)
	j := newJail(t, tree, uid, gid)
	const program = "/usr/sbin/popa3d"
	j.take(t, program)
	j.usePAM(t, "popa3d")
	left := mbox(t, j.path("/var/mail/"+theUser), messages, uid, gid)
	address := inetd(t, func() *exec.Cmd { return j.command(nil, program) })
	return &POP3Server{Addr: address, User: theUser, Password: thePassword, Left: left}
}

// Mailutils starts the POP3 server of GNU Mailutils over an mbox that holds the
// messages, which have LF line ends, no line that begins with "From " and no
// empty line at their end. It offers STLS and POP3S. It needs root.
func Mailutils(t testing.TB, messages []string) *POP3Server {
	t.Helper()
	tree := unpacked(t, "mailutils")
	uid, gid := owner(t)
	j := newJail(t, tree, uid, gid)
	const program = "/usr/sbin/pop3d"
	j.take(t, program)
	j.usePAM(t, "mailutils")
	left := mbox(t, j.path("/var/mail/"+theUser), messages, uid, gid)
	cert, key := certificate(t, Dir(t))
	j.put(t, cert, "/etc/cert.pem", 0, 0)
	j.put(t, key, "/etc/key.pem", 0, 0)
	serve := func(mode string) string {
		config := "/etc/" + mode + ".conf"
		j.write(t, config, "tls-mode "+mode+";\n"+
			"tls {\n ssl-certificate-file /etc/cert.pem;\n ssl-key-file /etc/key.pem;\n}\n", 0o644)
		return inetd(t, func() *exec.Cmd { return j.command(nil, program, "--inetd", "--config-file="+config) })
	}
	return &POP3Server{
		Addr: serve("ondemand"), TLSAddr: serve("connection"), CA: cert,
		User: theUser, Password: thePassword, Left: left,
	}
}
