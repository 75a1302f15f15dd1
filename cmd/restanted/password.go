// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// passwordFlags say where a new password comes from. It never comes from the
// command line, which everybody on the machine can see.
type passwordFlags struct {
	PasswordStdin bool `xor:"password" help:"Read the password from standard input, one line."`
	Generate      bool `xor:"password" help:"Make a password and show it."`
}

// maxPassword is how many octets a line with a password may have.
const maxPassword = 1024

// get returns a new password.
func (p *passwordFlags) get(c *console, name string) (string, error) {
	switch {
	case p.Generate:
		return generatePassword(), nil
	case p.PasswordStdin:
		line, err := bufio.NewReader(io.LimitReader(c.in, maxPassword)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if len(line) == maxPassword {
			return "", errors.New(c.text("the password is too long; it may have 255 octets"))
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
	}
	return c.askNewPassword(name)
}

// show shows a password that was made.
func (p *passwordFlags) show(c *console, name, password string) {
	if p.Generate {
		c.say("The password of %s is: %s", name, password)
	}
}

// generatePassword makes a password of 100 random bits that can be read aloud:
// five groups of four characters out of 32, without those that look alike.
func generatePassword() string {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789"
	raw := make([]byte, 20)
	rand.Read(raw) // never fails: crypto/rand ends the process instead
	var b strings.Builder
	for i, r := range raw {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(letters[r%32])
	}
	return b.String()
}

// askNewPassword asks for a password on the terminal, twice, without showing it.
func (c *console) askNewPassword(name string) (string, error) {
	tty, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return "", c.fail(exitUsage, "standard input is no terminal to ask for a password on; use --password-stdin or --generate")
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(c.err, prompt)
		password, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(c.err)
		if errors.Is(err, io.EOF) {
			return "", c.fail(exitFailed, "no password was given; nothing was changed")
		}
		return string(password), err
	}
	first, err := ask(c.text("New password of %s: ", name))
	if err != nil {
		return "", err
	}
	second, err := ask(c.text("The same once more: "))
	if err != nil {
		return "", err
	}
	if first != second {
		return "", c.fail(exitFailed, "the two passwords differ; nothing was changed, try again")
	}
	return first, nil
}
