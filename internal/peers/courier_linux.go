// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"os"
	"path/filepath"
	"testing"
)

// Courier starts Courier's POP3 server with a Maildir that holds the messages as
// they are given, with LF or CRLF line ends. It offers STLS, POP3S, PLAIN and
// LOGIN. It needs root.
func Courier(t testing.TB, messages []string) *POP3Server {
	t.Helper()
	uid, gid := owner(t)
	j := newJail(t, unpacked(t, "courier"), uid, gid)
	home := j.path("/home/" + theUser)
	left := maildir(t, filepath.Join(home, "Maildir"), messages, uid, gid)
	give(t, home, uid, gid)
	cert, key := certificate(t, Dir(t))
	c := startCourier(t, j, cert, key, 40)
	return &POP3Server{Addr: c.addr, TLSAddr: c.tlsAddr, CA: cert, User: theUser, Password: thePassword, Left: left}
}

// courier is a Courier that runs.
type courier struct{ addr, tlsAddr string }

// startCourier starts Courier in a jail, for so many connections at once.
func startCourier(t testing.TB, j *jail, cert, key string, limit int) courier {
	t.Helper()
	const (
		authdaemon = "/usr/lib/courier/courier-authlib/authdaemond"
		tcpd       = "/usr/sbin/couriertcpd"
		login      = "/usr/lib/courier/courier/courierpop3login"
		pop3d      = "/usr/lib/courier/courier/courierpop3d"
		tls        = "/usr/bin/couriertls"
		pam        = "/usr/lib/courier-authlib/libauthpam.so.0" // which authdaemond loads
	)
	j.take(t, authdaemon, tcpd, login, pop3d, tls, pam)
	j.usePAM(t, "pop3")
	j.write(t, "/etc/courier/authdaemonrc",
		"authmodulelist=\"authpam\"\nauthmodulelistorig=\"authpam\"\ndaemons=5\nauthdaemonvar=/run/courier/authdaemon\n"+
			"DEBUG_LOGIN=0\nDEFAULTOPTIONS=\"\"\n", 0o644)
	if err := os.MkdirAll(j.path("/run/courier/authdaemon"), 0o755); err != nil {
		t.Fatal(err)
	}
	var pair []byte
	for _, file := range []string{key, cert} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pair = append(pair, text...)
	}
	j.write(t, "/etc/courier/pop3d.pem", string(pair), 0o600)
	give(t, j.path("/etc/courier/pop3d.pem"), courierID, courierID)

	start(t, func() bool {
		_, err := os.Stat(j.path("/run/courier/authdaemon/socket"))
		return err == nil
	}, j.command(nil, authdaemon))

	env := []string{
		"POP3_STARTTLS=YES", "POP3_TLS_REQUIRED=0", "COURIERTLS=" + tls, "TLS_CERTFILE=/etc/courier/pop3d.pem",
		"TLS_VERIFYPEER=NONE", "POP3AUTH=PLAIN LOGIN", "POP3AUTH_TLS=PLAIN LOGIN", "MAILDIRPATH=Maildir",
	}
	listen := func(args ...string) string {
		port := Port(t)
		options := []string{"-address=127.0.0.1", "-maxprocs=" + itoa(limit), "-maxperip=" + itoa(limit), "-nodnslookup", "-noidentlookup", itoa(port)}
		launch(t, local(port), j.command(env, tcpd, append(options, args...)...))
		return local(port)
	}
	return courier{listen(login, pop3d, "Maildir"), listen(tls, "-server", "-tcpd", login, pop3d, "Maildir")}
}
