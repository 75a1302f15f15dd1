// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"restante.example/pop3client"
	"restante.example/sasl"
)

// KeyringService is the name under which passwords are in the system's keyring.
const KeyringService = "restante"

// maxSecret bounds what a command or a file may give, in octets.
const maxSecret = 64 << 10

// commandTimeout is how long a command may take to print a password.
const commandTimeout = 2 * time.Minute

// What a shell ends with when it cannot run a command. POSIX, Shell 2.8.2.
const (
	notExecutable = 126
	notFound      = 127
)

// ErrNoPassword: nobody can be asked for the password now.
var ErrNoPassword = errors.New("there is no password")

// SecretError: what the settings name has no password, and will not have one
// before somebody does something about it. It is ErrNoPassword.
type SecretError struct{ Err error }

func (e *SecretError) Error() string { return ErrNoPassword.Error() + ": " + e.Err.Error() }
func (e *SecretError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrNoPassword) true.
func (e *SecretError) Is(target error) bool { return target == ErrNoPassword }

// noSecret makes a SecretError.
func noSecret(format string, args ...any) error {
	return &SecretError{fmt.Errorf(format, args...)}
}

// Source is where secrets come from that are not in the settings.
type Source struct {
	Getenv func(string) string
	// Unlocked returns the password that a person gave while this runs, or "". It
	// comes before the settings, which have the one that was refused. It may be nil.
	Unlocked func(a *Account) sasl.Secret
	// Ask asks a person; it returns ErrNoPassword where there is none.
	Ask func(ctx context.Context, a *Account) (sasl.Secret, error)
	// Warn is told of what is unwise and not refused; it may be nil.
	Warn func(err error)
	// Single is true when there is one account only: RESTANTE_PASSWORD is its
	// password then.
	Single bool
}

// Credentials returns what the account signs in with.
func (a *Account) Credentials(ctx context.Context, from Source) (pop3client.Credentials, error) {
	c := pop3client.Credentials{User: a.User}
	if a.Mechanism != "" {
		c.Choose = func(pop3client.Offer) []string { return []string{strings.ToUpper(a.Mechanism)} }
	}
	if a.TokenCommand != "" {
		token, err := secretFrom(ctx, a.TokenCommand)
		c.Token = token
		host := strings.ToLower(a.host)
		c.TwoLineToken = strings.HasSuffix(host, ".office365.com") || strings.HasSuffix(host, ".outlook.com")
		return c, lasting(err)
	}
	var err error
	c.Password, err = a.password(ctx, from)
	switch {
	case err != nil:
	case c.Password == "":
		err = noSecret("the password is empty")
	case strings.ContainsAny(string(c.Password), "\r\n\x00"):
		err = noSecret("the password has a line end in it")
	}
	return c, lasting(err)
}

// lasting makes a SecretError of a file that is not there or cannot be read.
func lasting(err error) error {
	if !errors.Is(err, ErrNoPassword) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		return noSecret("%w", err)
	}
	return err
}

func (a *Account) password(ctx context.Context, from Source) (sasl.Secret, error) {
	if from.Unlocked != nil {
		if s := from.Unlocked(a); s != "" {
			return s, nil
		}
	}
	switch {
	case a.Password != "":
		return sasl.Secret(a.Password), nil
	case a.PasswordCommand != "":
		return secretFrom(ctx, a.PasswordCommand)
	case a.PasswordFile != "":
		return secretFile(a.PasswordFile, from.Warn)
	case a.PasswordEnv != "":
		if s := from.Getenv(a.PasswordEnv); s != "" {
			return sasl.Secret(s), nil
		}
		return "", noSecret("the environment has no %s", a.PasswordEnv)
	case a.Keyring:
		return keyringPassword(a.Name)
	case a.Netrc != "":
		return netrcPassword(a.Netrc, a.host, a.User)
	}
	if s := from.Getenv("RESTANTE_PASSWORD_" + envName(a.Name)); s != "" {
		return sasl.Secret(s), nil
	}
	if s := from.Getenv("RESTANTE_PASSWORD"); s != "" && from.Single {
		return sasl.Secret(s), nil
	}
	if from.Ask == nil {
		return "", ErrNoPassword
	}
	return from.Ask(ctx, a)
}

// keyringPassword asks the system's keyring. Without a session there is none: its
// bus has no address, or cannot be started.
func keyringPassword(name string) (sasl.Secret, error) {
	s, err := keyring.Get(KeyringService, name)
	var launcher *exec.ExitError
	switch {
	case err == nil:
		return sasl.Secret(s), nil
	case errors.Is(err, keyring.ErrNotFound):
		return "", noSecret("the keyring has no password for %s; put it there: restante unlock --keyring %s", name, name)
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return "", noSecret("this system has no keyring that is known")
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.As(err, &launcher):
		return "", noSecret("there is no keyring here, because there is no session with a D-Bus (%w)", err)
	}
	return "", fmt.Errorf("the keyring does not answer: %w", err)
}

// envName is how an account's name stands in the name of a variable.
func envName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// firstLine is the secret in what a command or a file gave.
func firstLine(data []byte) (sasl.Secret, error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return "", errors.New("no password in its first line")
	}
	return sasl.Secret(line), nil
}

// secretFile reads a file that holds nothing else. Containers mount such files
// with modes that nobody chose, so a readable one is only warned of.
func secretFile(name string, warn func(error)) (sasl.Secret, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	if err := checkPrivate(name); err != nil && warn != nil {
		warn(err)
	}
	s, err := firstLine(data[:min(len(data), maxSecret)])
	if err != nil {
		return "", noSecret("%s: %w", name, err)
	}
	return s, nil
}

// secretFrom runs a command by the shell and takes the first line that it prints.
// That it fails may pass: an agent is locked, or a network is down. That there is
// no such command, or that it has nothing to say, will not.
func secretFrom(parent context.Context, command string) (sasl.Secret, error) {
	ctx, cancel := context.WithTimeout(parent, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	if runtime.GOOS == "windows" {
		cmd = exec.CommandContext(ctx, "cmd", "/C", command)
	}
	cmd.WaitDelay = time.Second
	var out limited
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, os.Stderr, os.Stdin // it may ask for a passphrase
	if err := cmd.Run(); err != nil {
		code := cmd.ProcessState.ExitCode()
		switch {
		case parent.Err() != nil:
			return "", context.Cause(parent)
		case ctx.Err() != nil:
			return "", fmt.Errorf("the password command has not ended after %v", commandTimeout)
		case code == notFound || code == notExecutable:
			return "", noSecret("the password command cannot be run: %w", err)
		}
		return "", fmt.Errorf("the password command failed: %w", err)
	}
	s, err := firstLine(out.data)
	if err != nil {
		return "", noSecret("the password command: %w", err)
	}
	return s, nil
}

// limited keeps the first octets.
type limited struct{ data []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.data = append(l.data, p[:min(len(p), maxSecret-len(l.data))]...)
	return len(p), nil
}

// netrcPassword looks a password up in the form of ftp(1): "machine HOST login
// USER password SECRET", in any order and over any lines; "default" stands for
// every machine.
func netrcPassword(name, host, user string) (sasl.Secret, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		name = filepath.Join(home, rest)
	}
	if err := checkPrivate(name); err != nil {
		return "", noSecret("%w", err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	var machine, login string
	matches := false
	words := netrcWords(string(data))
	for i := 0; i+1 <= len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "default":
			matches, machine, login = true, "", ""
			continue
		case "machine":
			machine, login = next, ""
			matches = strings.EqualFold(machine, host)
		case "login":
			login = next
		case "password":
			if matches && (login == "" || login == user) {
				// The login may come behind the password.
				if login == "" && i+3 < len(words) && words[i+2] == "login" && words[i+3] != user {
					break
				}
				return sasl.Secret(next), nil
			}
		default:
			continue
		}
		i++
	}
	return "", noSecret("%s has no password for %s at %s", name, user, host)
}

// netrcWords splits at blanks; quotes hold a word together, # begins a comment,
// and a macro goes to the next empty line.
func netrcWords(text string) []string {
	var words []string
	inMacro := false
	for _, line := range strings.Split(text, "\n") {
		if inMacro {
			inMacro = strings.TrimSpace(line) != ""
			continue
		}
		for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimSpace(line) {
			var word string
			if line[0] == '"' {
				word, line, _ = strings.Cut(line[1:], "\"")
			} else if i := strings.IndexAny(line, " \t"); i >= 0 {
				word, line = line[:i], line[i:]
			} else {
				word, line = line, ""
			}
			if word == "macdef" {
				inMacro = true
				break
			}
			words = append(words, word)
		}
	}
	return words
}
