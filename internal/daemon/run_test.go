// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/cert"
	"restante.example/internal/config"
)

// logBuffer is a log that a server writes and a test reads.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// life is a server that Run runs.
type life struct {
	server  *Server
	log     *logBuffer
	signals chan os.Signal
	ended   chan error
	conf    *config.Config
	hurry   context.CancelFunc
}

func testConfig(t *testing.T, flags config.Flags) *config.Config {
	t.Helper()
	if flags.Data == "" {
		flags.Data = filepath.Join(t.TempDir(), "data")
	}
	flags.POP3, flags.POP3S, flags.LMTP = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c, err := config.Load("", flags, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// begin runs a server; the test ends it, or its end does.
func begin(t *testing.T, c *config.Config) (Ready, *life) {
	t.Helper()
	l := &life{log: &logBuffer{}, signals: make(chan os.Signal, 4), ended: make(chan error, 1), conf: c}
	server, err := Open(t.Context(), c, NewLog(l.log, c), "test")
	if err != nil {
		t.Fatal(err)
	}
	l.server = server
	ready := server.Ready()
	ctx, stop := context.WithCancel(context.Background())
	hurry, now := context.WithCancel(context.Background())
	l.hurry = now
	closed := make(chan struct{})
	go func() {
		l.ended <- server.Serve(ctx, hurry)
		close(closed)
	}()
	go func() {
		for range l.signals {
			stop()
		}
	}()
	t.Cleanup(func() {
		stop()
		now()
		close(l.signals)
		<-closed // it saves what it has learnt
	})
	return ready, l
}

func (l *life) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-l.ended:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the server does not end:\n%s", l.log)
	}
}

// peer is a plain client.
type peer struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

func dial(t *testing.T, address string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &peer{conn, bufio.NewReader(conn), t}
}

func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads lines up to one that begins with the text.
func (p *peer) expect(text string) {
	p.t.Helper()
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			p.t.Fatalf("waiting for %q: %v", text, err)
		}
		if strings.HasPrefix(line, text) {
			return
		}
	}
}

func addUser(t *testing.T, s *Server, name string) {
	t.Helper()
	if err := s.Operations().Call(t.Context(), OpUserAdd, UserArgs{Name: name, Password: "secret"}, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// A message that is on its way when the server stops is taken in and answered.
func TestStoppingFinishesWhatGoesOn(t *testing.T) {
	ready, l := begin(t, testConfig(t, config.Flags{}))
	addUser(t, l.server, "ana")
	idle := dial(t, ready.POP3)
	idle.say("USER ana\r\nPASS secret\r\n")
	idle.expect("+OK 0 messages")
	lmtp := dial(t, ready.LMTP)
	lmtp.say("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ana@localhost>\r\nDATA\r\n")
	lmtp.expect("354")
	lmtp.say("Subject: x\r\n\r\nhalf")
	l.signals <- syscall.SIGTERM
	idle.expect("-ERR [SYS/TEMP]") // so the server is stopping now
	lmtp.say(" and whole\r\n.\r\n")
	lmtp.expect("250 2.1.5")
	l.wait(t)
	if _, err := net.Dial("tcp", ready.POP3); err == nil {
		t.Error("the server still listens")
	}
	files, err := filepath.Glob(filepath.Join(l.conf.Data, "mail", "ana", "Maildir", "new", "*"))
	if err != nil || len(files) != 1 {
		t.Errorf("%d messages are there, %v", len(files), err)
	}
}

// A client that does not come to its end holds the server only as long as the
// operator is patient.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	c := testConfig(t, config.Flags{})
	c.Timeouts.Drain = config.Duration(time.Hour)
	ready, l := begin(t, c)
	addUser(t, l.server, "ana")
	lmtp := dial(t, ready.LMTP)
	lmtp.say("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ana@localhost>\r\nDATA\r\n")
	lmtp.expect("354")
	idle := dial(t, ready.POP3)
	idle.expect("+OK")
	l.signals <- syscall.SIGTERM
	idle.expect("-ERR")
	l.hurry()
	l.wait(t)
	if !strings.Contains(l.log.String(), "ended before their time") {
		t.Errorf("the log does not say so:\n%s", l.log)
	}
}

// Run reads the configuration again at SIGHUP and ends at the next signal.
func TestRunAnswersSignals(t *testing.T) {
	c := testConfig(t, config.Flags{})
	log := &logBuffer{}
	signals := make(chan os.Signal)
	file := filepath.Join(t.TempDir(), "ready")
	loads := make(chan struct{})
	ended := make(chan error)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "n")})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	go func() {
		ended <- Run(context.Background(), c, RunOptions{Log: NewLog(log, c), Version: "test", Signals: signals, ReadyFile: file, InsecureAsRoot: true,
			Getenv: func(name string) string {
				return map[string]string{"NOTIFY_SOCKET": manager.LocalAddr().String()}[name]
			},
			Load: func() (*config.Config, error) {
				loads <- struct{}{}
				return nil, config.Problems{{File: "f", Line: 1, Text: "first"}, {File: "f", Line: 2, Text: "second"}}
			}})
	}()
	signals <- syscall.SIGHUP
	<-loads
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"READY=1\nSTATUS=serving pop3s 127.0.0.1:", "RELOADING=1", "READY=1\nSTATUS=serving pop3s 127.0.0.1:",
		"STOPPING=1\nSTATUS=waiting for sessions to end\nEXTEND_TIMEOUT_USEC=40000000"} {
		buf := make([]byte, 1000)
		n, err := manager.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), want) {
			t.Errorf("the service manager was told %q, %v; want %q", buf[:n], err, want)
		}
	}
	for _, want := range []string{"f:1: first", "f:2: second"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, log)
		}
	}
}

// A reload puts limits and the certificate in force for new connections.
func TestReload(t *testing.T) {
	c := testConfig(t, config.Flags{})
	ready, l := begin(t, c)
	addUser(t, l.server, "ana")
	old := dial(t, ready.POP3)
	old.expect("+OK")

	dir := t.TempDir()
	other, err := cert.SelfSigned(dir, []string{"localhost"}, l.server.log.Logger)
	if err != nil {
		t.Fatal(err)
	}
	next := *c
	next.ClearText = config.ClearTextNever
	next.TraceUsers = []string{"Ana"}
	next.TLS.CertFile, next.TLS.KeyFile = filepath.Join(dir, "self-signed.key"), filepath.Join(dir, "self-signed.key")
	bad := next
	bad.TLS.KeyFile = filepath.Join(dir, "none")
	if err := l.server.Reload(func() (*config.Config, error) { return &bad, nil }); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a certificate without a key: %v", err)
	}
	refused := dial(t, ready.POP3)
	refused.say("USER ana\r\nPASS secret\r\nQUIT\r\n")
	refused.expect("+OK 0 messages")

	if err := l.server.Reload(func() (*config.Config, error) { return &next, nil }); err != nil {
		t.Fatal(err)
	}
	if got := *l.server.traced.Load(); !slices.Equal(got, []string{"ana"}) {
		t.Errorf("traced are %q, want the directory's form of the name", got)
	}
	old.say("USER ana\r\nPASS secret\r\nQUIT\r\n")
	old.expect("+OK 0 messages")
	fresh := dial(t, ready.POP3)
	fresh.say("USER ana\r\nPASS secret\r\n")
	fresh.expect("-ERR")
	conn, err := tls.Dial("tcp", ready.POP3S, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := cert.Fingerprint(&tls.Certificate{Certificate: [][]byte{conn.ConnectionState().PeerCertificates[0].Raw}}); got != other.Fingerprint() {
		t.Error("the new certificate is not shown")
	}
}
