// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/term"

	"restante.example/internal/accounts"
	"restante.example/pop3"
	"restante.example/sasl"
)

// terminal returns standard input if it is a terminal.
func (c *console) terminal() *os.File {
	tty, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return nil
	}
	return tty
}

// prompter asks for passwords, one at a time, and each once.
type prompter struct {
	c *console
	// hold and release keep other output away while somebody types.
	hold, release func()

	mu    sync.Mutex
	known map[string]sasl.Secret
}

// ask asks for the password of an account. It is kept in memory until the
// program ends, for a second session.
func (p *prompter) ask(ctx context.Context, a *accounts.Account) (sasl.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.known[a.Name]; ok {
		return s, nil
	}
	p.hold()
	defer p.release()
	s, err := p.c.askPassword(ctx, p.c.text("Password of %s at %s: ", pop3.Printable(a.User), a.Host()))
	if err != nil {
		return "", err
	}
	if p.known == nil {
		p.known = make(map[string]sasl.Secret)
	}
	p.known[a.Name] = s
	return s, nil
}

// askPassword asks on the terminal, without showing what is typed.
func (c *console) askPassword(ctx context.Context, prompt string) (sasl.Secret, error) {
	tty := c.terminal()
	if tty == nil {
		return "", accounts.ErrNoPassword
	}
	state, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprint(c.err, prompt)
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() { // ReadPassword cannot be cancelled; the program ends soon after
		text, err := term.ReadPassword(int(tty.Fd()))
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		fmt.Fprintln(c.err)
		if a.err != nil || len(a.text) == 0 {
			return "", errors.Join(accounts.ErrNoPassword, a.err)
		}
		return sasl.Secret(a.text), nil
	case <-ctx.Done():
		fmt.Fprintln(c.err)
		return "", errors.Join(ctx.Err(), term.Restore(int(tty.Fd()), state))
	}
}
