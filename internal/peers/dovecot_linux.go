// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// Dovecot starts Dovecot with a Maildir that holds the messages as they are
// given, with LF or CRLF line ends. It offers STLS, POP3S, and PLAIN, LOGIN,
// CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256 and APOP beside USER and PASS. It needs
// root.
func Dovecot(t testing.TB, messages []string) *POP3Server {
	t.Helper()
	return DovecotUsers(t, messages, nil)
}

// DovecotUsers is Dovecot with more users, who have the same mail. Each is a name,
// a password as a passwd-file has it, and its extra fields.
func DovecotUsers(t testing.TB, messages []string, more [][3]string) *POP3Server {
	t.Helper()
	dovecot := Need(t, "dovecot")
	if _, err := exec.LookPath("/usr/lib/dovecot/pop3"); err != nil {
		Missing(t, "Dovecot has no POP3 here: apt-get install dovecot-pop3d, or ./check")
	}
	NeedRoot(t)
	dir := Dir(t)
	cert, key := certificate(t, dir)
	uid, gid := owner(t)
	home := filepath.Join(dir, "home")
	left := maildir(t, filepath.Join(home, "Maildir"), messages, uid, gid)
	give(t, home, uid, gid)
	plain, implicit := Port(t), Port(t)
	users := ""
	for _, u := range append([][3]string{{theUser, "{PLAIN}" + thePassword, ""}}, more...) {
		users += fmt.Sprintf("%s:%s:%d:%d::%s::%s\n", u[0], u[1], uid, gid, home, u[2])
	}
	writeFile(t, filepath.Join(dir, "users"), users, 0o644)
	config := filepath.Join(dir, "dovecot.conf")
	writeFile(t, config, fmt.Sprintf(`
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
protocols = pop3
listen = 127.0.0.1
first_valid_uid = 1
mail_location = maildir:~/Maildir
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 apop scram-sha-1 scram-sha-256
ssl = yes
ssl_cert = <%[2]s
ssl_key = <%[3]s
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = %[4]d
  }
  inet_listener pop3s {
    port = %[5]d
    ssl = yes
  }
}
service stats {
  chroot =
}
passdb {
  driver = passwd-file
  args = %[1]s/users
}
userdb {
  driver = passwd-file
  args = %[1]s/users
}
`, dir, cert, key, plain, implicit), 0o644)

	launch(t, local(plain), exec.Command(dovecot, "-F", "-c", config))
	return &POP3Server{
		Addr: local(plain), TLSAddr: local(implicit), CA: cert,
		User: theUser, Password: thePassword, UsersFile: filepath.Join(dir, "users"), Left: left,
	}
}
