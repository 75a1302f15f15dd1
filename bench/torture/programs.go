// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// mailProgram is a real program that collects and deletes.
type mailProgram struct {
	name string
	pkg  string // the Debian package that has it
	// collect runs it once. The folder is its own.
	collect func(ctx context.Context, e errand) error
}

// errand is one collection.
type errand struct {
	program, dir, user, port string
	rng                      *rand.Rand
}

// runFor is how long a program may take; some go on for ever when the server is
// killed in the middle of a message. largest is what it may write into one file,
// because some then fill the disk.
const (
	runFor  = 20 * time.Second
	largest = 16 << 20
)

// command runs a program with both limits, and ends it with us.
func (e errand) command(ctx context.Context, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runFor)
	defer cancel()
	args = append([]string{fmt.Sprintf("--fsize=%d", largest), e.program}, args...)
	cmd := exec.CommandContext(ctx, "prlimit", args...)
	cmd.Dir, cmd.Stdin = e.dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+e.dir, "LC_ALL=C", "FETCHMAILHOME="+e.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	// Its children too: the group is the program's, which prlimit has become.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return string(out), err
}

func (e errand) write(name, text string) (string, error) {
	name = filepath.Join(e.dir, name)
	return name, os.WriteFile(name, []byte(text), 0o600)
}

var mailPrograms = []mailProgram{
	{"curl", "curl", withCurl},
	{"mpop", "mpop", withMpop},
	{"getmail", "getmail6", withGetmail},
	{"fetchmail", "fetchmail", withFetchmail},
}

// withCurl asks for the numbers, then in one connection for each message and its
// deletion, and stops at the first failure.
func withCurl(ctx context.Context, e errand) error {
	head := fmt.Sprintf("silent\nuser = %q\n", e.user+":"+password)
	url := "pop3://127.0.0.1:" + e.port + "/"
	list, err := e.command(ctx, head+fmt.Sprintf("url = %q\n", url), "-K", "-")
	if err != nil {
		return err
	}
	var config strings.Builder
	for line := range strings.Lines(list) {
		n, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n == "" {
			continue
		}
		if config.Len() > 0 {
			config.WriteString("next\n")
		}
		fmt.Fprintf(&config, "fail-early\n%surl = %q\noutput = \"message\"\nnext\nfail-early\n%shead\nrequest = \"DELE %s\"\nurl = %q\n",
			head, url+n, head, n, url)
	}
	if config.Len() == 0 {
		return nil
	}
	_, err = e.command(ctx, config.String(), "-K", "-")
	return err
}

func withMpop(ctx context.Context, e errand) error {
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(e.dir, "in", d), 0o700); err != nil {
			return err
		}
	}
	rc, err := e.write("mpoprc", fmt.Sprintf(`account default
host 127.0.0.1
port %s
user %s
password %s
auth user
tls off
keep off
received_header off
uidls_file %s/uidls
delivery maildir %s/in
`, e.port, e.user, password, e.dir, e.dir))
	if err != nil {
		return err
	}
	_, err = e.command(ctx, "", "-C", rc, "-q")
	return err
}

// withGetmail hands to a program that takes its time: getmail misses the end of
// one, or of a child of its own that files, that comes before it waits.
func withGetmail(ctx context.Context, e errand) error {
	mda, err := e.write("mda", "#!/bin/sh\nsleep 0.03\nexec cat >message\n")
	if err == nil {
		err = os.Chmod(mda, 0o700)
	}
	if err != nil {
		return err
	}
	rc, err := e.write("rc", fmt.Sprintf(`[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = %s
username = %s
password = %s
timeout = 10
[destination]
type = MDA_external
path = %s
allow_root_commands = true
[options]
read_all = false
delete = true
delivered_to = false
received = false
`, e.port, e.user, password, mda))
	if err != nil {
		return err
	}
	_, err = e.command(ctx, "", "--getmaildir", e.dir, "--rcfile", rc, "--quiet")
	return err
}

func withFetchmail(ctx context.Context, e errand) error {
	rc, err := e.write("fetchmailrc", fmt.Sprintf(`set invisible
set no syslog
poll 127.0.0.1 proto pop3 port %s uidl timeout 10
  user "%s" password "%s" sslproto ""
  nokeep fetchall norewrite
  mda "sh -c 'cat > %s/message'"
`, e.port, e.user, password, e.dir))
	if err != nil {
		return err
	}
	_, err = e.command(ctx, "", "-f", rc, "-i", filepath.Join(e.dir, "ids"), "--pidfile", filepath.Join(e.dir, "pid"), "--nodetach", "--silent")
	var status *exec.ExitError
	if errors.As(err, &status) && status.ExitCode() == 1 {
		err = nil // there was no mail
	}
	return err
}

// program collects with a program again and again. What it wrote is dropped: the
// tap knows what it was handed.
func (t *torture) program(ctx context.Context, p mailProgram, e errand) {
	for pause(ctx, time.Duration(100+e.rng.IntN(400))*time.Millisecond) {
		what := "runs of " + p.name
		if err := p.collect(ctx, e); err != nil {
			what = "runs of " + p.name + " that failed"
		}
		t.report.count(what, 1)
		// Messages that mpop has filed would fill the disk.
		if err := os.RemoveAll(filepath.Join(e.dir, "in")); err != nil {
			t.report.note("%s: %v", p.name, err)
		}
	}
}
