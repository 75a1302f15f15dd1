// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// collectProgram is one that collects mail into a Maildir.
type collectProgram struct {
	name string
	path string
	// prepare writes what it needs to know into the home directory and returns
	// its arguments.
	prepare func(home, maildir string, from mailbox, remove bool) ([]string, error)
	// nothing is the status with which it ends when there is no new mail.
	nothing int
}

// mailbox is where to collect.
type mailbox struct{ host, port, user string }

func mailboxAt(address string, user int) (mailbox, error) {
	host, port, err := net.SplitHostPort(address)
	return mailbox{host, port, fmt.Sprintf("u%d", user)}, err
}

// findPrograms builds ours and looks for the others.
func findPrograms(ctx context.Context, dir string) (list []collectProgram, notes []string, err error) {
	binary := filepath.Join(dir, "restante")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "restante.example/cmd/restante")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("building restante: %v\n%s", err, out)
	}
	list = append(list, collectProgram{name: "restante", path: binary, prepare: prepareRestante})
	for _, p := range []struct {
		program  collectProgram
		packages string
		note     string
	}{
		{collectProgram{name: "mpop", prepare: prepareMpop}, "mpop", "pipelining on"},
		{collectProgram{name: "fetchmail", prepare: prepareFetchmail, nothing: 1}, "fetchmail",
			"it knows no Maildir, so each message goes to `sh -c 'exec cat >new/$$'`, which is less than any real program for that does"},
		{collectProgram{name: "getmail", prepare: prepareGetmail}, "getmail6", ""},
	} {
		path, err := exec.LookPath(p.program.name)
		if err != nil {
			notes = append(notes, p.program.name+" is not installed and was left out: apt-get install "+p.packages)
			continue
		}
		p.program.path = path
		list = append(list, p.program)
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			return nil, nil, fmt.Errorf("%s --version: %w", path, err)
		}
		first, _, _ := strings.Cut(string(out), "\n")
		note := "`" + strings.TrimSpace(first) + "`"
		if p.note != "" {
			note += ": " + p.note
		}
		notes = append(notes, note)
	}
	return list, notes, nil
}

// writePassword writes the file from which a program takes the password.
func writePassword(home string) (string, error) {
	name := filepath.Join(home, "password")
	return name, os.WriteFile(name, []byte(password+"\n"), 0o600)
}

func prepareRestante(home, maildir string, from mailbox, remove bool) ([]string, error) {
	keep := "--keep"
	if remove {
		keep = "--delete"
	}
	file, err := writePassword(home)
	return []string{"fetch", "--quiet", "--server", net.JoinHostPort(from.host, from.port), "--tls", "none", "--user", from.user,
		"--password-file", file, "--state", filepath.Join(home, "state"), "--to", "maildir:" + maildir, keep}, err
}

func prepareMpop(home, maildir string, from mailbox, remove bool) ([]string, error) {
	file, err := writePassword(home)
	if err != nil {
		return nil, err
	}
	rc := filepath.Join(home, "mpoprc")
	return []string{"-q", "-C", rc}, os.WriteFile(rc, []byte(fmt.Sprintf(`account default
host %s
port %s
user %s
passwordeval "cat %s"
auth user
tls off
pipelining on
keep %s
received_header off
uidls_file %s/uidls
delivery maildir %s
`, from.host, from.port, from.user, file, yesNo(!remove, "on", "off"), home, maildir)), 0o600)
}

func prepareFetchmail(home, maildir string, from mailbox, remove bool) ([]string, error) {
	rc := filepath.Join(home, "fetchmailrc")
	args := []string{"-s", "-f", rc, "-i", filepath.Join(home, "ids"), "--pidfile", filepath.Join(home, "pid"), "--nodetach"}
	return args, os.WriteFile(rc, []byte(fmt.Sprintf(`set invisible
set no syslog
poll %s proto pop3 port %s uidl
  user "%s" password "%s" sslproto ""
  %s norewrite
  mda "sh -c 'exec cat >%s/new/$$'"
`, from.host, from.port, from.user, password, yesNo(remove, "nokeep fetchall", "keep"), maildir)), 0o600)
}

func prepareGetmail(home, maildir string, from mailbox, remove bool) ([]string, error) {
	// It does not file as root.
	user := ""
	if os.Getuid() == 0 {
		user = "user = nobody"
		if err := giveToNobody(maildir); err != nil {
			return nil, err
		}
	}
	rc := filepath.Join(home, "rc")
	return []string{"--quiet", "--getmaildir", home, "--rcfile", rc}, os.WriteFile(rc, []byte(fmt.Sprintf(`[retriever]
type = SimplePOP3Retriever
server = %s
port = %s
username = %s
password = %s
[destination]
type = Maildir
path = %s/
%s
[options]
read_all = false
delete = %s
delivered_to = false
received = false
`, from.host, from.port, from.user, password, maildir, user, yesNo(remove, "true", "false"))), 0o600)
}

// giveToNobody makes a Maildir belong to the user nobody, who can come to it.
func giveToNobody(maildir string) error {
	for _, sub := range []string{"", "cur", "new", "tmp"} {
		if err := os.Chown(filepath.Join(maildir, sub), 65534, 65534); err != nil {
			return err
		}
	}
	return openPath(filepath.Dir(maildir))
}

func yesNo(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
