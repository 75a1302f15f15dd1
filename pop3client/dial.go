// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/proxy"

	"restante.example/pop3"
)

// DialTLS connects to address, "host" or "host:port" (default 995), with TLS
// from the start. RFC 8314 section 3.
func DialTLS(ctx context.Context, address string, opt *Options) (*Client, error) {
	conn, p, err := dial(ctx, address, pop3.PortTLS, opt)
	if err != nil {
		return nil, err
	}
	secured, err := handshake(ctx, conn, p.host, opt)
	if err != nil {
		return nil, fmt.Errorf("pop3client: TLS with %s: %w", address, err)
	}
	return newClient(ctx, secured, opt, p)
}

// DialSTLS connects to address, "host" or "host:port" (default 110), in clear
// text and changes to TLS before anything else is said. A server without STLS
// is ErrNoSTLS: there is no fall-back to clear text. RFC 2595 section 4.
func DialSTLS(ctx context.Context, address string, opt *Options) (*Client, error) {
	conn, p, err := dial(ctx, address, pop3.Port, opt)
	if err != nil {
		return nil, err
	}
	return newSTLS(ctx, conn, p.host, opt, p)
}

// NewSTLS is New over a connection in clear text and then STLS, as DialSTLS
// does it. The server's certificate must name serverName.
func NewSTLS(ctx context.Context, conn net.Conn, serverName string, opt *Options) (*Client, error) {
	return newSTLS(ctx, conn, serverName, opt, peer{local: isLocal(conn.RemoteAddr())})
}

// DialInsecure connects to address, "host" or "host:port" (default 110), in
// clear text and stays so: everybody on the way can read and change the mail.
// A password is still not sent unless Options allow that apart.
func DialInsecure(ctx context.Context, address string, opt *Options) (*Client, error) {
	conn, p, err := dial(ctx, address, pop3.Port, opt)
	if err != nil {
		return nil, err
	}
	return newClient(ctx, conn, opt, p)
}

// DialUnix connects to the Unix socket at path, in clear text.
func DialUnix(ctx context.Context, path string, opt *Options) (*Client, error) {
	o := opt.withDefaults()
	conn, err := o.connect(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return newClient(ctx, conn, opt, peer{local: isLocal(conn.RemoteAddr())})
}

func dial(ctx context.Context, address string, port int, opt *Options) (net.Conn, peer, error) {
	p, err := splitAddress(address, port)
	if err != nil {
		return nil, p, err
	}
	o := opt.withDefaults()
	// The TLS options are checked before anybody is bothered.
	if _, err := o.tlsConfig(p.host); err != nil {
		return nil, p, err
	}
	conn, err := o.connect(ctx, "tcp", net.JoinHostPort(p.host, strconv.Itoa(p.port)))
	if err != nil {
		return nil, p, err
	}
	// Both must say so: a name may lead through a proxy on this machine.
	p.local = isLocalHost(p.host) && isLocal(conn.RemoteAddr())
	return conn, p, nil
}

// connect bounds the dialling too: a proxy may accept and then say nothing.
func (o *Options) connect(ctx context.Context, network, address string) (net.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	conn, err := o.Dialer.DialContext(bounded, network, address)
	if err != nil {
		return nil, fmt.Errorf("pop3client: connect: %w", err)
	}
	return conn, nil
}

// splitAddress takes "host", "host:port", "[::1]", "::1" and "[::1]:port".
func splitAddress(address string, port int) (peer, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		host, text = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"), strconv.Itoa(port)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsAny(host, "[] \r\n\x00") ||
		strings.Contains(host, ":") && net.ParseIP(strings.SplitN(host, "%", 2)[0]) == nil {
		return peer{}, fmt.Errorf("pop3client: %q is not an address of the form host:port", address)
	}
	return peer{host: host, port: int(n)}, nil
}

// isLocal reports whether an address is on this machine.
func isLocal(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

func isLocalHost(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// handshake closes conn when it fails.
func handshake(ctx context.Context, conn net.Conn, serverName string, opt *Options) (*tls.Conn, error) {
	o := opt.withDefaults()
	config, err := o.tlsConfig(serverName)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	bounded, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	// Deadlines of what was said before do not count for the handshake.
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(bounded); err != nil {
		// The handshake may have closed it already.
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

func newSTLS(ctx context.Context, conn net.Conn, serverName string, opt *Options, p peer) (*Client, error) {
	c, err := newClient(ctx, conn, opt, p)
	if err != nil {
		return nil, err
	}
	// CAPA is not asked first: in clear text its answer proves nothing.
	if _, err := c.ask(ctx, pop3.Authorization, "STLS"); err != nil {
		if _, refused := errors.AsType[*pop3.Error](err); refused {
			err = fmt.Errorf("%w: %w", ErrNoSTLS, err)
		}
		return nil, errors.Join(err, c.Close())
	}
	secured, err := handshake(ctx, conn, serverName, opt)
	if err != nil {
		return nil, c.fail("STLS", err)
	}
	c.conn.Conn = secured
	// What came before the handshake may be anybody's. RFC 2595 section 4.
	c.r.Reset(c.conn)
	c.caps, c.capsKnown = nil, false
	return c, nil
}

// SOCKS5 returns a Dialer that goes through the SOCKS5 proxy at address
// (host:port), which resolves the names; auth may be nil. The proxy itself is
// reached by forward, nil for the network. RFC 1928.
func SOCKS5(address string, auth *proxy.Auth, forward Dialer) (Dialer, error) {
	if forward == nil {
		forward = &net.Dialer{}
	}
	through, err := proxy.SOCKS5("tcp", address, auth, forwarder{forward})
	if err != nil {
		return nil, fmt.Errorf("pop3client: SOCKS5: %w", err)
	}
	dialer, ok := through.(Dialer)
	if !ok {
		return nil, errors.New("pop3client: SOCKS5: the proxy's dialer knows no contexts")
	}
	return socksDialer{dialer}, nil
}

// forwarder is what package proxy wants of a dialer.
type forwarder struct{ Dialer }

func (f forwarder) Dial(network, address string) (net.Conn, error) {
	return f.DialContext(context.Background(), network, address)
}

type socksDialer struct{ through Dialer }

func (d socksDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.through.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return proxied{conn, proxiedAddr(address)}, nil
}

// proxied says who is behind the proxy, so that a proxy on this machine does
// not pass for a server on this machine.
type proxied struct {
	net.Conn
	remote proxiedAddr
}

func (p proxied) RemoteAddr() net.Addr { return p.remote }

type proxiedAddr string

func (proxiedAddr) Network() string  { return "socks5" }
func (a proxiedAddr) String() string { return string(a) }
