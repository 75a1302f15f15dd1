// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"context"
	"log/slog"
	"strings"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// noteClient finds out whom the certificate stands for that the client has shown
// in the handshake.
func (c *conn) noteClient() {
	c.signIn.names = nil
	if c.opt.Certificate == nil || !c.rules.accepted[mechExternal] {
		return
	}
	state := c.tls.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return
	}
	names, err := c.opt.Certificate(state)
	if err != nil {
		c.log(slog.LevelInfo, "the client certificate opens nothing", slog.String("remote", c.remoteText()),
			slog.String("subject", oneLine(state.PeerCertificates[0].Subject.String())), slog.Any("error", err))
		return
	}
	c.signIn.names = names
}

// external makes the server of EXTERNAL. RFC 4422 appendix A.
func (x *exchange) external(c *conn) {
	var p maildrop.Principal
	x.result = func() (maildrop.Principal, error) { return p, nil }
	x.Server = sasl.ExternalServer(func(identity string) error {
		name, ok := chooseName(c.signIn.names, identity)
		x.named(c, name)
		if !ok {
			return errIdentity
		}
		err := c.ask(x.attempt, func(ctx context.Context) (err error) {
			p, err = c.identify(ctx, x.attempt)
			return err
		})
		c.after(x.attempt, err)
		return err
	})
}

// chooseName finds the name in a certificate that a client wants to act as: the
// only one, where it says none. Otherwise it returns what was wanted.
func chooseName(names []string, identity string) (string, bool) {
	if identity == "" && len(names) == 1 {
		return names[0], true
	}
	for _, name := range names {
		// How the certificate writes it counts; the directory may care.
		if strings.EqualFold(name, identity) {
			return name, true
		}
	}
	return identity, false
}

// identify asks the directory who somebody is who has proven a name.
func (c *conn) identify(ctx context.Context, a maildrop.Attempt) (maildrop.Principal, error) {
	d, ok := c.opt.Directory.(maildrop.Identifier)
	if !ok {
		return maildrop.Principal{}, errNoBackend
	}
	return d.Identify(ctx, a)
}

func (c *conn) identifies() bool {
	_, ok := c.opt.Directory.(maildrop.Identifier)
	return ok
}
