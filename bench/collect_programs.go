// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"restante.example/bench/report"
)

// collectProgram is one that collects mail into a Maildir.
type collectProgram struct {
	report.Subject
	path string
	// absent is why it cannot be run, or nil.
	absent error
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
func findPrograms(ctx context.Context, dir string) ([]collectProgram, error) {
	binary, err := build(ctx, dir, "restante", "restante.example/cmd/restante")
	if err != nil {
		return nil, err
	}
	ours := collectProgram{path: binary, prepare: prepareRestante, Subject: report.Subject{Name: "restante", Kind: report.Ours, Version: ourVersion(ctx),
		Settings: []string{"as it always is: every message, its name and the journal are flushed before a message counts as filed"}}}
	others := []collectProgram{
		{prepare: prepareMpop, Subject: report.Subject{Name: "mpop",
			Settings: []string{"pipelining on, the password in its file so that it begins no process for it, no Received line added; it flushes each message"}}},
		{prepare: prepareFetchmail, nothing: 1, Subject: report.Subject{Name: "fetchmail",
			Settings: []string{"it knows no Maildir, so each message goes to `sh -c 'exec cat >new/$$'`, which is less than any real program for that does, and flushes nothing"}}},
		{prepare: prepareGetmail, Subject: report.Subject{Name: "getmail",
			Settings: []string{"no Received and Delivered-To lines added; it flushes each message. At times it misses the end of its own child, and then waits for a minute"}}},
	}
	list := []collectProgram{ours}
	for _, p := range others {
		p.Kind = report.Peer
		if p.path, err = exec.LookPath(p.Name); err != nil {
			p.absent = errAbsent{errMissing}
			p.Version = errMissing.Error()
		} else {
			out, err := exec.CommandContext(ctx, p.path, "--version").Output()
			if err != nil {
				return nil, fmt.Errorf("%s --version: %w", p.path, err)
			}
			first, _, _ := strings.Cut(string(out), "\n")
			p.Version = strings.TrimSpace(first)
		}
		list = append(list, p)
	}
	for i := range list {
		list[i].Side = "collector"
	}
	return list, nil
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
	rc := filepath.Join(home, "mpoprc")
	return []string{"-q", "-C", rc}, os.WriteFile(rc, []byte(fmt.Sprintf(`account default
host %s
port %s
user %s
password %s
auth user
tls off
pipelining on
keep %s
received_header off
uidls_file %s/uidls
delivery maildir %s
`, from.host, from.port, from.user, password, yesNo(!remove, "on", "off"), home, maildir)), 0o600)
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
[options]
read_all = false
delete = %s
delivered_to = false
received = false
`, from.host, from.port, from.user, password, maildir, yesNo(remove, "true", "false"))), 0o600)
}

// giveToNobody makes a home and what is in it belong to the user nobody, where
// this program is root and runs programs as nobody.
func giveToNobody(home string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return filepath.WalkDir(home, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}

func yesNo(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
