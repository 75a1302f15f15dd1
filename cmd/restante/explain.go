// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"

	"restante.example/collect"
	"restante.example/collect/sqlitejournal"
	"restante.example/internal/accounts"
	"restante.example/internal/collector"
	"restante.example/pop3"
	"restante.example/pop3client"
)

// explain turns the error of an account into words, with what to do, and the
// exit status.
func (c *console) explain(a *accounts.Account, err error) (string, int) {
	var refusal *pop3.Error
	var dns *net.DNSError
	var network net.Error
	var place *collector.DestinationError
	var journal *collector.JournalError
	var secret *accounts.SecretError
	var setting *accounts.SettingsError
	var noTLS tls.RecordHeaderError
	var farewell *pop3client.FarewellError
	fingerprint, certificate := pop3client.CertificateFingerprint(err)
	shown := collector.Words(err)
	switch {
	case errors.Is(err, context.Canceled):
		return c.text("interrupted; the next run goes on from here"), exitTempfail
	case errors.Is(err, sqlitejournal.ErrLocked):
		return c.text("another restante is collecting for this account; try again when it is done"), exitTempfail
	case errors.As(err, &secret):
		return c.text("the password cannot be read: %s", collector.Words(secret.Err)), exitConfig
	case errors.Is(err, accounts.ErrNoPassword):
		return c.text("there is no password, and no terminal to ask on; name a password_command (--password-command) or a password_file"), exitConfig
	case errors.As(err, &setting):
		return shown, exitConfig
	case errors.As(err, &place):
		return c.text("the destination %s cannot be used: %s", place.Spec, collector.Words(place.Err)), exitCantCreate
	case errors.As(err, &journal):
		return c.text("the journal cannot be used: %s", shown), exitIO
	case errors.Is(err, collect.ErrJournal):
		return c.text("the journal cannot be used: %s", shown), exitIO
	case certificate:
		return c.explainCertificate(a, err, fingerprint), exitProtocol
	case errors.As(err, &noTLS):
		return c.text("%s does not speak TLS on this port; try --tls implicit with port 995, or --tls stls with port 110", a.Address()), exitProtocol
	case errors.Is(err, pop3client.ErrNoGreeting):
		return c.text("%s says nothing in clear text; perhaps this port wants TLS from the start: try --tls implicit", a.Address()), exitProtocol
	case errors.Is(err, pop3client.ErrNoSTLS):
		return c.text("%s offers no TLS on this port, and the password is not sent without; try --tls implicit", a.Host()), exitProtocol
	case errors.Is(err, pop3.CodeAuth):
		return c.text("the server refuses the user name or the password: %s; many providers want an app password here", shown), exitNoPerm
	case errors.Is(err, pop3.CodeInUse):
		return c.text("another program is collecting from this mailbox: %s; try again later", shown), exitTempfail
	case errors.Is(err, pop3.CodeLoginDelay):
		return c.text("the server wants some time between two sign-ins: %s; try again later", shown), exitTempfail
	case errors.As(err, &refusal):
		switch {
		case refusal.Temporary():
			return c.text("the server cannot serve now: %s; try again later", shown), exitTempfail
		case refusal.Code == "" && (refusal.Command == "PASS" || refusal.Command == "AUTH" || refusal.Command == "APOP" || refusal.Command == "USER"):
			return c.text("the server refuses the user name or the password: %s; many providers want an app password here", shown), exitNoPerm
		}
		return c.text("the server refuses: %s", shown), exitUnavailable
	case errors.As(err, &farewell):
		return c.text("the server cannot serve now: %s; try again later", shown), exitTempfail
	case errors.Is(err, pop3client.ErrNotASCII):
		return c.text("the user name or the password has letters beyond ASCII, which %s does not say that it takes; use a password of ASCII letters", a.Host()), exitNoPerm
	case errors.Is(err, pop3client.ErrClearText), errors.Is(err, pop3client.ErrNoMechanism), errors.Is(err, pop3client.ErrTokenTooLong):
		return shown, exitProtocol
	case errors.As(err, &dns) && dns.IsNotFound && a.Proxy != "": // which looks up the server's name itself
		return c.text("there is no proxy %s; is the name right?", a.Proxy), exitNoHost
	case errors.As(err, &dns) && dns.IsNotFound:
		return c.text("there is no server %s; is the name right?", a.Host()), exitNoHost
	case errors.Is(err, pop3client.ErrProtocol), errors.Is(err, pop3client.ErrLimit):
		return c.text("the server does not behave as a POP3 server: %s", shown), exitProtocol
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return c.text("%s does not answer: %s", c.way(a), shown), exitTempfail
	case errors.As(err, &network), errors.Is(err, pop3client.ErrBroken):
		return c.text("the connection to %s failed: %s", c.way(a), shown), exitTempfail
	}
	return shown, exitTempfail
}

// way is where a connection leads, and through what.
func (c *console) way(a *accounts.Account) string {
	if a.Proxy != "" {
		return c.text("%s through the proxy %s", a.Address(), a.Proxy)
	}
	return a.Address()
}

// explainCertificate says what is wrong with a certificate and what to do.
func (c *console) explainCertificate(a *accounts.Account, err error, fingerprint string) string {
	if errors.Is(err, pop3client.ErrPin) {
		return c.text("the certificate of %s is not the pinned one. It has the fingerprint\n  %s\n"+
			"If the server's owner confirms that it was renewed, pin that one instead; if not, somebody may be listening.",
			a.Address(), fingerprint)
	}
	return c.text("the certificate of %s cannot be trusted: %s\nIt has the fingerprint\n  %s\n"+
		"If the server's owner confirms it, trust just that one with --pin (pin = in the file); "+
		"if an authority of your own has signed it, name that with --ca.",
		a.Address(), collector.Words(err), fingerprint)
}
