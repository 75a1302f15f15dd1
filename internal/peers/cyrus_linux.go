// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Cyrus starts Cyrus's POP3 server with a mailbox that holds the messages, in
// CRLF line ends whatever theirs are; they must not hold a lone CR or a NUL. It
// offers STLS, POP3S, PLAIN and LOGIN. It needs root.
func Cyrus(t testing.TB, messages []string) *POP3Server {
	t.Helper()
	tree := unpacked(t, "cyrus")
	uid, gid := owner(t)
	j := newJail(t, tree, uid, gid)
	const bin = "/usr/lib/cyrus/bin/"
	j.take(t, bin+"master", bin+"pop3d", bin+"imapd", bin+"ctl_cyrusdb")
	for _, name := range []string{"libplain.so", "liblogin.so"} {
		found, err := filepath.Glob("/usr/lib/*/sasl2/" + name)
		if err != nil || len(found) == 0 {
			Missing(t, "there is no SASL plugin %s: apt-get install libsasl2-modules, or ./check", name)
		}
		j.take(t, found[0])
	}
	cert, key := certificate(t, Dir(t))
	j.put(t, cert, "/etc/cert.pem", uid, gid)
	j.put(t, key, "/etc/key.pem", uid, gid)
	for _, dir := range []string{"/var/lib/cyrus", "/var/lib/cyrus/socket", "/var/lib/cyrus/db", "/var/spool/cyrus/mail", "/run/saslauthd"} {
		if err := os.MkdirAll(j.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"/var/lib/cyrus", "/var/spool/cyrus"} {
		give(t, j.path(dir), uid, gid)
	}
	// It does not start where it finds no time zone.
	j.write(t, "/usr/share/zoneinfo/zone.tab", "GB\t+513030-0000731\tEurope/London\n", 0o644)
	pop3, pop3s, imap := Port(t), Port(t), Port(t)
	j.write(t, "/etc/imapd.conf", `configdirectory: /var/lib/cyrus
defaultpartition: default
partition-default: /var/spool/cyrus/mail
allowplaintext: yes
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: /run/saslauthd/mux
sasl_mech_list: PLAIN LOGIN
autocreate_quota: 0
expunge_mode: immediate
tls_server_cert: /etc/cert.pem
tls_server_key: /etc/key.pem
`, 0o644)
	j.write(t, "/etc/cyrus.conf", fmt.Sprintf(`START {
  recover cmd="%[1]sctl_cyrusdb -r"
}
SERVICES {
  pop3 cmd="%[1]spop3d" listen="127.0.0.1:%[2]d"
  pop3s cmd="%[1]spop3d -s" listen="127.0.0.1:%[3]d"
  imap cmd="%[1]simapd" listen="127.0.0.1:%[4]d"
}
EVENTS {
}
`, bin, pop3, pop3s, imap), 0o644)
	saslauthd(t, j.path("/run/saslauthd/mux"))
	launch(t, local(imap), j.command([]string{"CYRUS_USER=" + theUser}, bin+"master", "-C", "/etc/imapd.conf", "-M", "/etc/cyrus.conf", "-p", "/run/master.pid"))

	box := dialIMAP(t, local(imap))
	for _, text := range messages {
		box.append(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"))
	}
	box.close()
	return &POP3Server{
		Addr: local(pop3), TLSAddr: local(pop3s), CA: cert, User: theUser, Password: thePassword,
		Left: func() []string {
			box := dialIMAP(t, local(imap))
			defer box.close()
			return box.fetch()
		},
	}
}

// saslauthd answers at a socket whether a name and a password are right: the
// request is four strings (name, password, service, realm), each behind its
// length in two octets, and so is the answer.
func saslauthd(t testing.TB, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answer := func(conn net.Conn) {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		var words [4]string
		for i := range words {
			var length [2]byte
			if _, err := io.ReadFull(conn, length[:]); err != nil {
				return // the server sees no answer
			}
			word := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(conn, word); err != nil {
				return
			}
			words[i] = string(word)
		}
		if words[0] == theUser && words[1] == thePassword {
			io.WriteString(conn, "\x00\x02OK")
		} else {
			io.WriteString(conn, "\x00\x02NO")
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed at the end of the test
			}
			go answer(conn)
		}
	}()
}

// imapBox is as much IMAP as it takes to put messages into an INBOX and to see
// what is there.
type imapBox struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dialIMAP(t testing.TB, address string) *imapBox {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	box := &imapBox{t, conn, bufio.NewReader(conn)}
	box.line()
	box.say("a LOGIN %s \"%s\"", theUser, thePassword)
	return box
}

func (b *imapBox) close() {
	b.say("a LOGOUT")
	b.conn.Close()
}

func (b *imapBox) line() string {
	b.t.Helper()
	s, err := b.in.ReadString('\n')
	if err != nil {
		b.t.Fatalf("IMAP: %q, %v", s, err)
	}
	return strings.TrimSuffix(s, "\r\n")
}

// say sends a command, and returns the literals of its answer.
func (b *imapBox) say(format string, args ...any) []string {
	b.t.Helper()
	if _, err := fmt.Fprintf(b.conn, format+"\r\n", args...); err != nil {
		b.t.Fatalf("IMAP: %v", err)
	}
	var literals []string
	for {
		line := b.line()
		if strings.HasPrefix(line, "a ") {
			if !strings.HasPrefix(line, "a OK") {
				b.t.Fatalf("IMAP: %s was answered %q", format, line)
			}
			return literals
		}
		if strings.HasPrefix(line, "+") {
			return nil
		}
		var size int
		if open := strings.LastIndexByte(line, '{'); open >= 0 && strings.HasSuffix(line, "}") {
			if _, err := fmt.Sscanf(line[open:], "{%d}", &size); err != nil {
				b.t.Fatalf("IMAP: %q: %v", line, err)
			}
			text := make([]byte, size)
			if _, err := io.ReadFull(b.in, text); err != nil {
				b.t.Fatalf("IMAP: %v", err)
			}
			literals = append(literals, string(text))
		}
	}
}

func (b *imapBox) append(text string) {
	b.t.Helper()
	b.say("a APPEND INBOX {%d}", len(text))
	b.say("%s", text)
}

func (b *imapBox) fetch() []string {
	b.t.Helper()
	b.say("a SELECT INBOX")
	return b.say("a UID FETCH 1:* BODY.PEEK[]")
}
