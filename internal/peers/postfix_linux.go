// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Postfix starts a Postfix that hands the mail for example.org to a transport,
// such as "lmtp:unix:/path" or "lmtp:inet:127.0.0.1:2424". No mail leaves the
// machine. It needs root, and a socket that its own user can reach, as one in
// Dir is.
func Postfix(t testing.TB, transport string) *PostfixServer {
	t.Helper()
	postfix := Need(t, "postfix")
	postconf := Need(t, "postconf")
	NeedRoot(t)
	dir := Dir(t)
	port := Port(t)
	p := &PostfixServer{SMTP: local(port), config: filepath.Join(dir, "etc"), log: filepath.Join(dir, "mail.log")}
	daemons := strings.TrimSpace(run(t, postconf, "-d", "-h", "daemon_directory"))

	writeFile(t, filepath.Join(p.config, "main.cf"), fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
daemon_directory = %[2]s
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
myhostname = postfix.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_transport = %[3]s
default_transport = error:no mail leaves a test
relay_transport = error:no mail leaves a test
# Headers stay as the test wrote them, but for one Received line.
local_header_rewrite_clients =
# Postfix would fold lines over 998 octets on the way to us.
lmtp_line_length_limit = 0
message_size_limit = 60000000
mailbox_size_limit = 0
# What is deferred stays in the queue, to be seen there.
minimal_backoff_time = 4000s
`, dir, daemons, transport), 0o644)

	// Without chroot, which wants files of the system copied.
	services := []string{
		local(port) + " inet n - n - - smtpd",
		"cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "pickup unix n - n 60 1 pickup",
		"rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
		"trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
		"proxymap unix - - n - - proxymap", "proxywrite unix - - n - 1 proxymap", "tlsmgr unix - - n 1000? 1 tlsmgr",
		"showq unix n - n - - showq", "error unix - - n - - error", "retry unix - - n - - error",
		"discard unix - - n - - discard", "lmtp unix - - n - - lmtp", "anvil unix - - n - 1 anvil",
		"scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd",
	}
	writeFile(t, filepath.Join(p.config, "master.cf"), strings.Join(services, "\n")+"\n", 0o644)
	for _, sub := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	owner := strings.TrimSpace(run(t, postconf, "-d", "-h", "mail_owner"))
	run(t, "chown", owner, filepath.Join(dir, "data"))

	// It goes into the background by itself, with all pipes closed by then.
	out, err := os.Create(filepath.Join(dir, "start.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	start := exec.Command(postfix, "-c", p.config, "start")
	start.Stdout, start.Stderr = out, out
	t.Cleanup(func() { p.stop(t, filepath.Join(dir, "queue", "pid", "master.pid")) })
	err = start.Run()
	if err != nil || !waitFor(func() bool { return answers(p.SMTP) }) {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("postfix start: %v\n%s\n%s", err, said, p.Log(t))
	}
	return p
}

// stop ends the master, which ends the others, and waits until it is gone.
func (p *PostfixServer) stop(t testing.TB, pidFile string) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return // it never ran
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Errorf("postfix: its pid file holds %q", text)
		return
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return // it has ended
	}
	if !waitFor(func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) }) {
		t.Errorf("postfix does not end")
	}
}

// zombie reports whether a process has ended and nobody has asked for its
// status: in a container, a daemon's parent may be one that never asks.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && strings.HasPrefix(rest, "Z")
}

// Log returns what it has logged so far.
func (p *PostfixServer) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// Queue returns the messages that wait, in the JSON lines of postqueue -j.
func (p *PostfixServer) Queue(t testing.TB) string {
	t.Helper()
	return run(t, Need(t, "postqueue"), "-c", p.config, "-j")
}
