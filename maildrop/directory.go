// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildrop

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// The answers that a directory gives. Every other error means that it cannot
// tell now: a client is told [SYS/TEMP], a sender 451.
var (
	// ErrNoUser: there is no such user or recipient.
	ErrNoUser = errors.New("maildrop: no such user")
	// ErrCredentials: the name or the password is wrong. Whether the user
	// exists cannot be told from it, nor from the time that it took.
	ErrCredentials = errors.New("maildrop: wrong name or password")
	// ErrDisabled: the credentials are right and the operator has disabled the
	// user, or the user may not use POP3.
	ErrDisabled = errors.New("maildrop: the user is disabled")
)

// Principal is somebody who may open a maildrop.
type Principal struct {
	// Name is the sign-in name as the directory writes it, for logs.
	Name string
	// Device is what its owner calls the device whose password it was, for logs;
	// empty for the user's own password.
	Device string
	// Maildrop and View are what the credentials open.
	Maildrop ID
	View     View
	// LoginDelay is the least time between two sign-ins, 0 for none.
	LoginDelay time.Duration
	// Sessions limits how many sessions the user may have at once, over all
	// views; 0 leaves it to the server.
	Sessions int
}

// Attempt is one try to sign in.
type Attempt struct {
	// Name is what the client gave as name, not yet normalised.
	Name string
	// Remote is the address of the client, or the zero Addr where it has none.
	Remote netip.Addr
	// TLS is true when the connection is protected.
	TLS bool
	// Mechanism is "USER", "PLAIN", "LOGIN", "SCRAM-SHA-256" and so on.
	Mechanism string
}

// SCRAMKeys is what a directory gives for one user and one hash function, RFC
// 5802 section 3. All keys of a user share salt and iteration count; each
// stands for one password of the user.
type SCRAMKeys struct {
	Salt       []byte
	Iterations int
	Keys       []SCRAMKey
}

// SCRAMKey is what a server stores of one password.
type SCRAMKey struct {
	StoredKey []byte
	ServerKey []byte
	// Principal is whom the password signs in.
	Principal Principal
	// Disabled is true when the credentials may be right but open nothing.
	Disabled bool
}

// Directory answers who somebody is. Its methods may be called by any number
// of goroutines.
type Directory interface {
	// SignIn checks a name and a password. It returns ErrCredentials,
	// ErrDisabled, or any other error when it cannot tell.
	SignIn(ctx context.Context, a Attempt, password string) (Principal, error)

	// SCRAM returns the keys of a user for a hash, "SHA-256" or "SHA-1". For an
	// unknown user it returns a salt that stays the same for that name, and no
	// keys.
	SCRAM(ctx context.Context, a Attempt, hash string) (SCRAMKeys, error)

	// HasSCRAM reports whether the mechanism can be offered: whether every
	// enabled user has keys for the hash. It answers from memory.
	HasSCRAM(hash string) bool

	// Recipient resolves an address as it stands in RCPT TO (without its angle
	// brackets) to the maildrops that get the message: aliases, catch-all,
	// +detail and letter case are settled here. It returns ErrNoUser, or any
	// other error when it cannot tell.
	Recipient(ctx context.Context, address string) ([]Recipient, error)
}

// UTF8Directory is a Directory that says whether names and passwords may be in
// UTF-8. A server announces it then. RFC 6856 section 2.2.
type UTF8Directory interface {
	Directory
	// TakesUTF8 reports whether SignIn prepares names and passwords, by PRECIS
	// (RFC 8265) or SASLprep, so that the ways to type the same text are one, and
	// answers ErrCredentials to what is no UTF-8 or has characters that the
	// preparation prohibits.
	TakesUTF8() bool
}

// Recipient is one maildrop that an address leads to.
type Recipient struct {
	Maildrop ID
	// Address is what Delivered-To says: the recipient as it was given.
	Address string
	Quota   Quota
}
