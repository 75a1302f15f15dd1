// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"restante.example/internal/config"
	"restante.example/internal/daemon"
)

type demoCommand struct {
	Once      bool   `help:"End after the collection; status 0 only if every octet matched."`
	User      string `placeholder:"NAME" default:"demo" help:"Name of the user (default demo)."`
	Password  string `placeholder:"PASSWORD" help:"Password instead of a random one; for tests, since the list of processes shows it."`
	POP3      string `name:"pop3" placeholder:"ADDR" default:"127.0.0.1:0" help:"Offer POP3 on ADDR instead of a free port."`
	POP3S     string `name:"pop3s" placeholder:"ADDR" default:"127.0.0.1:0" help:"Offer POP3S on ADDR instead of a free port."`
	LMTP      string `name:"lmtp" placeholder:"ADDR" default:"127.0.0.1:0" help:"Take mail in on ADDR instead of a free port."`
	Mail      string `placeholder:"DIR" help:"Offer the files of DIR, in the order of their names, instead of the letters."`
	ReadyFile string `placeholder:"FILE" help:"Write where everything is to FILE (JSON) when the mail has been collected."`
}

// Help is shown below the flags.
func (demoCommand) Help() string {
	return `It needs no settings and no rights, and leaves nothing behind.

Example: restanted demo`
}

// Run shows mail delivered and collected.
func (d *demoCommand) Run(ctx context.Context, c *console) error {
	// A reader who goes away (SIGPIPE) must not leave the directory behind.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	dir, err := os.MkdirTemp("", "restante-demo-")
	if err != nil {
		return err
	}
	failed := d.run(ctx, c, dir)
	return errors.Join(failed, os.RemoveAll(dir))
}

func (d *demoCommand) run(ctx context.Context, c *console, dir string) error {
	if d.POP3S == "off" || d.LMTP == "off" {
		return c.fail(exitUsage, "the demo delivers by LMTP and collects by POP3S; neither can be off")
	}
	conf, err := config.Load("", config.Flags{Data: filepath.Join(dir, "data"), POP3: d.POP3, POP3S: d.POP3S, LMTP: d.LMTP}, c.getenv)
	if err != nil {
		return err
	}
	conf.LogLevel = "error" // the conversation is what is to be seen
	// The password dies with the demo, so nobody who steals its key has a use for
	// it, and programs that poll it need not work for a tenth of a second each
	// time. It is the least that RFC 7677 section 4 allows.
	conf.SCRAMIterations = 4096
	server, err := daemon.Open(ctx, conf, daemon.NewLog(c.err, conf), version())
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	go func() { ended <- server.Serve(serving, context.Background()) }()
	shown := d.show(serving, c, server)
	if shown == nil && !d.Once {
		select {
		case <-ctx.Done():
		case err := <-ended:
			ended <- errors.Join(err, errors.New("the server ended by itself"))
		}
	}
	stop()
	err = errors.Join(shown, <-ended)
	if err == nil && !d.Once {
		c.say("The demo has ended; nothing of it is left.")
	}
	return err
}

// show delivers, collects, and says what to type into a mail program.
func (d *demoCommand) show(ctx context.Context, c *console, server *daemon.Server) error {
	ready := server.Ready()
	password := d.Password
	if password == "" {
		password = generatePassword()
	}
	scram := true // so that every way to sign in can be tried
	var user daemon.UserInfo
	err := server.Operations().Call(ctx, daemon.OpUserAdd, daemon.UserArgs{Name: d.User, Password: password, SCRAM: &scram}, nil, &user)
	if err != nil {
		return err
	}
	ready.User = user.Name

	letters, err := d.letters(c)
	if err != nil {
		return err
	}
	c.say("restanted is running: mail comes in by LMTP on %s and goes out by POP3S on %s.", ready.LMTP, ready.POP3S)
	c.say("Its data is in %s and will be removed at the end.", ready.Data)
	c.say("")
	if err := deliverLetters(ctx, ready.LMTP, user.Name, letters); err != nil {
		return fmt.Errorf("LMTP %s: %w", ready.LMTP, err)
	}
	c.say("Letters delivered by LMTP: %d. Each is safe on the disk.", len(letters))
	c.say("Now a mail program collects them by POP3S (C: is the program, S: the server):")
	c.say("")
	if err := collectLetters(ctx, c, ready, password, letters); err != nil {
		return fmt.Errorf("POP3S %s: %w", ready.POP3S, err)
	}
	c.say("")
	c.say("Letters that came back, every octet as it was delivered: %d", len(letters))
	if d.ReadyFile != "" {
		if err := daemon.WriteReady(d.ReadyFile, ready); err != nil {
			return err
		}
	}
	if !d.Once {
		c.showDemoSettings(ready, password)
	}
	return nil
}

// showDemoSettings says what to type into a mail program.
func (c *console) showDemoSettings(ready daemon.Ready, password string) {
	_, pop3s, _ := net.SplitHostPort(ready.POP3S) // bound addresses can be split
	c.say("The letters are still there. Try it with your own mail program:")
	c.say("")
	c.say("  type of account  POP3")
	c.say("  server           localhost, port %s, SSL/TLS", pop3s)
	if _, port, err := net.SplitHostPort(ready.POP3); err == nil {
		c.say("                   or port %s, STARTTLS", port)
	}
	c.say("  user name        %s", ready.User)
	c.say("  password         %s", password)
	c.say("  certificate      self-signed, SHA-256 %s", ready.Fingerprint)
	c.say("                   in the file %s", ready.CAFile)
	c.say("")
	c.say("Or in another terminal:")
	c.say("")
	fmt.Fprintf(c.out, "  curl --cacert %s -u '%s:%s' pop3s://localhost:%s/1\n", ready.CAFile, ready.User, password, pop3s)
	// What it files and remembers goes with the demo.
	dir := filepath.Dir(ready.Data)
	fmt.Fprintf(c.out, "  restante fetch --server localhost:%s --tls implicit --ca %s --user %s --password-command 'echo %s' --state %s --to maildir:%s\n",
		pop3s, ready.CAFile, ready.User, password, filepath.Join(dir, "state"), filepath.Join(dir, "collected"))
	c.say("")
	c.say("Mail for %s can be delivered by LMTP to %s. Ctrl-C ends the demo.", ready.User, ready.LMTP)
}
