// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

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
	"syscall"
	"time"
)

// server is a way to start one POP3 server over a folder of Maildirs.
type server struct {
	name string
	// lmtp is false where a server takes no mail in by LMTP.
	lmtp  bool
	start func(ctx context.Context, dir string, users int) (*instance, error)
}

// instance is a server that is up. User i is called "u<i>", its password is
// password, and its Maildir is maildir(i).
type instance struct {
	pop3, pop3s, lmtp string
	maildir           func(user int) string
	cmd               *exec.Cmd
	// forget makes the server drop what it learnt of a Maildir.
	forget func(user int) error
}

const password = "bench-Passw0rd"

// stop ends the server and waits for it.
func (in *instance) stop() {
	_ = in.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = in.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = in.cmd.Process.Kill()
		<-done
	}
}

// findServers builds ours and looks for the others.
func findServers(ctx context.Context, dir string) (list []server, notes []string, err error) {
	binary := filepath.Join(dir, "restanted")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "restante.example/cmd/restanted")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("building restanted: %v\n%s", err, out)
	}
	list = append(list, server{name: "restanted", lmtp: true, start: func(ctx context.Context, dir string, users int) (*instance, error) {
		return startRestanted(ctx, binary, dir, users)
	}})
	if path, err := exec.LookPath("dovecot"); err == nil {
		for _, tuned := range []bool{false, true} {
			name := "dovecot"
			if tuned {
				name = "dovecot max"
			}
			list = append(list, server{name: name, start: func(ctx context.Context, dir string, users int) (*instance, error) {
				return startDovecot(ctx, path, dir, users, tuned)
			}})
		}
		version, _ := exec.CommandContext(ctx, path, "--version").Output()
		notes = append(notes, "Dovecot "+strings.TrimSpace(string(version)))
	} else {
		notes = append(notes, "Dovecot is not installed and was left out: apt-get install dovecot-pop3d")
	}
	return list, notes, nil
}

// freeAddress returns a loopback address that nothing listens on at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

func freeAddresses(n int) ([]string, error) {
	list := make([]string, n)
	for i := range list {
		var err error
		if list[i], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// await waits until something listens on every address.
func await(ctx context.Context, cmd *exec.Cmd, log string, addresses ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, a := range addresses {
		for {
			conn, err := net.DialTimeout("tcp", a, time.Second)
			if err == nil {
				_ = conn.Close()
				break
			}
			if ctx.Err() != nil {
				_ = cmd.Process.Kill()
				text, _ := os.ReadFile(log)
				return fmt.Errorf("%s does not listen on %s: %.2000s", cmd.Path, a, text)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

func startRestanted(ctx context.Context, binary, dir string, users int) (*instance, error) {
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	a, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "restanted.toml")
	if err := os.WriteFile(config, []byte(restantedConfig), 0o600); err != nil {
		return nil, err
	}
	for i := range users {
		add := exec.CommandContext(ctx, binary, "user", "add", "--data", data, "--password-stdin", fmt.Sprintf("u%d", i))
		add.Stdin = strings.NewReader(password + "\n")
		if out, err := add.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("user add: %v\n%s", err, out)
		}
	}
	in := &instance{pop3: a[0], pop3s: a[1], lmtp: a[2]}
	in.maildir = func(user int) string { return filepath.Join(data, "mail", fmt.Sprintf("u%d", user), "Maildir") }
	in.forget = func(user int) error { return nil }
	return in, in.launch(ctx, dir, exec.Command(binary, "serve", "--config", config, "--data", data,
		"--pop3", a[0], "--pop3s", a[1], "--lmtp", a[2]))
}

// launch starts the command with its output in a file and waits for its ports.
func (in *instance) launch(ctx context.Context, dir string, cmd *exec.Cmd) error {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	in.cmd = cmd
	if err := cmd.Start(); err != nil {
		return err
	}
	addresses := []string{in.pop3, in.pop3s}
	if in.lmtp != "" {
		addresses = append(addresses, in.lmtp)
	}
	return await(ctx, cmd, log.Name(), addresses...)
}

// restantedConfig raises the limits that one benchmark client would meet; all
// that concerns safety is as it is by default.
const restantedConfig = `
[limits]
sessions = 20000
unauthenticated = 20000
per_address = 20000
lmtp_sessions = 200
`

func startDovecot(ctx context.Context, path, dir string, users int, tuned bool) (*instance, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("dovecot is started as root here; run the benchmark as root, or without Dovecot installed")
	}
	for _, sub := range []string{"run", "mail"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			return nil, err
		}
		if err := os.Chmod(filepath.Join(dir, sub), 0o777); err != nil {
			return nil, err
		}
	}
	if err := openPath(dir); err != nil {
		return nil, err
	}
	a, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	gen := exec.CommandContext(ctx, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
		"-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert)
	if out, err := gen.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("openssl: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(config, []byte(dovecotConfig(dir, a[0], a[1], cert, key, tuned)), 0o644); err != nil {
		return nil, err
	}
	in := &instance{pop3: a[0], pop3s: a[1]}
	in.maildir = func(user int) string { return filepath.Join(dir, "mail", fmt.Sprintf("u%d", user)) }
	in.forget = func(user int) error {
		for _, pattern := range []string{"dovecot*"} {
			files, err := filepath.Glob(filepath.Join(in.maildir(user), pattern))
			if err != nil {
				return err
			}
			for _, f := range files {
				if err := os.RemoveAll(f); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return in, in.launch(ctx, dir, exec.Command(path, "-F", "-c", config))
}

// openPath lets every uid pass through the folders that lead to dir, as far as
// they were made by this run.
func openPath(dir string) error {
	for i := 0; i < 2; i++ {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

func dovecotConfig(dir, pop3, pop3s, cert, key string, tuned bool) string {
	_, port, _ := net.SplitHostPort(pop3)
	_, ports, _ := net.SplitHostPort(pop3s)
	service := `
service pop3-login {
  process_limit = 20000
  inet_listener pop3 {
    port = ` + port + `
  }
  inet_listener pop3s {
    port = ` + ports + `
    ssl = yes
  }
TUNED_LOGIN
}
service pop3 {
  process_limit = 20000
TUNED_POP3
}
`
	login, pop, extra := "", "", ""
	if tuned {
		login = "  service_count = 0\n  client_limit = 2000\n  process_min_avail = 2"
		pop = "  service_count = 0\n  client_limit = 500\n  process_min_avail = 2"
		extra = "protocol pop3 {\n  pop3_no_flag_updates = yes\n  pop3_fast_size_lookups = yes\n}\n"
	}
	service = strings.NewReplacer("TUNED_LOGIN", login, "TUNED_POP3", pop).Replace(service)
	return `
base_dir = ` + dir + `/run
state_dir = ` + dir + `/run
log_path = ` + dir + `/dovecot.log
protocols = pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <` + cert + `
ssl_key = <` + key + `
disable_plaintext_auth = no
default_client_limit = 30000
default_process_limit = 20000
mail_max_userip_connections = 20000
mail_location = maildir:` + dir + `/mail/%u
auth_cache_size = 10M
first_valid_uid = 1
service anvil {
  client_limit = 40000
}
service auth {
  client_limit = 40000
}
passdb {
  driver = static
  args = password=` + password + `
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=` + dir + `/mail/%u
}
` + service + extra
}
