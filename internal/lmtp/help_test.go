// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"restante.example/internal/intake"
	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// newOffice returns a store and directory with the users ana and bob.
func newOffice(onOp func(pop3mem.Op, maildrop.ID) error) *pop3mem.Store {
	office := pop3mem.New(&pop3mem.Options{OnOp: onOp})
	office.AddUser("ana", "")
	office.AddUser("bob", "")
	return office
}

func optionsFor(office *pop3mem.Store, maxSize int64) *Options {
	return &Options{
		Intake:   intake.New(office, office, &intake.Options{MaxSize: maxSize}),
		Hostname: "office.example",
	}
}

// pipes is a listener whose connections are made in memory, so that it works in
// a synctest bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() *client {
	a, b := net.Pipe()
	p.conns <- b
	return newClient(a)
}

// client is the sender's side of a conversation.
type client struct {
	net.Conn
	in *bufio.Reader
}

func newClient(conn net.Conn) *client { return &client{conn, bufio.NewReader(conn)} }

// line returns the next line without its CRLF, or "EOF" at the end.
func (c *client) line() string {
	s, err := c.in.ReadString('\n')
	switch {
	case err == nil && strings.HasSuffix(s, "\r\n"):
		return strings.TrimSuffix(s, "\r\n")
	case s == "" && (err == io.EOF || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed)):
		return "EOF"
	}
	return "broken line " + s
}

// reply returns the last line of the next reply.
func (c *client) reply() string {
	for {
		s := c.line()
		if len(s) < 4 || s[3] != '-' {
			return s
		}
	}
}

func (c *client) send(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("sending %.60q: %v", text, err)
	}
}

// say sends a command and wants a reply that begins with want.
func (c *client) say(t testing.TB, command, want string) {
	t.Helper()
	c.send(t, command+"\r\n")
	c.want(t, want)
}

func (c *client) want(t testing.TB, want string) {
	t.Helper()
	if got := c.reply(); !strings.HasPrefix(got, want) {
		t.Fatalf("got the reply %q, want %q", got, want)
	}
}

// hello reads the greeting and begins a message for the recipients.
func (c *client) hello(t testing.TB, recipients ...string) {
	t.Helper()
	c.want(t, "220 ")
	c.say(t, "LHLO client.example", "250 ")
	if len(recipients) == 0 {
		return
	}
	c.say(t, "MAIL FROM:<sender@example.net>", "250 2.1.0")
	for _, r := range recipients {
		c.say(t, "RCPT TO:<"+r+">", "250 2.1.5")
	}
}

// start serves on a Unix socket until the test ends, and returns how to dial.
func start(t testing.TB, opts *Options) (*Server, func() *client) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(opts)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s, func() *client {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return newClient(conn)
	}
}

// texts returns the messages of a user.
func texts(office *pop3mem.Store, user string) []string {
	var list []string
	for _, m := range office.Messages(user) {
		list = append(list, string(m.Data))
	}
	return list
}
