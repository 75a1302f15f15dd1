// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package accounts knows the collector's accounts: their settings, from a TOML
// file or from flags, where their passwords come from, and how an account
// becomes one of package collect.
package accounts

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"restante.example/collect"
)

// Settings are what can be set for an account, and under [defaults] for all of
// them. Zero values are not set.
type Settings struct {
	// Server is HOST or HOST:PORT.
	Server string `toml:"server"`
	// TLS is "implicit" (the default, port 995), "stls" (port 110) or "none".
	TLS string `toml:"tls"`
	// User is the name to sign in with.
	User string `toml:"user"`

	// One of these says where the password comes from. With none it is asked on
	// the terminal, or taken from the environment (RESTANTE_PASSWORD).
	Password        string `toml:"password"`
	PasswordCommand string `toml:"password_command"`
	PasswordFile    string `toml:"password_file"`
	PasswordEnv     string `toml:"password_env"`
	Keyring         bool   `toml:"keyring"`
	Netrc           string `toml:"netrc"`
	// TokenCommand prints an OAuth2 access token.
	TokenCommand string `toml:"token_command"`
	// Mechanism restricts sign-in to one way, such as "XOAUTH2".
	Mechanism string `toml:"mechanism"`

	// To are the destinations.
	To []string `toml:"to"`
	// CRLF keeps the line ends of the wire in files.
	CRLF bool `toml:"crlf"`
	// Recipient is whom LMTP delivers to. Default: the user.
	Recipient string `toml:"recipient"`

	// Delete deletes what is filed from the server.
	Delete bool `toml:"delete"`
	// Keep is how long mail stays on the server: "forever", or as in "30d".
	Keep Days `toml:"keep"`
	// KeepMessages and KeepOctets are how much stays, the newest.
	KeepMessages int  `toml:"keep_messages"`
	KeepOctets   Size `toml:"keep_octets"`
	// MaxSize is the largest message that is collected; TooLarge is "skip" (the
	// default) or "headers".
	MaxSize  Size   `toml:"max_size"`
	TooLarge string `toml:"too_large"`

	// CA is a file with certificates to trust in place of the system's.
	CA string `toml:"ca"`
	// Pin are SHA-256 fingerprints of the server's certificate.
	Pin []string `toml:"pin"`
	// ClientCert and ClientKey are files with a certificate to show.
	ClientCert string `toml:"client_cert"`
	ClientKey  string `toml:"client_key"`
	// MinTLS is "1.2" (the default) or "1.3".
	MinTLS string `toml:"min_tls"`
	// Proxy is the HOST:PORT of a SOCKS5 proxy.
	Proxy string `toml:"proxy"`
	// InsecurePassword sends the password in clear text to any server.
	InsecurePassword bool `toml:"insecure_password"`

	// Timeout bounds each step of a conversation. Default: 60 seconds.
	Timeout Days `toml:"timeout"`
	// Interval is the time between two polls of restante run. Default: 10 minutes.
	Interval Days `toml:"interval"`
	// UntilDry connects again until nothing new shows. Default: at Gmail.
	UntilDry bool `toml:"until_dry"`
	// Off leaves the account alone unless it is named.
	Off bool `toml:"off"`
}

// Account is an account with its settings complete.
type Account struct {
	// Name is its name in the file, or USER@HOST for one from flags.
	Name string
	Settings
	host, port string
}

// DefaultInterval is the time between two polls.
const DefaultInterval = 10 * time.Minute

// complete fills in what was not set.
func (a *Account) complete() {
	if a.TLS == "" {
		a.TLS = "implicit"
	}
	if a.Timeout == 0 {
		a.Timeout = Days(60 * time.Second)
	}
	if a.Interval == 0 {
		a.Interval = Days(DefaultInterval)
	}
	if a.Recipient == "" {
		a.Recipient = a.User
	}
	if a.TooLarge == "" {
		a.TooLarge = "skip"
	}
	a.host, a.port, _ = splitServer(a.Server)
	if a.port == "" {
		a.port = map[string]string{"implicit": "995"}[a.TLS]
		if a.port == "" {
			a.port = "110"
		}
	}
	if strings.EqualFold(a.host, "pop.gmail.com") {
		a.UntilDry = true
	}
}

// Host is the server without its port.
func (a *Account) Host() string { return a.host }

// Address is the server with its port.
func (a *Account) Address() string { return net.JoinHostPort(a.host, a.port) }

// splitServer takes HOST[:PORT] apart; HOST may be an IPv6 address, with
// brackets or without.
func splitServer(s string) (host, port string, err error) {
	if _, e := netip.ParseAddr(s); e == nil {
		return s, "", nil
	}
	if !strings.Contains(s, ":") || strings.HasSuffix(s, "]") {
		host = strings.Trim(s, "[]")
	} else if host, port, err = net.SplitHostPort(s); err != nil {
		return "", "", err
	} else if n, e := strconv.ParseUint(port, 10, 16); e != nil || n == 0 {
		return "", "", fmt.Errorf("%q is no port", port)
	}
	if host == "" || strings.ContainsAny(host, " \t/@") {
		return "", "", fmt.Errorf("%q is no server; write HOST or HOST:PORT", s)
	}
	return host, port, nil
}

// loopback reports whether the server is this machine.
func (a *Account) loopback() bool {
	if strings.EqualFold(a.host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.IsLoopback()
}

// FromFlags makes an account of settings that were given on the command line.
// Its name is USER@HOST, without the port: the way to a mailbox may change, from
// STLS to implicit TLS or to another end of a tunnel, and its mail is collected
// once all the same.
func FromFlags(s Settings, need Need) (*Account, error) {
	a := &Account{Settings: s}
	a.complete()
	a.Name = a.User + "@" + a.host
	var problems []string
	a.check(need, func(key, format string, args ...any) {
		problems = append(problems, "--"+strings.ReplaceAll(key, "_", "-")+": "+fmt.Sprintf(format, args...))
	})
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(problems, "\n"))
	}
	return a, nil
}

// Policy says what stays on the server.
func (a *Account) Policy() collect.Keep {
	return collect.Keep{
		Delete: a.Delete, For: time.Duration(a.Keep), Messages: a.KeepMessages, Octets: int64(a.KeepOctets),
	}
}

// Journal is the file of the account's journal in a state directory.
func (a *Account) Journal(state string) string {
	return filepath.Join(state, fileName(a.Name)+".journal")
}

// StatusFile is where the account's status is kept in a state directory.
func (a *Account) StatusFile(state string) string {
	return filepath.Join(state, fileName(a.Name)+".status")
}

// fileName turns a name into one that every file system takes and that differs
// for different names.
func fileName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '@', c == '.' && i > 0, c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}
