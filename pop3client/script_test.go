// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"restante.example/pop3"
)

// script plays a server from a conversation in lines of "S: " and "C: ". Each
// "S: " line is sent with CRLF, "s: " as it stands in Go syntax, and each
// "C: " line must come exactly so. At its end the connection is closed.
func script(t *testing.T, conversation string) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() {
		defer server.Close()
		done <- play(server, conversation)
	}()
	t.Cleanup(func() {
		_ = client.Close()
		if err := <-done; err != nil {
			t.Errorf("conversation: %v", err)
		}
	})
	return client
}

func play(server net.Conn, conversation string) error {
	if err := server.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	r := bufio.NewReader(server)
	for line := range strings.SplitSeq(strings.TrimSpace(conversation), "\n") {
		line = strings.TrimLeft(line, "\t ")
		text := line[min(3, len(line)):]
		switch {
		case line == "":
		case strings.HasPrefix(line, "S:"):
			if _, err := io.WriteString(server, text+"\r\n"); err != nil {
				return fmt.Errorf("sending %q: %w", text, err)
			}
		case strings.HasPrefix(line, "s:"):
			raw := strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00", `\e`, "\x1b").Replace(text)
			if _, err := io.WriteString(server, raw); err != nil {
				return fmt.Errorf("sending %q: %w", raw, err)
			}
		case strings.HasPrefix(line, "C:"):
			got, err := r.ReadString('\n')
			if err != nil {
				return fmt.Errorf("waiting for %q: %w", text, err)
			}
			if got != text+"\r\n" {
				return fmt.Errorf("got %q, want %q", got, text)
			}
		case line == "X: the client leaves":
			_, err := r.ReadByte()
			if err == nil {
				return errors.New("the client said something")
			}
			return nil
		default:
			return fmt.Errorf("line %q", line)
		}
	}
	return nil
}

// clear is a server in clear text that is trusted with the password.
var clear = &Options{InsecurePassword: true, SkipCapabilities: true}

const signedIn = `
	S: +OK ready
	C: USER u1
	S: +OK
	C: PASS secret
	S: +OK
	`

var u1 = Credentials{User: "u1", Password: "secret"}

// scripted returns a client that is signed in.
func scripted(t *testing.T, opt *Options, conversation string) *Client {
	t.Helper()
	return signingIn(t, opt, signedIn+conversation)
}

// signingIn returns a client that has signed in, as the conversation begins.
func signingIn(t *testing.T, opt *Options, conversation string) *Client {
	t.Helper()
	c, err := New(t.Context(), script(t, conversation), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConversation(t *testing.T) {
	c := scripted(t, clear, `
		C: STAT
		S: +OK 2 320
		C: LIST
		S: +OK
		S: 1 120
		S: 2 200
		S: .
		C: UIDL
		S: +OK
		S: 1 a
		S: 2 b
		S: .
		C: RETR 1
		S: +OK
		S: Subject: x
		S:
		S: ..dot
		S: .
		C: TOP 2 0
		S: +OK
		S: Subject: y
		S:
		S: .
		C: LIST 2
		S: +OK 2 200
		C: UIDL 2
		S: +OK 2 b
		C: DELE 1
		S: +OK
		C: DELE 3
		S: -ERR no such message
		C: RSET
		S: +OK
		C: NOOP
		S: +OK
		C: QUIT
		S: +OK`)
	ctx := t.Context()
	if n, octets, err := c.Stat(ctx); n != 2 || octets != 320 || err != nil {
		t.Fatal(n, octets, err)
	}
	var rows []Row
	for row, err := range c.List(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	for row, err := range c.UIDL(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if got := fmt.Sprint(rows); got != "[{1 120 } {2 200 } {1 -1 a} {2 -1 b}]" {
		t.Fatal(got)
	}
	m, err := c.Retr(ctx, Want{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Noop(ctx); !errors.Is(err, ErrBusy) {
		t.Fatalf("in the middle of a message: %v", err)
	}
	if text, err := io.ReadAll(m); string(text) != "Subject: x\r\n\r\n.dot\r\n" || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	m, err = c.Top(ctx, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if row, err := c.ListOne(ctx, 2); row != (Row{Number: 2, Size: 200}) || err != nil {
		t.Fatal(row, err)
	}
	if row, err := c.UIDLOne(ctx, 2); row != (Row{Number: 2, Size: -1, UID: "b"}) || err != nil {
		t.Fatal(row, err)
	}
	if err := c.Dele(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if refusal, ok := errors.AsType[*pop3.Error](c.Dele(ctx, 3)); !ok || refusal.Command != "DELE" {
		t.Fatal(refusal)
	}
	if err := errors.Join(c.Rset(ctx), c.Noop(ctx), c.Quit(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := c.Noop(ctx); !errors.Is(err, ErrBroken) && !errors.Is(err, ErrState) {
		t.Fatal(err)
	}
}

func TestStates(t *testing.T) {
	c, err := New(context.Background(), script(t, "S: +OK hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.State() != pop3.Authorization || c.Greeting() != "hello" {
		t.Fatal(c.State(), c.Greeting())
	}
	if _, _, err := c.Stat(t.Context()); !errors.Is(err, ErrState) {
		t.Fatal(err)
	}
}

// dialed connects to a server in memory.
func dialed(t *testing.T, d Dialer) net.Conn {
	t.Helper()
	conn, err := d.DialContext(t.Context(), "tcp", "localhost:110")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
