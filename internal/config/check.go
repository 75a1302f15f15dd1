// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SystemData is the data directory of a server that root runs.
const SystemData = "/var/lib/restante"

// DefaultData returns the data directory that is used when none is named.
func DefaultData(getenv func(string) string) (string, error) {
	if os.Geteuid() == 0 {
		return SystemData, nil
	}
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "restante"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", fmt.Errorf("no data directory is named and HOME is not set; name one with --data")
	}
	return filepath.Join(home, ".local", "share", "restante"), nil
}

// complete fills in what depends on the rest. Paths in the file are relative
// to the file, those of flags to the working directory.
func (l *loader) complete(getenv func(string) string) {
	c := l.config
	if c.Data == "" {
		var err error
		if c.Data, err = DefaultData(getenv); err != nil {
			l.problem("data", "%v", err)
		}
	}
	for key, path := range map[string]*string{"data": &c.Data, "tls.cert_file": &c.TLS.CertFile, "tls.key_file": &c.TLS.KeyFile,
		"tokens.client_secret_file": &c.Tokens.ClientSecretFile, "tokens.ca_file": &c.Tokens.CAFile,
		"users.passwd_file": &c.Users.PasswdFile, "client_certificates.ca_file": &c.Clients.CAFile} {
		*path = l.absolute(key, *path)
	}
	if c.Listen.LMTP == nil {
		c.Listen.LMTP = []string{"unix:" + filepath.Join(c.Data, "lmtp.sock")}
	}
	for key, list := range map[string][]string{"listen.pop3s": c.Listen.POP3S, "listen.pop3": c.Listen.POP3, "listen.lmtp": c.Listen.LMTP} {
		for i, address := range list {
			if path, ok := strings.CutPrefix(address, "unix:"); ok && path != "" {
				list[i] = "unix:" + l.absolute(key, path)
			}
		}
	}
	l.completeListeners()
	if c.Hostname == "" {
		if name, err := os.Hostname(); err == nil && name != "" {
			c.Hostname = name
		} else {
			c.Hostname = "localhost"
		}
	}
}

func (l *loader) absolute(key, path string) string {
	if path == "" {
		return ""
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	if _, fromFile := l.lines[key]; fromFile {
		return filepath.Join(filepath.Dir(l.file), path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		l.problem(key, "%s: %v", key, err)
		return path
	}
	return abs
}

// check looks at every value.
func (l *loader) check() {
	c := l.config
	l.oneOf("clear_text", c.ClearText, ClearTextLoopback, ClearTextNever, ClearTextEverywhere)
	l.oneOf("language", c.Language, "en", "es")
	l.oneOf("landlock", c.Landlock, LandlockOn, LandlockRequired, LandlockOff)
	l.oneOf("delivery.over_quota", c.Delivery.OverQuota, OverQuotaDefer, OverQuotaRefuse)
	l.oneOf("log_format", c.LogFormat, "text", "json")
	l.oneOf("log_level", c.LogLevel, "debug", "info", "warn", "error")
	if _, err := c.ExpireDays(); err != nil {
		l.problem("expire", "%v", err)
	}
	l.checkKeeping()
	l.checkUsers()
	l.checkMaildir()
	l.checkListen()
	l.checkMechanisms("mechanisms", c.Mechanisms, Mechanisms{})
	l.checkTokens()
	l.checkClients()
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		key := "tls.cert_file"
		if c.TLS.CertFile == "" {
			key = "tls.key_file"
		}
		l.problem(key, "cert_file and key_file (--tls-cert and --tls-key) belong together: name both, or neither for a self-signed certificate")
	}
	for key, n := range map[string]int{
		"limits.sessions": c.Limits.Sessions, "limits.unauthenticated": c.Limits.Unauthenticated,
		"limits.per_address": c.Limits.PerAddress, "limits.per_user": c.Limits.PerUser,
		"limits.failures": c.Limits.Failures, "limits.lmtp_sessions": c.Limits.LMTPSessions,
		"delivery.quota_messages": c.Delivery.QuotaMessages,
	} {
		if n < 0 {
			l.problem(key, "%s is negative; 0 means no limit", key)
		}
	}
	if c.Limits.LMTPSessions == 0 {
		l.problem("limits.lmtp_sessions", "limits.lmtp_sessions must be 1 at least: deliveries are never without limit")
	}
	for key, d := range map[string]struct{ got, least Duration }{
		"timeouts.sign_in":   {c.Timeouts.SignIn, Duration(time.Second)},
		"timeouts.idle":      {c.Timeouts.Idle, Duration(time.Second)},
		"timeouts.take_over": {c.Timeouts.TakeOver, 0},
		"timeouts.drain":     {c.Timeouts.Drain, 0},
		"login_delay":        {c.LoginDelay, 0},
	} {
		if d.got < d.least {
			l.problem(key, "%s is %v; the least is %v", key, d.got, d.least)
		}
	}
	if c.LoginDelay%Duration(time.Second) != 0 {
		l.problem("login_delay", "login_delay is %v; it must be in whole seconds", c.LoginDelay)
	}
	if len(c.Delivery.Detail) > 1 {
		l.problem("delivery.detail", "detail is %q; it is one character, or \"\"", c.Delivery.Detail)
	}
	if strings.ContainsAny(c.Hostname, " \t\r\n") {
		l.problem("hostname", "hostname %q has blanks in it", c.Hostname)
	}
}

func (l *loader) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		name := key
		if strings.HasPrefix(key, "listener.") { // which one it is, the line tells
			name = key[strings.LastIndexByte(key, '.')+1:]
		}
		l.problem(key, "%s is %q; it can be %s", name, value, strings.Join(quote(allowed), ", "))
	}
}

func quote(list []string) []string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = strconv.Quote(s)
	}
	return quoted
}

func (l *loader) checkMaildir() {
	m := l.config.Maildir
	if m == "" {
		return
	}
	if !filepath.IsAbs(m) {
		l.problem("maildir", "maildir %q must be an absolute path", m)
	}
	if !strings.Contains(m, "{user}") && !(strings.Contains(m, "{local}") && strings.Contains(m, "{domain}")) {
		l.problem("maildir", "maildir %q would be the same for several users; it must hold {user}, or {local} and {domain}", m)
	}
	rest := strings.NewReplacer("{user}", "", "{local}", "", "{domain}", "").Replace(m)
	if strings.ContainsAny(rest, "{}") {
		l.problem("maildir", "maildir %q: only {user}, {local} and {domain} are known", m)
	}
	if slices.Contains(strings.Split(m, "/"), "..") {
		l.problem("maildir", "maildir %q must not lead upwards", m)
	}
}

func (l *loader) checkListen() {
	c := l.config.Listen
	for _, a := range c.POP3S {
		l.checkAddress("listen.pop3s", "listen.pop3s (--pop3s)", a)
	}
	for _, a := range c.POP3 {
		l.checkAddress("listen.pop3", "listen.pop3 (--pop3)", a)
	}
	for _, a := range c.LMTP {
		l.checkAddress("listen.lmtp", "listen.lmtp (--lmtp)", a)
	}
	if m := l.config.Metrics.Listen; m != "" {
		if !isAddress(m) {
			l.problem("metrics.listen", "metrics.listen is %q; write ADDRESS:PORT, such as 127.0.0.1:9195", m)
		}
	}
	if c.LMTPGroup != "" {
		if _, err := user.LookupGroup(c.LMTPGroup); err != nil {
			l.problem("listen.lmtp_group", "lmtp_group: %v", err)
		}
	}
	l.checkListeners()
	if len(l.config.Listening()) == 0 {
		l.problem("listen.pop3s", "every listener is off; there is nothing to serve")
	}
}

func (l *loader) checkAddress(key, what, address string) {
	if name, ok := strings.CutPrefix(address, "systemd:"); ok {
		if name == "" {
			l.problem(key, "%s: \"systemd:\" needs the FileDescriptorName= of a socket behind it", what)
		}
		return
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			l.problem(key, "%s: \"unix:\" needs the path of a socket behind it", what)
		}
		return
	}
	if !isAddress(address) {
		l.problem(key, "%s is %q; write ADDRESS:PORT, such as 127.0.0.1:9995, [::1]:9995 or :995", what, address)
	}
}

func isAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return err == nil
}

// MaildirOf returns where the mail of a user is.
func (c *Config) MaildirOf(name string) (string, error) {
	local, domain, address := strings.Cut(name, "@")
	if c.Maildir == "" {
		if address {
			return filepath.Join(c.Data, "mail", domain, local, "Maildir"), nil
		}
		return filepath.Join(c.Data, "mail", name, "Maildir"), nil
	}
	if strings.Contains(c.Maildir, "{domain}") && !address {
		return "", fmt.Errorf("the maildir template %q needs a domain and %q has none", c.Maildir, name)
	}
	return strings.NewReplacer("{user}", name, "{local}", local, "{domain}", domain).Replace(c.Maildir), nil
}
