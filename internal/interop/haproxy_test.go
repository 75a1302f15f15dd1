// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// haproxy is a running HAProxy. Its ports send what a client says on, behind a
// PROXY header of one kind each.
type haproxy struct {
	v1, v2    string // TLS is not looked into
	unsecured string // ends no TLS, and says so
	secured   string // ends TLS, and says so
	passed    string // sends TLS through
}

// openHAProxy starts HAProxy in front of a port for clear text and one for TLS;
// it is ended with the test.
func openHAProxy(t *testing.T, pem, pop3, pop3s string) haproxy {
	t.Helper()
	path := peers.Need(t, "haproxy")
	port := func() string { return fmt.Sprintf("127.0.0.1:%d", peers.Port(t)) }
	h := haproxy{port(), port(), port(), port(), port()}
	config := filepath.Join(newDir(t), "haproxy.cfg")
	text := "global\n\tmaxconn 200\ndefaults\n\tmode tcp\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\n\ttimeout check 10s\n"
	for _, way := range []struct{ bind, options, server, send string }{
		{h.v1, "", pop3, "send-proxy"},
		{h.v2, "", pop3, "send-proxy-v2"},
		{h.unsecured, "", pop3, "send-proxy-v2-ssl"},
		{h.secured, " ssl crt " + pem + " alpn pop3", pop3, "send-proxy-v2-ssl"},
		{h.passed, "", pop3s, "send-proxy-v2"},
	} {
		text += fmt.Sprintf("listen l%s\n\tbind %s%s\n\tserver one %s %s check inter 200ms\n", way.bind[len("127.0.0.1:"):], way.bind, way.options, way.server, way.send)
	}
	writeFile(t, config, text)
	cmd := exec.Command(path, "-db", "-f", config)
	background(t, "HAProxy", cmd, func() bool {
		conn, err := net.Dial("tcp", h.v1)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return h
}

// converse holds a conversation from an address of this machine and returns all that
// is answered.
func converse(t *testing.T, from, address string, secured *tls.Config, lines ...string) string {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if secured != nil {
		conn = tls.Client(conn, secured)
	}
	in := bufio.NewReader(conn)
	greeting, err := in.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: the greeting: %v", address, err)
	}
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(in)
	if err != nil && len(rest) == 0 {
		t.Fatalf("%s: %v", address, err)
	}
	return greeting + string(rest)
}

// TestHAProxy: clients come through HAProxy, which tells who they are, in each
// form that it has. Its own checks pass meanwhile.
func TestHAProxy(t *testing.T) {
	peers.Need(t, "haproxy")
	o := startOffice(t, peers.Dir(t), `
[[listener]]
service = "pop3"
address = "127.0.0.1:0"
proxies = ["127.0.0.1"]
trust_proxy_tls = true
[[listener]]
service = "pop3s"
address = "127.0.0.1:0"
proxies = ["127.0.0.1"]
`)
	o.add(t, "ana", "none")
	// The key file has the certificate in it too, as HAProxy wants it.
	pem := filepath.Join(newDir(t), "both.pem")
	text, err := os.ReadFile(strings.TrimSuffix(o.CAFile, ".crt") + ".key")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, pem, string(text))
	h := openHAProxy(t, pem, o.POP3, o.POP3S)
	signIn := []string{"USER ana", "PASS " + password, "QUIT"}
	overTLS := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"pop3"}}
	for i, way := range []struct {
		name, address string
		settings      *tls.Config
		want, tls     string
	}{
		{"version 1", h.v1, nil, "only under TLS", ""},
		{"version 2", h.v2, nil, "only under TLS", ""},
		{"version 2, not under TLS", h.unsecured, nil, "only under TLS", ""},
		{"version 2, under TLS", h.secured, overTLS, "+OK 0 messages", "proxy"},
		{"TLS sent through", h.passed, overTLS, "+OK 0 messages", "TLS 1.3"},
	} {
		from := fmt.Sprintf("127.0.0.%d", 10+i) // the proxy itself is 127.0.0.1
		if got := converse(t, from, way.address, way.settings, signIn...); !strings.Contains(got, way.want) {
			t.Errorf("%s: the server says %q, want %q", way.name, got, way.want)
		}
		line := fmt.Sprintf("%q:%q,%q:%q", "remote", from, "tls", way.tls)
		waitFor(t, "the log to tell of "+way.name, func() bool { return strings.Contains(o.log.String(), line) })
	}
	// HAProxy takes a server whose checks fail out of use after three of them.
	time.Sleep(time.Second)
	if got := converse(t, "127.0.0.20", h.secured, overTLS, signIn...); !strings.Contains(got, "+OK 0 messages") {
		t.Errorf("after a while: %q", got)
	}
	if strings.Contains(o.log.String(), "a connection from a proxy is refused") {
		t.Error("the checks of HAProxy are refused")
	}
}
