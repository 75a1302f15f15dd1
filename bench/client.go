// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// client is a plain and quick POP3 or LMTP client: it checks what it must and
// spends as little as it can, so that the load is not what is measured.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// sessionBound is when a conversation has to be over.
const sessionBound = 5 * time.Minute

func dial(ctx context.Context, address string, useTLS bool) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	end, ok := ctx.Deadline()
	if !ok || time.Until(end) > sessionBound {
		end = time.Now().Add(sessionBound)
	}
	if err := conn.SetDeadline(end); err != nil {
		return nil, err
	}
	if useTLS {
		// The certificate was made a moment ago for this run, on loopback. No
		// session is taken up again: every handshake is a full one. The key exchange
		// is one that every server has, so that all do the same work.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}})
	}
	c := &client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	if _, err := c.status(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	return c, nil
}

// refusal is an answer that says no.
type refusal string

func (r refusal) Error() string { return fmt.Sprintf("the server said %q", string(r)) }

// session is the shortest one: STAT after the sign-in, and QUIT.
func session(ctx context.Context, in *instance, user int, useTLS bool) error {
	c, err := signIn(ctx, in, user, useTLS)
	if err != nil {
		return err
	}
	if _, err := c.command("STAT"); err != nil {
		c.close()
		return err
	}
	return c.quit()
}

func (c *client) close() { _ = c.conn.Close() }

// status reads a first line and fails unless it begins with +OK or 2xx or 3xx.
func (c *client) status() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if strings.HasPrefix(line, "+OK") || strings.HasPrefix(line, "2") || strings.HasPrefix(line, "3") {
		return line, nil
	}
	return "", refusal(line)
}

func (c *client) send(text string) error {
	_, err := io.WriteString(c.conn, text)
	return err
}

// command sends a command and reads the first line of its answer. An error names
// the command, since it may become a reason below a table.
func (c *client) command(text string) (string, error) {
	verb, _, _ := strings.Cut(text, " ")
	return c.ask(verb, text)
}

// ask is command with another name in its error.
func (c *client) ask(name, text string) (string, error) {
	err := c.send(text + "\r\n")
	line := ""
	if err == nil {
		line, err = c.status()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return line, nil
}

// text reads a multi-line text and returns how many octets and lines it had.
func (c *client) text() (octets, lines int, err error) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return 0, 0, err
		}
		if len(line) == 3 && string(line) == ".\r\n" {
			return octets, lines, nil
		}
		octets += len(line)
		lines++
	}
}

// signIn connects and signs user i in.
func signIn(ctx context.Context, in *instance, user int, useTLS bool) (*client, error) {
	address := in.pop3
	if useTLS {
		address = in.pop3s
	}
	c, err := dial(ctx, address, useTLS)
	if err != nil {
		return nil, err
	}
	for _, command := range []string{"USER u" + strconv.Itoa(user), "PASS " + password} {
		if _, err := c.command(command); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// quit ends a session and the connection.
func (c *client) quit() error {
	defer c.close()
	_, err := c.command("QUIT")
	return err
}

// retrieve gets messages 1 to n with a number of commands ahead, deleting each
// when asked, and returns how many came before the time was over.
func (c *client) retrieve(n, ahead int, remove bool, until time.Time) (got int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("RETR of message %d of %d: %w", got+1, n, err)
		}
	}()
	sent := 0
	for ; got < sent || sent < n && time.Now().Before(until); got++ {
		var b strings.Builder
		for ; sent < min(got+ahead, n) && time.Now().Before(until); sent++ {
			fmt.Fprintf(&b, "RETR %d\r\n", sent+1)
			if remove {
				fmt.Fprintf(&b, "DELE %d\r\n", sent+1)
			}
		}
		if b.Len() > 0 {
			if err := c.send(b.String()); err != nil {
				return got, err
			}
		}
		if got == sent {
			return got, nil
		}
		if _, err := c.status(); err != nil {
			return got, err
		}
		if _, _, err := c.text(); err != nil {
			return got, err
		}
		if remove {
			if _, err := c.status(); err != nil {
				return got, err
			}
		}
	}
	return got, nil
}

// poll is what a mail program asks: STAT, UIDL, LIST.
func (c *client) poll(want int) error {
	if _, err := c.command("STAT"); err != nil {
		return err
	}
	for _, command := range []string{"UIDL", "LIST"} {
		if _, err := c.command(command); err != nil {
			return err
		}
		_, lines, err := c.text()
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		if lines != want {
			return fmt.Errorf("%s has %d rows, want %d", command, lines, want)
		}
	}
	return nil
}

// deliver sends one message by LMTP in a session that is open.
func (c *client) deliver(user int, stuffed string) error {
	if _, err := c.command("MAIL FROM:<bench@example.org>"); err != nil {
		return err
	}
	if _, err := c.command(fmt.Sprintf("RCPT TO:<u%d@example.org>", user)); err != nil {
		return err
	}
	if _, err := c.command("DATA"); err != nil {
		return err
	}
	_, err := c.ask("the message after DATA", stuffed+".")
	return err
}

// lhlo greets an LMTP server.
func (c *client) lhlo() error {
	line, err := c.command("LHLO bench")
	for err == nil && len(line) >= 4 && line[3] == '-' {
		line, err = c.status()
	}
	return err
}
