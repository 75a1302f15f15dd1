// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"restante.example/bench/report"
)

// errMissing: a program of others is not on this machine.
var errMissing = errors.New("is not installed: internal/peers/install.sh, or -all, installs it")

// errNotRoot: servers of others begin as root.
var errNotRoot = errors.New("begins as root, and this is not")

// dovecot is Dovecot with Debian's defaults, or tuned as far as it goes.
func dovecot(ctx context.Context, tuned bool, id identity) (server, error) {
	name := "Dovecot"
	settings := []string{"Debian's defaults with raised limits and auth_cache_size = 10M; passwords are compared in clear text, but where slow hashes are measured: there it checks the very argon2id hash that restanted makes"}
	if tuned {
		name = "Dovecot max"
		settings = []string{"as Dovecot, and: login and POP3 processes are used again (service_count = 0) and started beforehand, 500 sessions in each POP3 process, pop3_no_flag_updates, pop3_fast_size_lookups (it announces the sizes of files, not those of messages as they are sent)"}
	}
	s := server{Subject: report.Subject{Name: name, Side: "server", Kind: report.Peer, Settings: settings}}
	path, err := exec.LookPath("dovecot")
	if err != nil {
		return s, errMissing
	}
	if os.Getuid() != 0 {
		return s, errNotRoot
	}
	version, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return s, err
	}
	s.Version = strings.TrimSpace(string(version))
	lmtp := true
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil {
		lmtp, s.noLMTP = false, "dovecot-lmtpd is not installed"
	}
	s.start = func(ctx context.Context, dir string, users crowd) (*instance, error) {
		return startDovecot(ctx, path, dir, users, tuned, lmtp, id)
	}
	s.File = dovecotConfig{dir: "DIR", pop3: "127.0.0.1:1", pop3s: "127.0.0.1:2", lmtp: "127.0.0.1:3", tuned: tuned, cert: "CERT", key: "KEY"}.text()
	return s, nil
}

func startDovecot(ctx context.Context, path, dir string, users crowd, tuned, lmtp bool, id identity) (*instance, error) {
	for _, sub := range []string{"run", "mail"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chown(filepath.Join(dir, "mail"), nobody, nobody); err != nil {
		return nil, err
	}
	a, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	in := &instance{pop3: a[0], pop3s: a[1], uid: nobody}
	c := dovecotConfig{dir: dir, pop3: a[0], pop3s: a[1], tuned: tuned, cert: id.cert, key: id.key}
	if lmtp {
		in.lmtp, c.lmtp = a[2], a[2]
	}
	if users.slow {
		c.users = filepath.Join(dir, "users")
		var list strings.Builder
		for i, hash := 0, slowHash(); i < users.n; i++ {
			fmt.Fprintf(&list, "u%d:{ARGON2ID}%s\n", i, hash)
		}
		if err := os.WriteFile(c.users, []byte(list.String()), 0o644); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(config, []byte(c.text()), 0o644); err != nil {
		return nil, err
	}
	in.box = func(user int) string { return filepath.Join(dir, "mail", fmt.Sprintf("u%d", user)) }
	return in, in.launch(ctx, dir, exec.Command(path, "-F", "-c", config))
}

// dovecotConfig is what its configuration depends on.
type dovecotConfig struct {
	dir, pop3, pop3s, lmtp, cert, key string
	users                             string // a file with hashes, or empty
	tuned                             bool
}

func (c dovecotConfig) text() string {
	port := func(address string) string {
		_, port, _ := net.SplitHostPort(address)
		return port
	}
	protocols, lmtp := "pop3", ""
	if c.lmtp != "" {
		protocols = "pop3 lmtp"
		lmtp = `service lmtp {
  inet_listener lmtp {
    port = ` + port(c.lmtp) + `
  }
}
`
	}
	passdb := "  driver = static\n  args = password=" + password + "\n"
	if c.users != "" {
		passdb = "  driver = passwd-file\n  args = " + c.users + "\n"
	}
	login, pop, extra := "", "", ""
	if c.tuned {
		login = "  service_count = 0\n  client_limit = 2000\n  process_min_avail = 2\n"
		pop = "  service_count = 0\n  client_limit = 500\n  process_min_avail = 2\n"
		extra = "protocol pop3 {\n  pop3_no_flag_updates = yes\n  pop3_fast_size_lookups = yes\n}\n"
	}
	return `base_dir = ` + c.dir + `/run
state_dir = ` + c.dir + `/run
log_path = ` + c.dir + `/dovecot.log
protocols = ` + protocols + `
listen = 127.0.0.1
ssl = yes
ssl_cert = <` + c.cert + `
ssl_key = <` + c.key + `
disable_plaintext_auth = no
default_client_limit = 30000
default_process_limit = 20000
mail_max_userip_connections = 20000
mail_location = maildir:` + c.dir + `/mail/%n
auth_username_format = %n
auth_cache_size = 10M
first_valid_uid = 1
service anvil {
  client_limit = 40000
}
service auth {
  client_limit = 40000
}
passdb {
` + passdb + `}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=` + c.dir + `/mail/%n
}
service pop3-login {
  process_limit = 20000
  inet_listener pop3 {
    port = ` + port(c.pop3) + `
  }
  inet_listener pop3s {
    port = ` + port(c.pop3s) + `
    ssl = yes
  }
` + login + `}
service pop3 {
  process_limit = 20000
` + pop + `}
` + lmtp + extra
}
