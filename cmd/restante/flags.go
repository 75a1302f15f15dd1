// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"restante.example/internal/accounts"
)

// placeFlags say where accounts and journals are.
type placeFlags struct {
	Config string `placeholder:"FILE" help:"The accounts. Default: ~/.config/restante/config.toml."`
	State  string `placeholder:"DIR" help:"Where journals are. Default: ~/.local/state/restante."`
}

func (p *placeFlags) file(c *console) (string, error) {
	if p.Config != "" {
		return p.Config, nil
	}
	return accounts.DefaultFile(c.getenv)
}

func (p *placeFlags) state(c *console) (string, error) {
	if p.State != "" {
		return p.State, nil
	}
	return accounts.DefaultState(c.getenv)
}

// load reads the accounts of the file.
func (p *placeFlags) load(c *console) ([]*accounts.Account, error) {
	file, err := p.file(c)
	if err != nil {
		return nil, err
	}
	list, err := accounts.Load(file, c.getenv("HOME"))
	var problems accounts.Problems
	switch {
	case errors.As(err, &problems):
		return nil, c.fail(exitConfig, "the accounts cannot be used:\n%v", problems)
	case errors.Is(err, fs.ErrNotExist):
		return nil, c.fail(exitConfig, "there is no file %s with accounts; write one, or name a server with --server", file)
	case err != nil:
		return nil, c.fail(exitConfig, "the accounts cannot be read: %v", err)
	}
	return list, nil
}

// choose returns the accounts that are named, or all that are not off.
func (p *placeFlags) choose(c *console, names []string) ([]*accounts.Account, error) {
	all, err := p.load(c)
	if err != nil {
		return nil, err
	}
	var list []*accounts.Account
	for _, name := range names {
		i := slices.IndexFunc(all, func(a *accounts.Account) bool { return a.Name == name })
		if i < 0 {
			return nil, c.fail(exitUsage, "there is no account %s; restante status shows which there are", name)
		}
		if !slices.Contains(list, all[i]) {
			list = append(list, all[i])
		}
	}
	if len(names) == 0 {
		list = slices.DeleteFunc(all, func(a *accounts.Account) bool { return a.Off })
	}
	return list, nil
}

// serverFlags name a server without a file.
type serverFlags struct {
	Server           string        `placeholder:"HOST[:PORT]" help:"Collect from this server instead of the accounts in the file."`
	TLS              string        `name:"tls" placeholder:"implicit|stls|none" help:"How the connection is kept private. Default: implicit (port 995)."`
	User             string        `placeholder:"NAME" help:"Who signs in."`
	PasswordCommand  string        `placeholder:"CMD" help:"A command that prints the password."`
	PasswordFile     string        `placeholder:"FILE" help:"A file with the password in its first line."`
	Keyring          bool          `help:"Take the password from the system's keyring."`
	Netrc            string        `placeholder:"FILE" help:"Take the password from a netrc file."`
	TokenCommand     string        `placeholder:"CMD" help:"A command that prints an OAuth2 access token."`
	CA               string        `name:"ca" placeholder:"FILE" help:"Trust the certificates in this file instead of the system's."`
	Pin              []string      `placeholder:"SHA256" help:"Accept only the certificate with this fingerprint."`
	Timeout          accounts.Days `default:"60s" placeholder:"60s" help:"How long to wait for the server at each step."`
	Proxy            string        `placeholder:"HOST:PORT" help:"Go through this SOCKS5 proxy."`
	InsecurePassword bool          `help:"With --tls none: show password and mail to everybody on the way."`
}

// adHoc reports whether a server was named, and complains of flags that mean
// nothing without one.
func (f *serverFlags) adHoc(c *console, names []string) (bool, error) {
	if f.Server != "" {
		if len(names) > 0 {
			return false, c.fail(exitUsage, "name accounts or a server, not both")
		}
		return true, nil
	}
	zero := serverFlags{Timeout: f.Timeout}
	if f.TLS != zero.TLS || f.User != "" || f.PasswordCommand != "" || f.PasswordFile != "" || f.Keyring || f.Netrc != "" ||
		f.TokenCommand != "" || f.CA != "" || len(f.Pin) > 0 || f.Proxy != "" || f.InsecurePassword {
		return false, c.fail(exitUsage, "these flags describe a server, and none is named; add --server HOST[:PORT]")
	}
	return false, nil
}

func (f *serverFlags) settings() accounts.Settings {
	return accounts.Settings{
		Server: f.Server, TLS: f.TLS, User: f.User, PasswordCommand: f.PasswordCommand, PasswordFile: f.PasswordFile, Keyring: f.Keyring,
		Netrc: f.Netrc, TokenCommand: f.TokenCommand, CA: f.CA, Pin: f.Pin, Timeout: f.Timeout, Proxy: f.Proxy,
		InsecurePassword: f.InsecurePassword,
	}
}

// keepFlag is --keep, --keep=30d or --keep 30d.
type keepFlag struct {
	set bool
	age accounts.Days
}

// IsBool makes kong accept the flag without a value.
func (*keepFlag) IsBool() bool { return true }

// Decode reads the value behind "=", or the next word if it is a time: a server
// is named beside --keep, and then no word is an account.
func (k *keepFlag) Decode(ctx *kong.DecodeContext) error {
	k.set = true
	next := ctx.Scan.Peek()
	if next.Type != kong.FlagValueToken {
		if word, ok := next.Value.(string); ok && k.age.UnmarshalText([]byte(word)) == nil {
			ctx.Scan.Pop()
		}
		return nil
	}
	value, ok := ctx.Scan.Pop().Value.(string)
	if !ok {
		return errors.New("write it as in --keep=30d")
	}
	return k.age.UnmarshalText([]byte(value))
}

// home is the home directory, for "~" in paths.
func (c *console) home() string {
	if home := c.getenv("HOME"); home != "" {
		return home
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "" // then ~ is a name like any other
	}
	return home
}

// minutes shows a time as people say it.
func minutes(d time.Duration) string {
	text := d.Round(time.Second).String()
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return text
}
