// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"restante.example/internal/cert"
	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/daemon"
)

type checkCommand struct{ place }

// Help is shown below the flags.
func (checkCommand) Help() string {
	return `Every mistake in the file is shown with its line; then the certificate, the data directory, the trees
of mail, the passwd-file and the helper are tried as the user that the server runs as. Run it as root to try as that user.

Example: restanted check-config --config /etc/restante/restanted.toml`
}

// Run checks a configuration and what it leads to. It changes nothing.
func (k *checkCommand) Run(ctx context.Context, c *console) error {
	conf, err := k.load(c, config.Flags{})
	if err != nil {
		return err
	}
	check := &checker{console: c, conf: conf}
	check.certificates()
	if check.data() {
		if err := daemon.BecomeOwner(conf.Data); err != nil {
			return err
		}
		check.readableKeys()
		check.tokens()
		check.trees()
		check.sources()
		check.users(ctx, &k.place)
	}
	if check.problems > 0 {
		return c.fail(exitConfig, "problems found: %d", check.problems)
	}
	c.say("Nothing is wrong with the configuration.")
	return nil
}

// checker counts what it finds.
type checker struct {
	*console
	conf     *config.Config
	problems int
}

func (k *checker) problem(format string, args ...any) {
	k.problems++
	k.say(format, args...)
}

// certificates tries to load each certificate, and looks at who can read its
// key.
func (k *checker) certificates() {
	for _, c := range k.conf.AllCertificates() {
		if _, err := cert.Load(c.CertFile, c.KeyFile, quietLog(k.err)); err != nil {
			k.problem("the certificate cannot be used: %v", err)
			continue
		}
		if info, err := os.Stat(c.KeyFile); err == nil && info.Mode().Perm()&0o007 != 0 {
			k.problem("everybody on this machine may read the key %s; chmod 600 %s mends it", c.KeyFile, c.KeyFile)
		}
	}
}

// readableKeys looks whether the server, once it is the owner of its data, can
// still read certificates that are renewed.
func (k *checker) readableKeys() {
	var files []string
	for _, c := range k.conf.AllCertificates() {
		files = append(files, c.CertFile, c.KeyFile)
	}
	slices.Sort(files) // the two may be one file
	for _, name := range slices.Compact(files) {
		if err := unix.Access(name, unix.R_OK); errors.Is(err, fs.ErrPermission) {
			k.problem("%s cannot be read by the server once it runs: a renewed certificate would be found only at a restart", name)
		}
	}
	if name := k.conf.Clients.CAFile; name != "" && k.conf.Accepts("EXTERNAL") {
		if err := unix.Access(name, unix.R_OK); err != nil {
			k.problem("ca_file %s cannot be read by the server once it runs: %v", name, err)
		}
	}
	for _, a := range k.conf.Listeners {
		if a.ClientCA == "" {
			continue
		}
		if err := unix.Access(a.ClientCA, unix.R_OK); err != nil {
			k.problem("client_ca %s cannot be read by the server once it runs: %v", a.ClientCA, err)
		}
	}
}

// tokens tries the files that the checking of tokens needs. The provider itself
// is not asked: it may be down, and that is no mistake in the file.
func (k *checker) tokens() {
	if !k.conf.Tokens.On() {
		return
	}
	if _, err := daemon.TokenOptions(k.conf); err != nil {
		k.problem("tokens could not be checked: %v", err)
	}
}

// data looks at the data directory, and reports whether it is there.
func (k *checker) data() bool {
	info, err := os.Stat(k.conf.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.say("The data directory %s is not there yet; the server makes it.", k.conf.Data)
		return false
	case err != nil:
		k.problem("the data directory: %v", err)
		return false
	case !info.IsDir():
		k.problem("the data directory %s is no directory", k.conf.Data)
		return false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 && st.Uid == 0 && k.getenv(asRootVariable) == "" {
		k.problem("root owns the data directory %s, and the server does not serve as root; chown it to a user of its own", k.conf.Data)
	}
	if info.Mode().Perm()&0o022 != 0 {
		k.problem("others may write to the data directory %s; chmod 700 %s mends it", k.conf.Data, k.conf.Data)
	}
	return true
}

// usable reports why the server could not work in a directory, or nil.
func usable(dir string) error {
	return unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK)
}

// trees looks at every tree that a Maildir template leads to, whether it has a
// user yet or not.
func (k *checker) trees() {
	if k.conf.Maildir == "" {
		return
	}
	found := 0
	k.walk("/", strings.Split(strings.Trim(filepath.Clean(k.conf.Maildir), "/"), "/"), &found)
	k.say("Maildirs found under %s: %d", k.conf.Maildir, found)
}

// walk goes down the parts of the template.
func (k *checker) walk(dir string, parts []string, found *int) {
	if len(parts) == 0 {
		k.maildir(dir, found)
		return
	}
	if !strings.Contains(parts[0], "{") {
		next := filepath.Join(dir, parts[0])
		if _, err := os.Lstat(next); err == nil {
			k.walk(next, parts[1:], found)
		} else if !errors.Is(err, fs.ErrNotExist) {
			k.problem("the server cannot look into %s: %v", dir, err)
		}
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		k.problem("the server cannot look into %s: %v", dir, err)
		return
	}
	before, after := around(parts[0])
	for _, e := range entries {
		if e.IsDir() && len(e.Name()) > len(before)+len(after) &&
			strings.HasPrefix(e.Name(), before) && strings.HasSuffix(e.Name(), after) {
			k.walk(filepath.Join(dir, e.Name()), parts[1:], found)
		}
	}
}

// around returns what stands before and behind the placeholders of a part.
func around(part string) (before, after string) {
	return part[:strings.IndexByte(part, '{')], part[strings.LastIndexByte(part, '}')+1:]
}

// maildir looks at one Maildir.
func (k *checker) maildir(dir string, found *int) {
	subs := 0
	for _, sub := range []string{"new", "cur", "tmp"} {
		name := filepath.Join(dir, sub)
		err := usable(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		subs++
		if err != nil {
			k.problem("the server cannot read and write %s: %v", name, err)
		}
	}
	if subs > 0 {
		*found++
	} else if err := usable(dir); err != nil {
		k.problem("the server cannot read and write %s: %v", dir, err)
	}
}

// users asks how the maildrop of each user does.
func (k *checker) users(ctx context.Context, p *place) {
	if err := usable(k.conf.Data); err != nil {
		k.problem("the server cannot read and write %s: %v", k.conf.Data, err)
		return
	}
	if _, err := os.Stat(daemon.UsersFile(k.conf)); errors.Is(err, fs.ErrNotExist) {
		return // nobody has been added yet, and asking would make the file
	}
	err := p.reach(ctx, k.console, func(caller control.Caller, _ *config.Config) error {
		var list []daemon.UserInfo
		if err := caller.Call(ctx, daemon.OpUserList, daemon.Nothing{}, nil, &list); err != nil {
			return err
		}
		for _, u := range list {
			if u.Problem != "" {
				k.problem("the mail of %s cannot be read: %s", u.Name, u.Problem)
			}
		}
		k.say("Users: %d", len(list))
		k.mechanisms(list)
		k.shadowed(list)
		return nil
	})
	if err != nil {
		k.problem("the users cannot be read: %s", fmt.Sprint(err))
	}
}
