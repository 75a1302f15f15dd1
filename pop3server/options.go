// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"time"

	"restante.example/maildrop"
)

// Options are the settings of a Server. They are copied; the zero value of
// each field stands for its default, so that the zero Options work once Store
// and Directory are there.
type Options struct {
	// Store keeps the mail. Without one every sign-in is answered [SYS/TEMP].
	Store maildrop.Store
	// Directory answers who somebody is. Without one every sign-in is answered
	// [SYS/TEMP].
	Directory maildrop.Directory
	// Guard slows guessing down; nil is none.
	Guard Guard

	// TLSConfig holds the certificates. Without it there is neither STLS nor
	// ServeTLS. Where it leaves them open, the least version is TLS 1.2 and the
	// cipher suites are those with authenticated encryption; its NextProtos is
	// always "pop3".
	TLSConfig *tls.Config
	// ClearText says who may send a password without TLS.
	ClearText ClearText
	// Mechanisms says which ways to sign in are offered, by the names that the
	// function Mechanisms returns; letter case does not count, and other names
	// mean nothing. RFC 5034.
	Mechanisms map[string]Policy
	// Listeners are the rules for the connections of listeners, by the name that
	// was given to ServeListener.
	Listeners map[string]Rules
	// Tokens checks the bearer tokens of OAUTHBEARER and XOAUTH2, which need a
	// Directory that is a maildrop.Identifier too. Nil is nobody.
	Tokens maildrop.TokenChecker
	// Certificate, where not nil, says whom the certificate that a client has shown
	// may sign in by EXTERNAL, which needs a Directory that is a
	// maildrop.Identifier too: the names, among which the client may choose, or why
	// it is nobody. It is called once after a handshake and is not to block. Where
	// the TLSConfig does not have the certificate verified (VerifiedChains is empty
	// then), it is for Certificate to do. It is called by many goroutines.
	Certificate func(tls.ConnectionState) ([]string, error)

	Limits   Limits
	Timeouts Timeouts

	// Expire is announced as the least number of days for which mail is kept,
	// or ExpireNever; 0 announces nothing. The server itself removes nothing.
	// RFC 2449 section 6.7.
	Expire int
	// LoginDelay is the least time between two sign-ins to the same view, for
	// users for whom the directory gives none. It is announced before sign-in
	// and should be the greatest of all. 0 is none. RFC 2449 section 6.5.
	LoginDelay time.Duration
	// Hostname stands in the timestamp of APOP; what is no host name becomes
	// "localhost".
	Hostname string
	// Implementation is what IMPLEMENTATION announces, one line; the default
	// is "restante". RFC 2449 section 6.9.
	Implementation string

	// Language is what a client gets that leaves the choice to the server (LANG
	// *): English, the default, or Spanish. Until LANG is said it is English. RFC
	// 6856 section 3.2.
	Language string
	// Spanish translates the texts that Guard, Directory and Store choose with a
	// *pop3.Error, by their English; what it does not have goes out as it is.
	Spanish map[string]string

	// Logger gets a line per session, per refused sign-in and per failure of
	// the store; nil is slog.Default().
	Logger *slog.Logger
	// Trace, where not nil, is asked with the name of a user when it is known,
	// and with "" at the start of each connection, whether the conversation is
	// to be logged from there on. Secrets are masked and texts left out.
	Trace func(name string) bool
	// OnSignIn, where not nil, is called when a session begins, before the client
	// is told; it is not to block. It is called by many goroutines.
	OnSignIn func(SessionInfo)
	// OnEnd, where not nil, is called at the end of each connection, signed in
	// or not. It is called by many goroutines.
	OnEnd func(Summary)
	// Observer, where not nil, is told what happens, for measuring.
	Observer *Observer
	// BaseContext, where not nil, gives the context of the connections of a
	// listener; the default is context.Background.
	BaseContext func(net.Listener) context.Context
}

// ExpireNever is the value of Options.Expire for mail that is kept for ever.
const ExpireNever = -1

// ClearText says from where passwords are accepted without TLS: by USER and
// PASS and by the mechanisms PLAIN and LOGIN. RFC 8314 section 3.
type ClearText uint8

const (
	// ClearTextDefault is ClearTextLoopback in Options, and in Rules what Options
	// say.
	ClearTextDefault ClearText = iota
	// ClearTextLoopback accepts them from this machine: from loopback addresses
	// and over Unix sockets and pipes.
	ClearTextLoopback
	// ClearTextNever accepts them from nowhere.
	ClearTextNever
	// InsecureClearTextEverywhere accepts them from everywhere: who listens on
	// the network reads passwords and mail.
	InsecureClearTextEverywhere
)

// Guard slows guessing down. Its methods may be called by any number of
// goroutines.
type Guard interface {
	// Before is called before credentials are checked. It waits as long as the
	// attempt is to be delayed, and returns an error to refuse it: a
	// *pop3.Error chooses the reply, any other is answered [SYS/TEMP]. The
	// address is the zero Addr where the connection has none.
	Before(ctx context.Context, remote netip.Addr, name string) error
	// After is told whether the credentials were right. It is not called when
	// the directory could not tell.
	After(remote netip.Addr, name string, ok bool)
}

// Limits are how much a client, or all of them, may use. 0 stands for the
// default, a negative number for no limit.
type Limits struct {
	// Sessions limits the connections in all; 10,000.
	Sessions int
	// Unauthenticated limits the connections that have not signed in, in all;
	// beyond it the one that was idle for longest is ended; 1,000.
	Unauthenticated int
	// PerAddress limits the connections that have not signed in, per address
	// (IPv6: per /64); beyond it the one of that address that was idle for longest
	// is ended; 20. Connections from this machine, which may be those of a proxy,
	// are not limited by it.
	PerAddress int
	// PerUser limits the sessions per maildrop, over all its views, where the
	// directory sets no limit itself; 32.
	PerUser int
	// Failures is after how many wrong passwords a connection ends; 3.
	Failures int
	// WrongCommands is after how many commands that do not exist or are not
	// well-formed a connection ends; after sign-in they are counted in a row; 10.
	WrongCommands int
}

// Timeouts are how long things may take. 0 stands for the default.
type Timeouts struct {
	// Auth is the time from connecting to being signed in, TLS included; 30 s.
	Auth time.Duration
	// Idle is the time between two commands after sign-in; 10 minutes, which is
	// the least that RFC 1939 section 3 allows.
	Idle time.Duration
	// Line is the time from the first octet of a line to its end; 30 s.
	Line time.Duration
	// Write is for how long in all a client may take a reply more slowly than
	// MinimumRate; 30 s.
	Write time.Duration
	// MinimumRate is in octets per second; 1,000.
	MinimumRate int
	// TakeOver is after which silence, no octet either way, a session gives its
	// view up to a new sign-in; 60 s. A negative time switches that off.
	TakeOver time.Duration
}

// settings are Options with every default filled in, and what is derived from
// them. A connection keeps those that it began with.
type settings struct {
	Options
	common    *rules            // of Options
	listeners map[string]*rules // by name
}

func newSettings(given *Options) *settings {
	s := &settings{}
	if given != nil {
		s.Options = *given
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	s.Implementation = asciiOnly(oneLine(cmp.Or(s.Implementation, "restante")))
	s.Hostname = hostname(s.Hostname)
	s.Spanish = maps.Clone(s.Spanish)
	if s.Language != Spanish {
		s.Language = English
	}

	l := &s.Limits
	l.Sessions = cmp.Or(l.Sessions, 10_000)
	l.Unauthenticated = cmp.Or(l.Unauthenticated, 1_000)
	l.PerAddress = cmp.Or(l.PerAddress, 20)
	l.PerUser = cmp.Or(l.PerUser, 32)
	l.Failures = cmp.Or(l.Failures, 3)
	l.WrongCommands = cmp.Or(l.WrongCommands, 10)

	t := &s.Timeouts
	t.Auth = cmp.Or(t.Auth, 30*time.Second)
	t.Idle = cmp.Or(t.Idle, 10*time.Minute)
	t.Line = cmp.Or(t.Line, 30*time.Second)
	t.Write = cmp.Or(t.Write, 30*time.Second)
	t.MinimumRate = cmp.Or(t.MinimumRate, 1_000)
	t.TakeOver = cmp.Or(t.TakeOver, time.Minute)

	s.common = s.newRules()
	s.listeners = make(map[string]*rules, len(s.Listeners))
	for name, by := range s.Listeners {
		s.listeners[name] = s.override(s.common, by)
	}
	// The maps of the caller are the caller's.
	s.Mechanisms, s.Listeners = nil, nil
	return s
}

// over reports whether n is beyond a limit.
func over(n, limit int) bool { return limit >= 0 && n > limit }
