// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// openDisplay starts an X server without a screen, for programs that work in
// windows, and returns its name; it is ended with the test.
func openDisplay(t *testing.T) string {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command(peers.Need(t, "Xvfb"), "-displayfd", "3", "-nolisten", "tcp", "-screen", "0", "1024x768x24")
	cmd.ExtraFiles = []*os.File{out}
	err = cmd.Start()
	out.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		cmd.Wait() // it reports the signal
	})
	// Only when it is ready it says which number was free.
	number, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb does not start: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// windowed is a program with windows, which goes on when it has collected.
type windowed struct {
	display, path string
	args          []string // with which each of its processes is started
	// collected is what its debugging output has at the end of a collection.
	collected *regexp.Regexp
}

// collect starts the program, which collects, ends it as a second process of it
// is able to, and returns what it has said.
func (w windowed) collect(t *testing.T, home string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// There is a socket for the second process in the temporary directory.
	temporary := filepath.Join(home, "tmp")
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		t.Fatal(err)
	}
	start := func(out *logBuffer, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, w.path, append(args, w.args...)...)
		cmd.Dir = home
		cmd.Env = []string{"HOME=" + home, "TMPDIR=" + temporary, "PATH=" + os.Getenv("PATH"), "DISPLAY=" + w.display, "LANG=C.UTF-8"}
		cmd.Stdout, cmd.Stderr = out, out
		cmd.WaitDelay = time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	said, answer := newLogBuffer(), newLogBuffer()
	program := start(said, "--debug", "--receive-all")
	for !w.collected.MatchString(said.String()) {
		if ctx.Err() != nil {
			program.Wait()
			t.Fatalf("%s has not collected\n%s", w.path, said)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := start(answer, "--exit").Wait(); err != nil {
		t.Errorf("%s --exit: %v\n%s", w.path, err, answer)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", w.path, err, said)
	}
	return said.String()
}

// sylpheedAccount is the account as both Sylpheed and Claws Mail write it, the
// latter until version 3.14 and read by it since; a folder list goes with it.
func sylpheedAccount(t *testing.T, r run, config, inbox string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(r.out, "Mail", "inbox"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(config, "accountrc"), fmt.Sprintf(`[Account: 1]
account_name=ana
is_default=1
name=Ana
address=ana@example.org
protocol=0
receive_server=localhost
user_id=%s
password=%s
inbox=%s
ssl_pop=%s
set_popport=1
pop_port=%s
use_apop_auth=%s
remove_mail=%s
message_leave_time=0
filter_on_receive=0
receive_at_get_all=1
`, r.user, r.password, inbox, map[string]string{"none": "0", "implicit": "1", "stls": "2"}[r.tls], r.port,
		onOff(r.mechanism == "APOP", "1", "0"), onOff(r.remove, "1", "0")))
	writeFile(t, filepath.Join(config, "folderlist.xml"), fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<folderlist>
    <folder type="mh" name="Mailbox" path="%s/Mail">
        <folderitem type="inbox" name="inbox" path="inbox" mtime="0" new="0" unread="0" total="0" />
    </folder>
</folderlist>
`, r.out))
}

// readMH returns the messages of a folder, whose files have numbers for names.
func readMH(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(path, "[0-9]*"))
	if err != nil {
		t.Fatal(err)
	}
	messages := []string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, string(text))
	}
	return messages
}

// TestSylpheed: in its window. It ends a message at a NUL.
func TestSylpheed(t *testing.T) {
	sylpheed := peers.Need(t, "sylpheed")
	display := openDisplay(t)
	program{
		remembers: true,
		stored: func(a account, message string) string {
			message, _, _ = strings.Cut(unix(a, message), "\x00")
			return message
		},
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			runSylpheed(t, display, sylpheed, r)
			return readMH(t, filepath.Join(r.out, "Mail", "inbox"))
		},
	}.collects(t)
}

// runSylpheed collects once. The output is what Sylpheed says; it has no exit code.
func runSylpheed(t *testing.T, display, sylpheed string, r run) result {
	t.Helper()
	config := filepath.Join(r.home, "config")
	sylpheedAccount(t, r, config, "inbox")
	writeFile(t, filepath.Join(config, "sylpheedrc"), "[Common]\nauto_update_check=0\nno_receive_error_panel=1\n")
	certificate, err := os.ReadFile(r.ca)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(config, "trust.crt"), string(certificate))
	return result{output: windowed{display, sylpheed, []string{"--configdir", config}, regexp.MustCompile(`(?m)^session \(.*destroyed$`)}.collect(t, r.home)}
}

// TestClawsMail: in its window.
func TestClawsMail(t *testing.T) {
	claws := peers.Need(t, "claws-mail")
	display := openDisplay(t)
	program{
		stored: unix, remembers: true,
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			runClaws(t, display, claws, r)
			return readMH(t, filepath.Join(r.out, "Mail", "inbox"))
		},
	}.collects(t)
}

// runClaws collects once. The output is what Claws Mail says; it has no exit code.
func runClaws(t *testing.T, display, claws string, r run) result {
	t.Helper()
	config := filepath.Join(r.home, "config")
	sylpheedAccount(t, r, config, "#mh/Mailbox/inbox")
	writeFile(t, filepath.Join(config, "clawsrc"), "[Common]\nno_receive_error_panel=1\n")
	text, err := os.ReadFile(r.ca)
	if err != nil {
		t.Fatal(err)
	}
	certificate, _ := pem.Decode(text)
	if certificate == nil {
		t.Fatalf("%s holds no certificate", r.ca)
	}
	if err := os.MkdirAll(filepath.Join(config, "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(config, "certs", "localhost."+r.port+".cert"), string(certificate.Bytes))
	return result{output: windowed{display, claws, []string{"--alternate-config-dir", config}, regexp.MustCompile(`(?m)session \(.*destroyed$`)}.collect(t, r.home)}
}
