// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"restante.example/pop3client"
	"restante.example/sasl"
)

// Account is a mailbox and what becomes of its mail.
type Account struct {
	// ID is the account's name: part of message keys, so it stays the same.
	ID string
	// Dial connects; see DialTLS and its like. It is called once a session.
	Dial Dial
	// Credentials are asked for once a session.
	Credentials func(context.Context) (pop3client.Credentials, error)
	// Options for the connection; the zero value is the default.
	Options pop3client.Options
	// Destinations get each message, at least one.
	Destinations []Destination
	// Keep says what stays on the server. The zero value is: everything.
	Keep Keep
	// MaxSize is the size in octets, as announced, above which a message is
	// not retrieved; 0 is no limit.
	MaxSize int64
	// HeaderOnly files the header of a message above MaxSize. It then stays on
	// the server, whatever Keep says. One that was collected whole before comes
	// whole to a destination that is added as well.
	HeaderOnly bool
	// UntilDry connects again as long as there was new mail, for servers that
	// show only part of the mailbox in a session, such as Gmail.
	UntilDry bool
	// MaxWait is how long Run may wait for a further session where the server
	// announces LOGIN-DELAY. Default: not at all; Report.More is set instead.
	MaxWait time.Duration
	// DryRun looks and reports, and changes nothing anywhere.
	DryRun bool
	// Observe is told what happens, on one of Run's goroutines at a time; it
	// may be nil.
	Observe func(Event)
	// Log gets what is of interest to the operator; it may be nil.
	Log *slog.Logger
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Dial connects to a server, TLS included, and reads the greeting.
type Dial func(context.Context, *pop3client.Options) (*pop3client.Client, error)

// DialTLS connects to host:port with TLS from the start; the port may be missing.
func DialTLS(address string) Dial {
	return func(ctx context.Context, opt *pop3client.Options) (*pop3client.Client, error) {
		return pop3client.DialTLS(ctx, address, opt)
	}
}

// DialSTLS connects to host:port in clear text and insists on STLS.
func DialSTLS(address string) Dial {
	return func(ctx context.Context, opt *pop3client.Options) (*pop3client.Client, error) {
		return pop3client.DialSTLS(ctx, address, opt)
	}
}

// DialInsecure connects to host:port in clear text and stays so. The password
// is sent only if the Options allow that too.
func DialInsecure(address string) Dial {
	return func(ctx context.Context, opt *pop3client.Options) (*pop3client.Client, error) {
		return pop3client.DialInsecure(ctx, address, opt)
	}
}

// Password signs in with a password.
func Password(user, password string) func(context.Context) (pop3client.Credentials, error) {
	return func(context.Context) (pop3client.Credentials, error) {
		return pop3client.Credentials{User: user, Password: sasl.Secret(password)}, nil
	}
}

// Keep says what stays on the server. A message that is filed at all
// destinations is deleted if any of the fields says so.
type Keep struct {
	// Delete: everything is deleted once it is filed.
	Delete bool
	// For is how long a message stays after it was collected; 0 is for ever.
	For time.Duration
	// Messages is how many messages stay, the newest; 0 is all.
	Messages int
	// Octets is how many octets of messages stay, the newest; 0 is all.
	Octets int64
}

func (k Keep) deletes() bool { return k != Keep{} }

// EventKind says what happened.
type EventKind string

// What an Observer hears of.
const (
	// EventSession: signed in.
	EventSession EventKind = "session"
	// EventListed: Messages and Octets are what is to be retrieved.
	EventListed EventKind = "listed"
	// EventProgress: Octets have been retrieved of those listed, Messages whole.
	EventProgress EventKind = "progress"
	// EventFiled: Message is safe at all destinations.
	EventFiled EventKind = "filed"
	// EventWould: in a dry run, Message would be collected.
	EventWould EventKind = "would-collect"
	// EventProblem: Err concerns the message, or the account when Number is 0.
	EventProblem EventKind = "problem"
	// EventDeleted: Messages were deleted on the server.
	EventDeleted EventKind = "deleted"
)

// Event is something that happened.
type Event struct {
	Kind     EventKind
	Number   int    // of the message in this session, or 0
	UID      string // as it came: strip it before showing it
	Size     int64
	Messages int
	Octets   int64
	Err      error
}

// Problem is a message that could not be collected or deleted. It is still on
// the server.
type Problem struct {
	Number int
	UID    string
	Err    error
}

// Report is what a Run did.
type Report struct {
	// Offered is how many messages the server had, in the last session that
	// came to its listing.
	Offered int
	// Filed were filed by this Run at all destinations, in messages and octets.
	Filed       int
	FiledOctets int64
	// Left is how many of them are not filed at all destinations now and should be.
	Left int
	// More is true when another session makes sense, after LoginDelay.
	More bool
	// Known were filed earlier.
	Known int
	// Recognised had a new id or size, and their content was known.
	Recognised int
	// Recovered had been filed without the journal knowing, which a look showed:
	// an earlier run died in between, or a destination failed.
	Recovered int
	// TooLarge were left because of MaxSize.
	TooLarge int
	// Deleted were deleted, confirmed by +OK to QUIT.
	Deleted int
	// Would is how many a dry run would have collected.
	Would int
	// Sessions is how many times it signed in.
	Sessions int
	// Problems are messages that could not be collected.
	Problems []Problem
	// Warnings are about the account, not about a message that was not filed.
	Warnings []error
	// LoginDelay is the shortest time between two sign-ins that the server
	// announced, or 0.
	LoginDelay time.Duration
}

// Complete reports whether all that was on offer is filed, now or earlier.
func (r *Report) Complete() bool { return r.Left == 0 }

// Errors of single messages and of the account.
var (
	// ErrEmpty: the message came without content, and LIST had announced some.
	ErrEmpty = errors.New("the server sent nothing of this message")
	// ErrChanged: the message is not the one that was seen under this id; the
	// next session looks at it anew.
	ErrChanged = errors.New("the id of this message named another one before")
	// ErrNotFiled: not all destinations have the message.
	ErrNotFiled = errors.New("not filed")
	// ErrQuit: the server did not confirm the deletions; they are repeated.
	ErrQuit = errors.New("the deletions were not confirmed and will be repeated")
	// ErrJournal: without its journal nothing may go on.
	ErrJournal = errors.New("the journal cannot be used")
	// ErrDelete: the server refused DELE; it is asked again.
	ErrDelete = errors.New("not everything could be deleted on the server; the next run tries again")
	// ErrExpires: the server deletes what was retrieved (EXPIRE 0).
	ErrExpires = errors.New("this server deletes messages once they have been retrieved (EXPIRE 0); they cannot be left there")
)
