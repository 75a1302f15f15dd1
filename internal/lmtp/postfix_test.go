// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"restante.example/internal/peers"
	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// letters are those nasty messages that SMTP lets pass as they are.
var letters = []string{
	"Subject: plain\r\n\r\nhello\r\n",
	"Subject: empty body\r\n\r\n",
	"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n...\r\n\r\n.\r\n",
	"Subject: 8-bit\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9\xff\xfe\x80\r\n",
	"Subject: raw \xe9 header\r\n\r\nx\r\n",
	"Subject: long lines\r\n\r\n" + strings.Repeat("x", 1000) + "\r\n" + strings.Repeat("y", 100_000) + "\r\n",
	"Subject: 10 MB\r\n\r\n" + strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 140_000),
}

// TestPostfixDelivers: Postfix as it comes with Debian hands its mail to us.
func TestPostfixDelivers(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) { postfixDelivers(t, network) })
	}
}

func postfixDelivers(t *testing.T, network string) {
	office := newOffice(func(op pop3mem.Op, id maildrop.ID) error {
		if op == pop3mem.OpStore && id == "broken" {
			return errors.New("disk of the inside")
		}
		return nil
	})
	office.AddUser("broken", "")
	office.AddUser("sender", "")

	address, transport := "127.0.0.1:0", "lmtp:inet:"
	if network == "unix" {
		address, transport = filepath.Join(peers.Dir(t), "lmtp"), "lmtp:unix:"
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s := New(optionsFor(office, 0))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-served
	}()
	postfix := peers.Postfix(t, transport+l.Addr().String())

	for _, letter := range letters {
		submit(t, postfix.SMTP, letter, "ana@example.org", "bob+detail@example.org")
	}
	submit(t, postfix.SMTP, letters[0], "nobody@example.org", "broken@example.org", "ana@example.org")
	eventually(t, postfix, "every letter to arrive, and the bounce", func() bool {
		return len(office.Messages("ana")) == len(letters)+1 && len(office.Messages("bob")) == len(letters) &&
			len(office.Messages("sender")) == 1
	})

	for user, to := range map[string]string{"ana": "ana@example.org", "bob": "bob+detail@example.org"} {
		var bodies []string
		for _, text := range texts(office, user) {
			bodies = append(bodies, asSent(t, text, to))
		}
		for i, letter := range letters {
			if n := count(bodies, letter); n != map[bool]int{true: 2, false: 1}[i == 0 && user == "ana"] {
				t.Errorf("%s has letter %d (%.30q) %d times", user, i, letter, n)
			}
		}
	}

	bounce := texts(office, "sender")[0]
	if !strings.HasPrefix(bounce, "Return-Path: <>\r\nDelivered-To: sender@example.org\r\n") ||
		!strings.Contains(bounce, "550 5.1.1") || strings.Contains(bounce, "broken@example.org") {
		t.Errorf("the bounce for an unknown user is\n%s", bounce)
	}
	queue := postfix.Queue(t)
	if !strings.Contains(queue, `"broken@example.org"`) || !strings.Contains(queue, "451 4.3.0") ||
		strings.Contains(queue, "ana@example.org") || strings.Contains(queue, "inside") {
		t.Errorf("the queue holds %s", queue)
	}
}

func count(list []string, s string) int {
	n := 0
	for _, l := range list {
		if l == s {
			n++
		}
	}
	return n
}

var received = regexp.MustCompile(`^Received: [^\r\n]*\r\n([ \t][^\r\n]*\r\n)*`)

// asSent takes off what we and Postfix have added.
func asSent(t *testing.T, text, to string) string {
	ours := "Return-Path: <sender@example.org>\r\nDelivered-To: " + to + "\r\n"
	rest, ok := strings.CutPrefix(text, ours)
	if !ok || !received.MatchString(rest) {
		t.Fatalf("a message begins with %.300q", text)
	}
	return rest[len(received.FindString(rest)):]
}

// submit gives a message to an SMTP server.
func submit(t *testing.T, address, letter string, to ...string) {
	t.Helper()
	c, err := smtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func() error {
		if err := c.Mail("sender@example.org", &smtp.MailOptions{Body: smtp.Body8BitMIME}); err != nil {
			return err
		}
		for _, r := range to {
			if err := c.Rcpt(r, nil); err != nil {
				return fmt.Errorf("%s: %w", r, err)
			}
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte(letter)); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		return c.Quit()
	}
	if err := send(); err != nil {
		t.Fatalf("Postfix would not take %.30q: %v", letter, err)
	}
}

// eventually waits for what another program does, in its own time.
func eventually(t *testing.T, postfix *peers.PostfixServer, what string, done func() bool) {
	t.Helper()
	for range 600 {
		if done() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("waited for %s in vain; Postfix says\n%s", what, postfix.Log(t))
}
