// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/pop3server"
)

// proxied is a connection by way of a proxy.
type proxied struct {
	addressed
	tls bool
}

func (p proxied) ProxiedTLS() bool { return p.tls }

func dialProxied(t *testing.T, s *pop3server.Server, from string, tls bool) *client {
	t.Helper()
	mine, theirs := net.Pipe()
	go s.ServeConn(t.Context(), proxied{addressed{theirs, netip.MustParseAddr(from)}, tls}, false)
	return newClient(t, mine)
}

// A client behind a proxy is never this machine, and its passwords are taken
// where the proxy is believed that it speaks TLS.
func TestProxiedClearText(t *testing.T) {
	for _, test := range []struct {
		policy pop3server.ClearText
		from   string
		tls    bool
		want   string
	}{
		{pop3server.ClearTextLoopback, "127.0.0.1", false, "-ERR"},
		{pop3server.ClearTextLoopback, "::1", false, "-ERR"},
		{pop3server.ClearTextLoopback, "192.0.2.1", false, "-ERR"},
		{pop3server.ClearTextLoopback, "192.0.2.1", true, "+OK"},
		{pop3server.ClearTextNever, "192.0.2.1", true, "+OK"},
		{pop3server.InsecureClearTextEverywhere, "192.0.2.1", false, "+OK"},
	} {
		opt := options(office(t))
		opt.ClearText, opt.TLSConfig = test.policy, serverTLS()
		var log lockedBuffer
		opt.Logger = log.logger()
		s := serve(t, opt)
		c := dialProxied(t, s, test.from, test.tls)
		c.want("+OK")
		if announced := strings.Join(c.multi("CAPA"), "|"); strings.Contains(announced, "STLS") == test.tls {
			t.Errorf("%+v: announced %s", test, announced)
		}
		c.ask("USER ana", test.want)
		c.ask("PASS secret", test.want)
		c.ask("QUIT", "+OK")
		c.ended()
		s.Close() // the session is in the log
		if said := strings.Contains(log.String(), "tls=proxy"); said != test.tls {
			t.Errorf("%+v: the log says %s", test, log.String())
		}
	}
}

// Clients behind a proxy are limited by their own addresses, one on the
// machine of the proxy too.
func TestProxiedLimitPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opt := options(office(t))
		opt.Limits.PerAddress = 1
		s := serve(t, opt)
		for _, from := range []string{"127.0.0.1", "192.0.2.1"} {
			first := dialProxied(t, s, from, false)
			first.want("+OK")
			words := first.lastWords()
			time.Sleep(time.Second)
			dialProxied(t, s, from, false).want("+OK")
			if got := <-words; !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
				t.Errorf("%s: the one that made room was told %q", from, got)
			}
		}
	})
}

// Where a proxy on a Unix socket speaks for itself there is no address, so that
// no limit per address has a client of another address go.
func TestProxiedWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opt := options(office(t))
		opt.Limits.PerAddress = 1
		s := serve(t, opt)
		first := dialProxied(t, s, "192.0.2.1", false)
		first.want("+OK")
		for range 3 {
			time.Sleep(time.Second)
			mine, theirs := net.Pipe()
			go s.ServeConn(t.Context(), unaddressed{theirs}, false)
			newClient(t, mine).want("+OK")
		}
		first.ask("USER ana", "-ERR") // it is still there
	})
}

// unaddressed is a proxied connection over a Unix socket.
type unaddressed struct{ net.Conn }

func (unaddressed) ProxiedTLS() bool { return false }

func (unaddressed) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }
