// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"restante.example/internal/peers"
)

// utf8Letter has a header in UTF-8, and was sent with SMTPUTF8.
func utf8Letter() letter {
	return letter{"utf8", "From: José <josé@bücher.example>\r\nSubject: mañana\r\n\r\n.¡hola!\r\n"}
}

// deliverUTF8 takes a message in by LMTP as a mail server does that says SMTPUTF8.
func (o *office) deliverUTF8(t *testing.T, message, user string) {
	t.Helper()
	conn, err := net.Dial("tcp", o.LMTP)
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	if err := c.Mail(sender, &smtp.MailOptions{UTF8: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt(user, nil); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, message); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// utf8Office has a letter that was sent with SMTPUTF8 between two others, the
// first of which has 8-bit octets in its header too, and returns them as they are
// to be collected.
func utf8Office(t *testing.T, tls string) (*office, account, []string) {
	t.Helper()
	o := openOffice(t, "--lmtp", "127.0.0.1:0")
	a := o.add(t, "josé@bücher.example", tls)
	raw := header("raw") + "X-Latin: ma\xf1ana\r\n\r\n8-bit \xe9\r\n"
	o.deliver(t, raw, a.user)
	o.deliverUTF8(t, utf8Letter().text, a.user)
	o.deliver(t, corpus()[0].text, a.user)
	return o, a, []string{wire(a.user, raw), wire(a.user, utf8Letter().text), wire(a.user, corpus()[0].text)}
}

// TestPoplibUTF8: Python's, by a name in UTF-8, with UTF8 and without.
func TestPoplibUTF8(t *testing.T) {
	t.Parallel()
	python := peers.Need(t, "python3")
	o, a, all := utf8Office(t, "implicit")
	path, _, _ := strings.Cut(strings.Join(scriptArgs(t, run{}, "utf8.py"), " "), " ")
	for mode, want := range map[string][]string{"utf8": all, "ascii": {all[0], all[2]}} {
		out := newDir(t)
		refused := execute(t, newDir(t), a.password, python, path, a.port, a.user, a.ca, out, mode).must(t, 0).output
		if refused != map[string]string{"utf8": "", "ascii": "2\n"}[mode] {
			t.Errorf("%s: refused %q", mode, refused)
		}
		same(t, mode, readDir(t, out), want)
	}
	same(t, "on the server", o.held(t, a.user), all)
}

// TestRestanteCollectsUTF8: restante says UTF8 and gets everything.
func TestRestanteCollectsUTF8(t *testing.T) {
	t.Parallel()
	restante(t)
	o, a, all := utf8Office(t, "implicit")
	c := newCaller(t, newDir(t), o.POP3S, "implicit", a.ca, a.user, a.password)
	to, path := c.place("maildir", "Mail")
	says(t, c.fetch(t, "--to", to, "--delete"), "collected 3 messages")
	same(t, "collected", readMaildir(t, path), unixAll(all))
	same(t, "on the server", o.held(t, a.user), nil)
}

// TestRestanteCollectsUTF8FromCourier, which sends something else in the place of
// such a message to who has not said UTF8.
func TestRestanteCollectsUTF8FromCourier(t *testing.T) {
	t.Parallel()
	restante(t)
	letters := unixAll([]string{utf8Letter().text, corpus()[0].text})
	server := peers.Courier(t, letters)
	if sent := retr(t, server, 1); !strings.Contains(sent, "message/global") {
		t.Errorf("Courier sends the same without UTF8: %q", sent)
	}
	c := callerOf(t, server, "stls")
	to, path := c.place("maildir", "Mail")
	says(t, c.fetch(t, "--to", to, "--delete"), "collected 2 messages")
	same(t, "collected", readMaildir(t, path), letters)
	same(t, "left on the server", server.Left(), nil)
}

// retr returns what a server sends for a message without UTF8.
func retr(t *testing.T, server *peers.POP3Server, n int) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	in, line := bufio.NewReader(conn), ""
	for _, command := range []string{"", "USER " + server.User, "PASS " + server.Password, fmt.Sprintf("RETR %d\r\nQUIT", n)} {
		if command != "" {
			fmt.Fprintf(conn, "%s\r\n", command)
		}
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return line + string(text)
}

// TestProgramsWithoutUTF8: programs that do not know UTF8 leave on the server what
// is refused to them. fetchmail goes on behind it, mpop stops there.
func TestProgramsWithoutUTF8(t *testing.T) {
	mpop, fetchmail := peers.Need(t, "mpop"), peers.Need(t, "fetchmail")
	t.Run("fetchmail", func(t *testing.T) {
		t.Parallel()
		o, a, all := utf8Office(t, "implicit")
		r := run{account: a, home: newDir(t), out: newDir(t), remove: true}
		fetch(t, fetchmail, r).must(t, 0)
		same(t, "collected", readDir(t, r.out), unixAll([]string{all[0], all[2]}))
		same(t, "on the server", o.held(t, a.user), all[1:2])
	})
	t.Run("mpop", func(t *testing.T) {
		t.Parallel()
		o, a, all := utf8Office(t, "implicit")
		r := run{account: a, home: newDir(t), out: newDir(t), remove: true}
		result := runMpop(t, mpop, r).must(t, 76) // EX_PROTOCOL
		if !strings.Contains(result.output, "[UTF8]") {
			t.Errorf("mpop does not say why: %s", result.output)
		}
		same(t, "on the server", o.held(t, a.user), all)
	})
}
