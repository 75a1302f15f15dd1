// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"restante.example/internal/config"
	"restante.example/internal/daemon"
)

// asRootVariable is that of --insecure-serve-as-root.
const asRootVariable = "RESTANTE_INSECURE_SERVE_AS_ROOT"

type serveCommand struct {
	place
	POP3      string `name:"pop3" placeholder:"ADDR" help:"Offer POP3 with STLS on ADDR, such as :110; off unless asked for."`
	POP3S     string `name:"pop3s" placeholder:"ADDR" help:"Offer POP3 under TLS on ADDR; \"off\" for not at all (default :995)."`
	LMTP      string `name:"lmtp" placeholder:"ADDR" help:"Take mail in on ADDR or unix:PATH; \"off\" for not at all (default: lmtp.sock in the data directory)."`
	TLSCert   string `name:"tls-cert" placeholder:"FILE" help:"Certificate and chain, PEM; without one a self-signed one is made."`
	TLSKey    string `name:"tls-key" placeholder:"FILE" help:"Key of the certificate, PEM."`
	AsRoot    bool   `name:"insecure-serve-as-root" env:"RESTANTE_INSECURE_SERVE_AS_ROOT" help:"Serve as root where root owns the data directory; whoever finds a way in is root then."`
	ReadyFile string `placeholder:"FILE" help:"Write where everything is to FILE (JSON) when the server answers."`
}

// Help is shown below the flags.
func (serveCommand) Help() string {
	return `Flags override the file. SIGHUP reads the configuration again, SIGTERM ends the server in good order.

Example: restanted serve --data ~/mail --pop3s 127.0.0.1:9995 --lmtp 127.0.0.1:2424`
}

// Run runs the server until a signal ends it.
func (s *serveCommand) Run(ctx context.Context, c *console) error {
	load := func() (*config.Config, error) {
		return config.Load(s.file(), config.Flags{Data: s.Data, POP3: s.POP3, POP3S: s.POP3S, LMTP: s.LMTP,
			TLSCert: s.TLSCert, TLSKey: s.TLSKey}, c.getenv)
	}
	conf, err := s.load(c, config.Flags{POP3: s.POP3, POP3S: s.POP3S, LMTP: s.LMTP, TLSCert: s.TLSCert, TLSKey: s.TLSKey})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	err = daemon.Run(ctx, conf, daemon.RunOptions{
		Load: load, Log: daemon.NewLog(c.err, conf), Version: version(), Getenv: c.getenv,
		Signals: signals, ReadyFile: s.ReadyFile, Confine: true, InsecureAsRoot: s.AsRoot,
	})
	if root, ok := errors.AsType[*daemon.RootError](err); ok {
		return c.fail(exitConfig, "restanted does not serve as root, who owns %[1]s or would own it. Give it to a user of its own, whom the server then becomes:\n"+
			"  useradd --system --home-dir %[1]s restante\n  mkdir -p %[1]s && chown -R restante: %[1]s && chmod 700 %[1]s\n"+
			"--insecure-serve-as-root serves as root all the same.", root.Data)
	}
	if owned, ok := errors.AsType[*daemon.OwnedError](err); ok {
		return c.fail(exitFailed, "a server runs on %s already: see it with `restanted status --data %s`, stop it, or name another directory with --data",
			owned.Data, owned.Data)
	}
	if bad, ok := errors.AsType[*daemon.CertificateError](err); ok {
		return c.fail(exitConfig, "the certificate cannot be used: %v; cert_file (--tls-cert) is %s and key_file (--tls-key) is %s",
			bad.Err, bad.CertFile, bad.KeyFile)
	}
	return err
}
