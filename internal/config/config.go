// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package config is the configuration of restanted: a TOML file, flags that
// override it, and defaults that work without either. It is read, checked whole
// and reported on whole: every mistake at once, with its file and line.
package config

import (
	"time"

	"restante.example/internal/cert"
)

// Config is what the server does. The comment at each field is its
// documentation; packaging/restanted.toml shows all of them with their defaults.
type Config struct {
	// Data is the directory of everything that the server keeps: users, state,
	// the certificate that it made, and the mail unless Maildir says otherwise.
	Data string `toml:"data"`
	// Maildir is where the mail of a user is, for trees that exist already: an
	// absolute path with {user}, the whole name, or {local} and {domain}, its
	// parts. Empty means mail/ in the data directory.
	Maildir string `toml:"maildir"`
	// Hostname is how the server calls itself; empty means the system's name.
	Hostname string `toml:"hostname"`
	// ClearText says from where passwords are taken without TLS: "loopback",
	// "never", or "i-accept-that-passwords-travel-in-clear-text".
	ClearText string `toml:"clear_text"`
	// Expire is announced as the number of days for which mail is kept: "never",
	// a number of days, or "" to announce what retention guarantees, which is
	// nothing where it goes by number or size. RFC 2449 section 6.7.
	Expire string `toml:"expire"`
	// LoginDelay is the least time between two sign-ins of a user. RFC 2449
	// section 6.5.
	LoginDelay Duration `toml:"login_delay"`
	// Language is what a client gets that leaves the language of the replies to
	// the server: "en" or "es". RFC 6856 section 3.2.
	Language string `toml:"language"`
	// Landlock says whether the server gives up what it does not need, where the
	// kernel lets it: "on"; "required", which does not start without; or "off".
	Landlock string `toml:"landlock"`
	// LogFormat is "text" or "json", LogLevel "debug", "info", "warn" or "error".
	LogFormat string `toml:"log_format"`
	LogLevel  string `toml:"log_level"`
	// TraceUsers are users whose conversations are logged, secrets masked.
	TraceUsers []string `toml:"trace_users"`

	// KeepRemoved is how long a message that no device holds any more stays in
	// the holding area, from where undelete brings it back; 0 removes it at once.
	KeepRemoved Duration `toml:"keep_removed"`
	// KeepTrace is how long it is remembered what happened to messages: when
	// they came, and which device retrieved and removed them; 0 is not at all.
	KeepTrace Duration `toml:"keep_trace"`
	// SilentDevices is after how long without a sign-in a device holds no mail
	// back any more; 0 means never.
	SilentDevices Duration `toml:"silent_devices"`

	Listen   Listen   `toml:"listen"`
	TLS      TLS      `toml:"tls"`
	Limits   Limits   `toml:"limits"`
	Timeouts Timeouts `toml:"timeouts"`
	Delivery Delivery `toml:"delivery"`

	Mechanisms Mechanisms `toml:"mechanisms"`

	Retention Retention `toml:"retention"`
	Users     Users     `toml:"users"`
	Metrics   Metrics   `toml:"metrics"`

	Tokens Tokens `toml:"tokens"`

	Clients Clients `toml:"client_certificates"`

	// Listeners are addresses with rules of their own, beside those of Listen.
	Listeners []Listener `toml:"listener"`
	// Certificates are shown to clients that ask for a name that is in them; the
	// one of TLS, or else the first of these, to all others. RFC 6066 section 3.
	Certificates []Certificate `toml:"certificate"`

	// SCRAMIterations is the work that a SCRAM key costs, 0 for the default. No
	// file sets it: only the demo, whose passwords do not outlive it, asks for less.
	SCRAMIterations int `toml:"-"`

	// File is the file that was read, or empty.
	File string `toml:"-"`
}

// Listen says where the server listens: "ADDRESS:PORT", ":PORT" for every
// address of the machine of IPv4 and IPv6, "unix:PATH", or "systemd:NAME" for a
// socket that systemd has bound.
type Listen struct {
	// POP3S is POP3 under TLS from the first octet, port 995. RFC 8314.
	POP3S []string `toml:"pop3s"`
	// POP3 starts in clear text, port 110; STLS comes before sign-in.
	POP3 []string `toml:"pop3"`
	// LMTP is where a mail server delivers. RFC 2033.
	LMTP []string `toml:"lmtp"`
	// LMTPGroup is the group that may connect to a Unix socket of LMTP, beside
	// the owner; its mode is 0660.
	LMTPGroup string `toml:"lmtp_group"`
}

// TLS names the certificate; without one a self-signed one is made and kept.
type TLS struct {
	// CertFile holds the certificate and its chain, KeyFile the key, both PEM.
	// They are read again when they change.
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
}

// Limits bound what clients can use; 0 means no limit.
type Limits struct {
	// Sessions is how many connections there may be in all.
	Sessions int `toml:"sessions"`
	// Unauthenticated is how many of them may not have signed in.
	Unauthenticated int `toml:"unauthenticated"`
	// PerAddress is the same for one address.
	PerAddress int `toml:"per_address"`
	// PerUser is how many sessions one user may have.
	PerUser int `toml:"per_user"`
	// Failures is after how many wrong passwords a connection ends.
	Failures int `toml:"failures"`
	// LMTPSessions is how many connections may deliver at once.
	LMTPSessions int `toml:"lmtp_sessions"`
}

// Timeouts say how long things may take.
type Timeouts struct {
	// SignIn is the time from connecting to being signed in.
	SignIn Duration `toml:"sign_in"`
	// Idle is the time between two commands after sign-in; RFC 1939 section 3
	// asks for ten minutes at least.
	Idle Duration `toml:"idle"`
	// TakeOver is after which silence a session gives way to a new one of the
	// same user; 0 means never.
	TakeOver Duration `toml:"take_over"`
	// Drain is how long a stopping server waits for what goes on.
	Drain Duration `toml:"drain"`
}

// Delivery is about mail that comes in.
type Delivery struct {
	// MaxMessage is the largest message taken; 0 means no limit.
	MaxMessage Size `toml:"max_message"`
	// Reserve is how much room deliveries leave on the disk, so that deletions
	// and logs work when mail no longer fits; it is 1% of the disk at most.
	Reserve Size `toml:"reserve"`
	// QuotaMessages and QuotaOctets are what a user may hold, for users who have
	// no quota of their own; 0 means no limit.
	QuotaMessages int  `toml:"quota_messages"`
	QuotaOctets   Size `toml:"quota_octets"`
	// OverQuota is what is done with mail for a user whose quota is used up.
	OverQuota string `toml:"over_quota"`
	// QuotaWarning puts a message into a maildrop that has reached nine tenths of
	// its quota, once until it has been below eight tenths.
	QuotaWarning bool `toml:"quota_warning"`
	// Detail separates a name from what its owner may put behind it, as in
	// ana+lists@example.org; "" switches that off.
	Detail string `toml:"detail"`
	// LocalDomains are domains whose addresses lead to names without a domain:
	// with "example.org", ana@example.org is the user ana. With none, every
	// domain does that no user, alias or catch-all names.
	LocalDomains []string `toml:"local_domains"`
}

// Retention bounds what a user keeps on the server, whatever the devices have
// collected; 0 means no bound. It is kept every hour, and never takes a message
// from the listing of a session that is open.
type Retention struct {
	// Age is how long a message may stay since it came.
	Age Duration `toml:"age"`
	// Messages and Octets are how much may stay: the oldest beyond it go.
	Messages int  `toml:"messages"`
	Octets   Size `toml:"octets"`
}

// Metrics says where the server can be measured and watched.
type Metrics struct {
	// Listen is the address, "ADDRESS:PORT", where /metrics answers Prometheus and
	// /healthz and /readyz a supervisor, in clear text and without a password;
	// empty is nowhere.
	Listen string `toml:"listen"`
}

// Values of Delivery.OverQuota: the sender tries again later, or is told at once
// that it is for ever.
const (
	OverQuotaDefer  = "defer"
	OverQuotaRefuse = "refuse"
)

// Values of Landlock.
const (
	LandlockOn       = "on"
	LandlockRequired = "required"
	LandlockOff      = "off"
)

// Values of ClearText.
const (
	ClearTextLoopback   = "loopback"
	ClearTextNever      = "never"
	ClearTextEverywhere = "i-accept-that-passwords-travel-in-clear-text"
)

// Default returns the configuration that holds when nothing is said. Data and
// the address of LMTP, which lies in it, are left open.
func Default() *Config {
	return &Config{
		ClearText: ClearTextLoopback,
		Landlock:  LandlockOn,
		Language:  "en",
		LogFormat: "text",
		LogLevel:  "info",
		KeepTrace: 90 * day, SilentDevices: 90 * day,
		Listen: Listen{POP3S: []string{":995"}},
		Limits: Limits{Sessions: 10_000, Unauthenticated: 1_000, PerAddress: 20, PerUser: 32,
			Failures: 3, LMTPSessions: 200},
		Timeouts: Timeouts{
			SignIn:   Duration(30 * time.Second),
			Idle:     Duration(10 * time.Minute),
			TakeOver: Duration(time.Minute),
			Drain:    Duration(20 * time.Second),
		},
		Mechanisms: defaultMechanisms(),
		Clients:    Clients{Names: []string{cert.NameEmail}},
		Delivery:   Delivery{Reserve: 64 << 20, MaxMessage: 1 << 30, Detail: "+", OverQuota: OverQuotaDefer},
		Tokens:     defaultTokens(),
		Users:      defaultUsers(),
	}
}
