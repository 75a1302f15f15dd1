// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// nginx is a running mail proxy. It asks a handler where a user's mailbox is, and
// signs in there with USER and PASS, in clear text.
type nginx struct {
	// pop3 and pop3s are its ports; STLS works at the first.
	pop3, pop3s string
	// told is a port that tells the server behind who is there, and that believes
	// whoever connects when it is told the same.
	told string
	ca   string
}

// openNginx starts nginx in front of a port of this machine, and of another one
// that expects a PROXY header; it is ended with the test.
func openNginx(t *testing.T, ca, key, behind, toldBehind string) nginx {
	t.Helper()
	path := peers.Need(t, "nginx")
	const module = "/usr/lib/nginx/modules/ngx_mail_module.so"
	if matches, err := filepath.Glob(module); err != nil || len(matches) == 0 {
		peers.Missing(t, "nginx has no mail proxy here: apt-get install libnginx-mod-mail, or ./check")
	}
	// It authenticates nobody: whoever signs in is sent on, and the server behind
	// says whether the password is right.
	guide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", "127.0.0.1")
		w.Header().Set("Auth-Port", strings.TrimPrefix(r.URL.Path, "/"))
	}))
	t.Cleanup(guide.Close)
	dir := newDir(t)
	port := func() string { return fmt.Sprint(peers.Port(t)) }
	n := nginx{pop3: port(), pop3s: port(), told: port(), ca: ca}
	config := filepath.Join(dir, "nginx.conf")
	writeFile(t, config, fmt.Sprintf(`load_module %[1]s;
daemon off;
master_process off;
pid %[2]s/pid;
error_log stderr info;
events {}
mail {
	server_name localhost;
	ssl_certificate %[3]s;
	ssl_certificate_key %[4]s;
	pop3_capabilities TOP USER UIDL PIPELINING;
	proxy_pass_error_message on;
	server {
		listen 127.0.0.1:%[5]s;
		protocol pop3;
		starttls on;
		auth_http %[8]s/%[9]s;
	}
	server {
		listen 127.0.0.1:%[6]s ssl;
		protocol pop3;
		auth_http %[8]s/%[9]s;
	}
	server {
		listen 127.0.0.1:%[7]s proxy_protocol;
		protocol pop3;
		set_real_ip_from 127.0.0.0/8;
		proxy_protocol on;
		auth_http %[8]s/%[10]s;
	}
}
`, module, dir, ca, key, n.pop3, n.pop3s, n.told, guide.URL, behind, toldBehind))
	cmd := exec.Command(path, "-p", dir, "-c", config, "-e", "stderr")
	background(t, "nginx", cmd, func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", n.pop3))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return n
}

// port returns the port of an address.
func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestNginx: a program collects with nginx in between, which ends TLS.
func TestNginx(t *testing.T) {
	mpop := peers.Need(t, "mpop")
	program{
		stored: unix, remembers: true,
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		front: func(t *testing.T, o *office) func(account) account {
			n := openNginx(t, o.CAFile, strings.TrimSuffix(o.CAFile, ".crt")+".key", port(t, o.POP3), port(t, o.POP3))
			return func(a account) account {
				a.port = onOff(a.tls == "implicit", n.pop3s, n.pop3)
				return a
			}
		},
		collect: func(t *testing.T, r run) []string {
			runMpop(t, mpop, r).must(t, 0)
			return readMaildir(t, r.out)
		},
	}.collects(t)
}

// proxied is what a proxy says at the beginning of a connection.
func proxied(from string) string {
	return fmt.Sprintf("PROXY TCP4 %s 127.0.0.1 40000 110\r\n", from)
}

// line is a connection of POP3 commands, with nothing behind it but the test.
type line struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// dialPort connects, shows the header of a proxy if there is one, and reads the
// greeting.
func dialPort(t *testing.T, port, header string) line {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, header); err != nil {
		t.Fatal(err)
	}
	l := line{t, conn, bufio.NewReader(conn)}
	l.answer("+OK")
	return l
}

func (l line) answer(prefix string) {
	l.t.Helper()
	if got, err := l.in.ReadString('\n'); err != nil || !strings.HasPrefix(got, prefix) {
		l.t.Errorf("%q, %v, want %s", got, err, prefix)
	}
}

// say says a command and reads its answer, a line.
func (l line) say(prefix, format string, args ...any) {
	l.t.Helper()
	if _, err := fmt.Fprintf(l.conn, format+"\r\n", args...); err != nil {
		l.t.Error(err)
	}
	l.answer(prefix)
}

// TestNginxSaysWhoIsThere: with its proxy_protocol, the limit for an address is
// that for the client's; without it everybody behind nginx is this machine, for
// which there is none.
func TestNginxSaysWhoIsThere(t *testing.T) {
	t.Parallel()
	told, careful := fmt.Sprint(peers.Port(t)), fmt.Sprint(peers.Port(t))
	o := startOffice(t, peers.Dir(t), fmt.Sprintf(`
[limits]
per_address = 2
[[listener]]
service = "pop3"
address = "127.0.0.1:0"
[[listener]]
service = "pop3"
address = "127.0.0.1:%s"
proxies = ["127.0.0.1"]
clear_text = "i-accept-that-passwords-travel-in-clear-text"
[[listener]]
service = "pop3"
address = "127.0.0.1:%s"
proxies = ["127.0.0.1"]
`, told, careful))
	a := o.add(t, "ana@example.org", "none")
	n := openNginx(t, o.CAFile, strings.TrimSuffix(o.CAFile, ".crt")+".key", port(t, o.POP3), told)

	// Three who do not sign in, from an address where two may be: the first made
	// room for the third.
	var strangers []line
	for range 3 {
		strangers = append(strangers, dialPort(t, told, proxied("203.0.113.7")))
	}
	// And more of them on this machine.
	var neighbours []line
	for range 3 {
		neighbours = append(neighbours, dialPort(t, port(t, o.POP3), ""))
	}
	// From the same address the one who signs in takes the place of another one;
	// from the next address, and from this machine, nobody's.
	for _, from := range []struct{ port, header, address string }{
		{n.told, proxied("203.0.113.7"), "203.0.113.7"}, {n.told, proxied("203.0.113.8"), "203.0.113.8"}, {n.pop3, "", "127.0.0.1"},
	} {
		user := dialPort(t, from.port, from.header)
		user.say("+OK", "USER %s", a.user)
		user.say("+OK", "PASS %s", a.password)
		user.say("+OK", "QUIT")
		waitFor(t, "the session from "+from.address, func() bool {
			list := o.sessions(t, a.user)
			return len(list) > 0 && list[len(list)-1].Remote == from.address
		})
	}
	for _, l := range strangers[:2] {
		l.answer("-ERR [SYS/TEMP]")
	}
	for _, l := range append(neighbours, strangers[2]) {
		l.say("-ERR", "NOOP") // it is there, and has not signed in
	}

	// Where nothing else is said, a password in clear text is for this machine, and
	// a header makes nobody that.
	dialPort(t, careful, proxied("203.0.113.7")).say("-ERR", "USER %s", a.user)
	dialPort(t, careful, proxied("127.0.0.1")).say("-ERR", "USER %s", a.user)
}
