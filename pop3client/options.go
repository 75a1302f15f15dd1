// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Dialer opens network connections; *net.Dialer is one, SOCKS5 returns one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Options says how to speak to a server. A nil pointer and zero fields mean
// the defaults. It is copied when a Client is made.
type Options struct {
	// Dialer opens the connections of the Dial functions, with a context that
	// ends after Timeout. Default: a net.Dialer.
	Dialer Dialer

	// TLS is the base of the TLS configuration: root certificates, client
	// certificates, versions. Default: the system's roots and TLS 1.2 or
	// newer. ServerName is taken from the address where it is empty, and ALPN
	// "pop3" is offered. InsecureSkipVerify without a VerifyConnection of
	// yours is refused: use PinSHA256.
	TLS *tls.Config
	// PinSHA256 are fingerprints (SHA-256 over the certificate, see
	// Fingerprint; hexadecimal, colons and letter case do not matter). The
	// server must show a certificate with one of them, and then neither
	// authorities nor names nor dates are asked.
	PinSHA256 []string

	// Timeout bounds dialling, the TLS handshake, each read, each write, and
	// the wait for each status line. Default: 60 seconds.
	Timeout time.Duration
	// SessionTimeout bounds the whole connection. Default: 6 hours.
	SessionTimeout time.Duration
	// CapaTimeout bounds the wait for the capabilities, since there are
	// servers that never answer CAPA. Default: 15 seconds, at most Timeout.
	CapaTimeout time.Duration
	// MinRate is how many octets a second a listing or message must bring on
	// average over each Timeout of waiting for it. Default: 16; negative: no
	// such bound.
	MinRate int

	// SkipCapabilities never sends CAPA, for servers that hang or close at it.
	// Sign-in is then by USER and PASS unless Credentials.Choose says else.
	SkipCapabilities bool
	// UTF8 has SignIn ask for UTF-8 first where the server announces it: a server
	// may refuse messages that were sent with SMTPUTF8 otherwise. See Client.UTF8.
	UTF8 bool
	// NoPipelining sends one command at a time even where the server announces
	// PIPELINING, for servers that fail at it.
	NoPipelining bool
	// Window is how many commands may wait for their replies. Default: 128.
	Window int
	// WindowOctets is how many octets of messages may be asked for ahead; one
	// message may always. Default: 8 MiB.
	WindowOctets int64

	// MaxMessage is the longest message in octets. Default: 2 GiB.
	MaxMessage int64
	// SizeSlack is by how many octets a message may exceed twice its announced
	// size, which is an estimate at some servers. Default: 64 MiB.
	SizeSlack int64
	// MaxRows is the greatest number of rows in a listing. Default: 1,000,000.
	MaxRows int
	// BufferSize is the read buffer in octets. Default: 64 KiB.
	BufferSize int

	// InsecureLocalPassword lets the password travel in clear text to a
	// loopback address or a Unix socket.
	InsecureLocalPassword bool
	// InsecurePassword lets the password travel in clear text to every
	// server: whoever listens on the way has the mailbox.
	InsecurePassword bool

	// Trace is called for each line of the conversation, with secrets
	// replaced and message text left out. See TraceTo.
	Trace func(Event)
}

const (
	maxStatus = 8 << 10  // octets of a status line; RFC 2449 has 512, servers do not keep to it
	maxRow    = 8 << 10  // octets of a row in a listing
	maxCapa   = 1000     // rows of a CAPA reply
	maxDrain  = 8 << 20  // octets read to get past what the caller does not want
	guessSize = 16 << 10 // octets that a message of unknown size counts in the window
)

// withDefaults returns a copy with every zero field filled.
func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	setDefault(&c.Timeout, 60*time.Second)
	setDefault(&c.SessionTimeout, 6*time.Hour)
	setDefault(&c.CapaTimeout, 15*time.Second)
	c.CapaTimeout = min(c.CapaTimeout, c.Timeout)
	setDefault(&c.MinRate, 16)
	setDefault(&c.Window, 128)
	setDefault(&c.WindowOctets, 8<<20)
	setDefault(&c.MaxMessage, 2<<30)
	setDefault(&c.SizeSlack, 64<<20)
	setDefault(&c.MaxRows, 1_000_000)
	setDefault(&c.BufferSize, 64<<10)
	if c.Dialer == nil {
		c.Dialer = &net.Dialer{}
	}
	return c
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
