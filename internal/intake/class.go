// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"errors"
	"strings"

	"restante.example/maildrop"
)

// Class says what became of a recipient, in the terms that decide what a sender
// is told.
type Class uint8

// The classes. Those that say so are for ever; after the others the sender
// should try again.
const (
	// Delivered: the message is durable in every maildrop of the recipient.
	Delivered Class = iota
	// NoUser: there is no such recipient, for ever.
	NoUser
	// BadAddress: the address cannot be written into a header line, for ever.
	BadAddress
	// TooLarge: the message is over the size limit, for ever.
	TooLarge
	// OverQuota: the recipient's maildrop is full.
	OverQuota
	// OverQuotaRefused: it is full, and Options.RefuseOverQuota says for ever.
	OverQuotaRefused
	// NoSpace: the store is full.
	NoSpace
	// TooMany: the transaction would make too many copies.
	TooMany
	// CannotTell: the directory could not answer.
	CannotTell
	// Temporary: anything else that went wrong.
	Temporary
)

// String names the class, for logs.
func (c Class) String() string {
	switch c {
	case Delivered:
		return "delivered"
	case NoUser:
		return "no such user"
	case BadAddress:
		return "bad address"
	case TooLarge:
		return "too large"
	case OverQuota, OverQuotaRefused:
		return "over quota"
	case NoSpace:
		return "no space"
	case TooMany:
		return "too many recipients"
	case CannotTell:
		return "directory cannot answer"
	}
	return "temporary failure"
}

// Permanent reports whether trying again without a change is useless.
func (c Class) Permanent() bool {
	return c == NoUser || c == BadAddress || c == TooLarge || c == OverQuotaRefused
}

// Error says why a recipient, or a whole transaction, was refused.
type Error struct {
	// Class decides what the sender is told.
	Class Class
	// Recipient is the address that was refused, as it was given; empty where
	// the whole transaction was.
	Recipient string
	// Err is what lies behind it, for logs only.
	Err error
}

// Error returns the class and what lies behind it.
func (e *Error) Error() string {
	if e.Err == nil {
		return "intake: " + e.Class.String()
	}
	return "intake: " + e.Class.String() + ": " + e.Err.Error()
}

// Unwrap returns what lies behind the refusal.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of an error of this package: Delivered for nil,
// Temporary for an error of others.
func ClassOf(err error) Class {
	if err == nil {
		return Delivered
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Temporary
}

// classOf sorts what a store answers.
func (in *Intake) classOf(err error) Class {
	switch {
	case err == nil:
		return Delivered
	case errors.Is(err, maildrop.ErrQuota) && in.opts.RefuseOverQuota:
		return OverQuotaRefused
	case errors.Is(err, maildrop.ErrQuota):
		return OverQuota
	case errors.Is(err, maildrop.ErrNoSpace):
		return NoSpace
	}
	return Temporary
}

var errUnsafe = errors.New("the address is empty, or has a line end or a NUL in it")

// headerSafe reports whether s can stand in a header line as it is.
func headerSafe(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

// prefix returns the header lines that a final delivery adds. Return-Path comes
// first, as RFC 5321 section 4.4 wants it; Delivered-To is the field's habit, and
// what a mail loop is found by.
func prefix(sender, address string) []byte {
	return []byte("Return-Path: <" + sender + ">\r\nDelivered-To: " + address + "\r\n")
}
