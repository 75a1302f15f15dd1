// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// Names of the services.
const (
	ServicePOP3  = "pop3"
	ServicePOP3S = "pop3s"
	ServiceLMTP  = "lmtp"
)

// Listener is an address with rules of its own. What it leaves open is as it is
// for all.
type Listener struct {
	// Service is "pop3", "pop3s" or "lmtp".
	Service string `toml:"service"`
	// Address is "ADDRESS:PORT", ":PORT" for every address of the machine of IPv4
	// and IPv6, "unix:PATH", or "systemd:NAME" for a socket that systemd has bound.
	Address string `toml:"address"`
	// Group is the group that may connect to a Unix socket.
	Group string `toml:"group"`
	// ClearText and Mechanisms are as the settings for all.
	ClearText  string     `toml:"clear_text"`
	Mechanisms Mechanisms `toml:"mechanisms"`
	// CertFile and KeyFile name the one certificate that is shown here.
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
	// ClientCertificates says whether clients show a certificate: "off", "on",
	// which asks them for one, or "required". ClientCA holds the authorities that
	// are believed, PEM.
	ClientCertificates string `toml:"client_certificates"`
	ClientCA           string `toml:"client_ca"`
	// Proxies are the addresses and networks of proxies, and "unix" for whoever
	// connects to a Unix socket: a connection from there must begin with a header
	// of the PROXY protocol.
	Proxies []string `toml:"proxies"`
	// TrustProxyTLS believes a proxy that says that its client speaks TLS with it.
	TrustProxyTLS bool `toml:"trust_proxy_tls"`

	// table is where it stands in the file, or empty for one of [listen].
	table string
}

// Own reports whether the listener is a table, which may have rules of its own,
// and not an address of [listen].
func (a *Listener) Own() bool { return a.table != "" }

// Name is what the listener is called where there are several.
func (a *Listener) Name() string { return a.Service + " " + a.Address }

// Certificate is a certificate for the names that are in it.
type Certificate struct {
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
}

// Values of Listener.ClientCertificates.
const (
	ClientCertificatesOff      = "off"
	ClientCertificatesOn       = "on"
	ClientCertificatesRequired = "required"
)

// proxiesUnix stands for whoever connects to a Unix socket.
const proxiesUnix = "unix"

// Listening returns every address that is listened on, those of [listen] first.
func (c *Config) Listening() []Listener {
	var list []Listener
	for _, simple := range []struct {
		service   string
		addresses []string
	}{{ServicePOP3S, c.Listen.POP3S}, {ServicePOP3, c.Listen.POP3}, {ServiceLMTP, c.Listen.LMTP}} {
		for _, address := range simple.addresses {
			a := Listener{Service: simple.service, Address: address}
			if simple.service == ServiceLMTP {
				a.Group = c.Listen.LMTPGroup
			}
			list = append(list, a)
		}
	}
	return append(list, c.Listeners...)
}

// AllCertificates returns every certificate that is named, each once.
func (c *Config) AllCertificates() []Certificate {
	list := []Certificate{{c.TLS.CertFile, c.TLS.KeyFile}}
	list = append(list, c.Certificates...)
	for _, a := range c.Listeners {
		list = append(list, Certificate{a.CertFile, a.KeyFile})
	}
	var named []Certificate
	for _, one := range list {
		if one.CertFile != "" && !slices.Contains(named, one) {
			named = append(named, one)
		}
	}
	return named
}

// ProxySources returns what Proxies says: networks, and whether whoever connects
// to a Unix socket is believed.
func (a *Listener) ProxySources() (sources []netip.Prefix, unix bool, err error) {
	for _, text := range a.Proxies {
		if text == proxiesUnix {
			unix = true
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			one, err := netip.ParseAddr(text)
			if err != nil || one.Zone() != "" {
				return nil, false, fmt.Errorf("proxies has %q; write addresses or networks, such as \"192.0.2.7\" or \"10.0.0.0/8\", or \"unix\"", text)
			}
			one = one.Unmap()
			p = netip.PrefixFrom(one, one.BitLen())
		}
		if p.Bits() == 0 {
			return nil, false, fmt.Errorf("proxies has %q: then everybody could claim any address; name your proxies", text)
		}
		sources = append(sources, p.Masked())
	}
	return sources, unix, nil
}

// listenersSaid takes the defaults of [listen] back where the file has tables of
// listeners: then it is listened where the file says so, and nowhere else. A
// flag replaces all that the file says of a service.
func (l *loader) listenersSaid(f Flags) {
	c := l.config
	for i := range c.Listeners {
		c.Listeners[i].table = "listener." + strconv.Itoa(i)
	}
	if len(c.Listeners) > 0 {
		for key, list := range map[string]*[]string{"listen.pop3s": &c.Listen.POP3S, "listen.lmtp": &c.Listen.LMTP} {
			if _, said := l.lines[key]; !said {
				*list = []string{}
			}
		}
	}
	for service, flag := range map[string]string{ServicePOP3: f.POP3, ServicePOP3S: f.POP3S, ServiceLMTP: f.LMTP} {
		if flag != "" {
			c.Listeners = slices.DeleteFunc(c.Listeners, func(a Listener) bool { return a.Service == service })
		}
	}
}

// completeListeners makes paths absolute.
func (l *loader) completeListeners() {
	for i := range l.config.Listeners {
		a := &l.config.Listeners[i]
		if path, ok := strings.CutPrefix(a.Address, "unix:"); ok && path != "" {
			a.Address = "unix:" + l.absolute(a.table+".address", path)
		}
		for key, path := range map[string]*string{"cert_file": &a.CertFile, "key_file": &a.KeyFile, "client_ca": &a.ClientCA} {
			*path = l.absolute(a.table+"."+key, *path)
		}
	}
	for i := range l.config.Certificates {
		c := &l.config.Certificates[i]
		table := "certificate." + strconv.Itoa(i)
		c.CertFile = l.absolute(table+".cert_file", c.CertFile)
		c.KeyFile = l.absolute(table+".key_file", c.KeyFile)
	}
}

// checkListeners looks at the tables of listeners and of certificates.
func (l *loader) checkListeners() {
	seen := map[string]bool{}
	for _, a := range l.config.Listening() {
		_, port, _ := net.SplitHostPort(a.Address)
		if seen[a.Address] && port != "0" {
			key := "listen." + a.Service
			if a.Own() {
				key = a.table + ".address"
			}
			l.problem(key, "%s is there twice; one address has one listener", a.Address)
		}
		seen[a.Address] = true
	}
	for _, a := range l.config.Listeners {
		l.checkListener(&a)
	}
	for i, c := range l.config.Certificates {
		table := "certificate." + strconv.Itoa(i)
		if c.CertFile == "" || c.KeyFile == "" {
			l.problem(table, "[[certificate]] needs cert_file and key_file")
		}
	}
}

func (l *loader) checkListener(a *Listener) {
	key := func(name string) string { return a.table + "." + name }
	if !slices.Contains([]string{ServicePOP3, ServicePOP3S, ServiceLMTP}, a.Service) {
		l.problem(key("service"), "[[listener]] needs a service, which is %q, %q or %q; it has %q", ServicePOP3, ServicePOP3S, ServiceLMTP, a.Service)
		return
	}
	l.checkAddress(key("address"), "address", a.Address)
	if a.Group != "" {
		if _, err := user.LookupGroup(a.Group); err != nil {
			l.problem(key("group"), "group: %v", err)
		}
		if !strings.HasPrefix(a.Address, "unix:") {
			l.problem(key("group"), "group is for a Unix socket, and %q is none", a.Address)
		}
	}
	if _, _, err := a.ProxySources(); err != nil {
		l.problem(key("proxies"), "%v", err)
	}
	if a.TrustProxyTLS && len(a.Proxies) == 0 {
		l.problem(key("trust_proxy_tls"), "trust_proxy_tls believes proxies, and none are named: set proxies")
	}
	if a.Service == ServiceLMTP {
		for name, set := range map[string]bool{"clear_text": a.ClearText != "", "mechanisms": len(a.Mechanisms.Offers()) > 0, "cert_file": a.CertFile != "", "key_file": a.KeyFile != "",
			"client_certificates": a.ClientCertificates != "", "client_ca": a.ClientCA != ""} {
			if set {
				l.problem(key(name), "%s is for pop3 and pop3s; LMTP has neither passwords nor TLS", name)
			}
		}
		return
	}
	if a.ClearText != "" {
		l.oneOf(key("clear_text"), a.ClearText, ClearTextLoopback, ClearTextNever, ClearTextEverywhere)
	}
	if (a.CertFile == "") != (a.KeyFile == "") {
		said := "cert_file"
		if a.CertFile == "" {
			said = "key_file"
		}
		l.problem(key(said), "cert_file and key_file belong together: name both, or neither for the certificates of all")
	}
	l.checkMechanisms(key("mechanisms"), a.Mechanisms, l.config.Mechanisms)
	l.checkClientCertificates(a)
}

func (l *loader) checkClientCertificates(a *Listener) {
	key := a.table + ".client_certificates"
	switch a.ClientCertificates {
	case "", ClientCertificatesOff:
		if a.ClientCA != "" {
			l.problem(a.table+".client_ca", "client_ca is for client_certificates = \"on\" or \"required\"")
		}
	case ClientCertificatesOn, ClientCertificatesRequired:
		if a.ClientCA == "" {
			l.problem(key, "client_certificates = %q needs client_ca, the file with the authorities that are believed", a.ClientCertificates)
		}
		if a.ClientCertificates == ClientCertificatesRequired && a.Service == ServicePOP3 {
			l.problem(key, "client_certificates = \"required\" needs service = \"pop3s\": with pop3 a client can sign in before there is TLS, and without a certificate")
		}
	default:
		l.oneOf(key, a.ClientCertificates, ClientCertificatesOff, ClientCertificatesOn, ClientCertificatesRequired)
	}
}
