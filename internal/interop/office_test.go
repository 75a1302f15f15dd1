// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// restanted is the path of the command, built by TestMain for this run.
var restanted string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	restanted = filepath.Join(dir, "restanted")
	if out, err := exec.Command("go", "build", "-o", restanted, "restante.example/cmd/restanted").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building restanted: %v\n%s", err, out)
		return 1
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.Dir}}{{end}}{{end}}", "restante.example/cmd/restanted").Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "go list:", err)
		return 1
	}
	sources = strings.Fields(string(out))
	return m.Run()
}

// sources are the folders that restanted is built from.
var sources []string

// lookAtSources makes go test see that a test depends on them: it keeps a result
// for as long as the folders that the test has looked into are the same.
func lookAtSources(t *testing.T) {
	t.Helper()
	for _, dir := range sources {
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// patience is how long a program may take for what it does in milliseconds on an
// idle machine. What is broken shows by its exit or its output long before.
const patience = 60 * time.Second

// sender is who all mail of the tests is from.
const sender = "bea@example.net"

// office is a running restanted.
type office struct {
	data string
	log  *logBuffer
	// Where it listens, from its ready file.
	POP3    string
	POP3S   string
	LMTP    string
	Metrics string
	CAFile  string `json:"ca_file"`

	process *os.Process // nil once it has ended
	ended   chan error
}

// openOffice starts restanted with a new data directory; it is ended with the
// test, in good order or the test fails.
func openOffice(t *testing.T, flags ...string) *office {
	t.Helper()
	return startOffice(t, peers.Dir(t), "", flags...)
}

// startOffice starts restanted with its data in dir/data, which is made where it
// is not there, and with more in its configuration.
func startOffice(t *testing.T, dir, more string, flags ...string) *office {
	t.Helper()
	lookAtSources(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	o := &office{data: data, log: newLogBuffer()}
	config, ready := filepath.Join(dir, "restanted.toml"), filepath.Join(dir, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	writeFile(t, config, fmt.Sprintf("data = %q\nlog_format = \"json\"\nlog_level = \"debug\"\nhostname = \"localhost\"\n%s\n", data, more))
	args := append([]string{"serve", "--insecure-serve-as-root", "--config", config, "--ready-file", ready}, flags...)
	if !strings.Contains(more, "[[listener]]") { // which flags would push aside
		args = append(args, "--pop3", "127.0.0.1:0", "--pop3s", "127.0.0.1:0")
	}
	cmd := exec.Command(restanted, args...)
	cmd.Stdout, cmd.Stderr = o.log, o.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o.process, o.ended = cmd.Process, make(chan error, 1)
	go func() { o.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if o.process != nil {
			o.end(t, syscall.SIGTERM)
		}
		if t.Failed() {
			t.Logf("restanted said:\n%s", o.log)
		}
	})
	waitFor(t, "the ready file", func() bool {
		select {
		case err := <-o.ended:
			o.ended <- err
			t.Fatalf("restanted ended: %v\n%s", err, o.log)
		default:
		}
		text, err := os.ReadFile(ready)
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		if err == nil {
			err = json.Unmarshal(text, o)
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	return o
}

// end ends restanted by a signal; by SIGTERM in good order, or the test fails.
func (o *office) end(t *testing.T, by syscall.Signal) {
	t.Helper()
	process := o.process
	o.process = nil
	if err := process.Signal(by); err != nil {
		t.Errorf("restanted ended before its time: %v", err)
		return
	}
	select {
	case err := <-o.ended:
		if by == syscall.SIGTERM && err != nil {
			t.Errorf("restanted: %v", err)
		}
	case <-time.After(patience):
		t.Error("restanted does not end")
		if err := process.Kill(); err != nil {
			t.Error(err)
		}
	}
}

// signal sends restanted a signal that does not end it.
func (o *office) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := o.process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// password is that of every user; it has in it what configuration files quote.
const password = `open sesame #1%`

// account is what a person types into a mail program.
type account struct {
	user     string
	password string
	// TLS is "none", "stls" or "implicit".
	tls  string
	port string
	ca   string
	// mechanism is how the program is told to sign in; "" is as it does by itself.
	mechanism string
	// certificate and key are files of the person's own, or empty.
	certificate, key string
}

// add adds the user and returns the settings to reach the mail.
func (o *office) add(t *testing.T, user, tls string) account {
	t.Helper()
	o.run(t, password+"\n", "user", "add", user, "--password-stdin")
	return o.reach(t, user, tls)
}

// reach returns the settings to reach the mail of a user.
func (o *office) reach(t *testing.T, user, tls string) account {
	t.Helper()
	address := o.POP3
	if tls == "implicit" {
		address = o.POP3S
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return account{user: user, password: password, tls: tls, port: port, ca: o.CAFile}
}

// deliver takes a message in through the pipe.
func (o *office) deliver(t *testing.T, message string, users ...string) {
	t.Helper()
	o.run(t, message, append([]string{"deliver", "-f", sender}, users...)...)
}

// run runs a command of restanted on the office.
func (o *office) run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), restanted, append(args, "--data", o.data)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("restanted %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// held returns what lies in the Maildir of a user, whatever the server says of
// it.
func (o *office) held(t *testing.T, user string) []string {
	t.Helper()
	local, domain, _ := strings.Cut(user, "@")
	return readMaildir(t, filepath.Join(o.data, "mail", domain, local, "Maildir"))
}

// session is the line that restanted logs of a session that has ended.
type session struct {
	Msg, User, Remote, TLS, Mechanism, End string
	Retrieved, Top, Deleted, Left          int
}

// sessions returns the sessions of a user that have ended.
func (o *office) sessions(t *testing.T, user string) []session {
	t.Helper()
	var list []session
	for line := range strings.Lines(o.log.String()) {
		var s session
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("the log has %q: %v", line, err)
		}
		if s.Msg == "session ended" && s.User == user {
			list = append(list, s)
		}
	}
	return list
}

// readMaildir returns the messages of a Maildir, in no particular order.
func readMaildir(t *testing.T, path string) []string {
	t.Helper()
	messages := []string{}
	for _, sub := range []string{"new", "cur"} {
		messages = append(messages, readDir(t, filepath.Join(path, sub))...)
	}
	return messages
}

// readDir returns what the files of a directory hold; none where it is not
// there.
func readDir(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(path, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	return list
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// background runs a server of others until the end of the test, and waits until it
// is ready.
func background(t *testing.T, name string, cmd *exec.Cmd, ready func() bool) {
	t.Helper()
	said := newLogBuffer()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s ended before its time: %v", name, err)
		}
		select {
		case <-ended: // by the signal
		case <-time.After(patience):
			t.Errorf("%s does not end", name)
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said)
		}
	})
	waitFor(t, name, ready)
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// logBuffer collects whole lines of output and may be read meanwhile.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func newLogBuffer() *logBuffer { return &logBuffer{} }

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns the lines that are whole.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.buf.String()
	return text[:strings.LastIndexByte(text, '\n')+1]
}
