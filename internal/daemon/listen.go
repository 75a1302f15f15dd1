// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"restante.example/internal/config"
	"restante.example/internal/proxyheader"
)

// Names of the services.
const (
	POP3  = config.ServicePOP3
	POP3S = config.ServicePOP3S
	LMTP  = config.ServiceLMTP
)

// listener is a bound address and what is spoken there.
type listener struct {
	*proxyheader.Listener
	at      config.Listener
	dropped atomic.Bool // it was closed because the configuration has it no more
}

// Listening is an address where a service can be reached, as it is bound.
type Listening struct {
	Service string `json:"service"`
	Address string `json:"address"`
}

// bind binds every address of a list, or none.
func (s *Server) bind(ctx context.Context, c *config.Config, wanted []config.Listener) ([]*listener, error) {
	var list []*listener
	var problems []error
	for _, at := range wanted {
		rules, err := proxyRules(&at)
		var bound []net.Listener
		if err == nil {
			bound, err = s.bindOne(ctx, c, &at)
		}
		if err != nil {
			problems = append(problems, bindHint(at.Service, at.Address, err))
			continue
		}
		for _, l := range bound {
			list = append(list, &listener{Listener: proxyheader.New(l, rules, s.log.Logger), at: at})
			if at.Service == LMTP && isPublic(l.Addr()) {
				s.log.Warn("LMTP is open to other machines: whoever reaches it can deliver mail without a password", "address", l.Addr().String())
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, errors.Join(err, closeAll(list))
	}
	return list, nil
}

// proxyRules are the rules of a listener for what proxies say.
func proxyRules(at *config.Listener) (proxyheader.Rules, error) {
	sources, unix, err := at.ProxySources()
	return proxyheader.Rules{Sources: sources, Unix: unix, TrustTLS: at.TrustProxyTLS}, err
}

func closeAll(list []*listener) error {
	var problems []error
	for _, l := range list {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func isPublic(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

// bindOne binds an address, or takes the sockets that systemd has bound under a
// name, of which there may be several.
func (s *Server) bindOne(ctx context.Context, c *config.Config, at *config.Listener) ([]net.Listener, error) {
	if name, ok := strings.CutPrefix(at.Address, "systemd:"); ok {
		return s.inherited.listeners(name)
	}
	l, err := bindAddress(ctx, at.Address, c.Data, at.Group)
	if err != nil {
		return nil, err
	}
	return []net.Listener{l}, nil
}

func bindAddress(ctx context.Context, address, data, group string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return bindUnix(ctx, path, data, group)
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, network(address), address)
}

// network returns what to listen on for an address: it is what is written. All
// addresses of IPv4 or of IPv6 are those of that family; without a host it is
// all of both.
func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "tcp"
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil || !ip.IsUnspecified():
		return "tcp"
	case ip.Is4():
		return "tcp4"
	}
	return "tcp6"
}

// addressOf writes an address as the flags take it.
func addressOf(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// bindHint says what to do when an address cannot be bound.
func bindHint(service, address string, err error) error {
	hint := ""
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, fs.ErrPermission) && port != "":
		hint = fmt.Sprintf("; ports below 1024 need a right: run it by systemd with packaging/restanted.service, "+
			"or once: setcap cap_net_bind_service=+ep $(command -v restanted), or use a higher port: --%s 127.0.0.1:%s", service, higher(port))
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "; another program listens there: stop it, or choose another address with --" + service
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "; this machine has no such address: choose another with --" + service
	}
	return fmt.Errorf("cannot listen for %s on %s: %w%s", service, address, err, hint)
}

// higher suggests a port that everybody can bind.
func higher(port string) string {
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return "9995"
	}
	return strconv.Itoa(9000 + n)
}
