// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package droptest is the one suite that every maildrop.Store passes. It holds
// a store to each sentence of package maildrop, against a model that shares no
// code with any store:
//
//	func TestStore(t *testing.T) {
//		droptest.Run(t, droptest.Config{New: func(t testing.TB) droptest.Harness {
//			s := newStore(t)
//			return droptest.Harness{Store: s, NewMaildrop: s.newMaildrop}
//		}})
//	}
//
// A store that keeps its mail through a restart gives Harness.Reopen as well;
// one whose disk can be made to fail gives Harness.Faults, and the suite then
// cuts the power, and breaks the disk, at every single operation.
//
// Where the contract leaves room, the suite takes it at its strictest: tokens
// grow over a restart and a power cut too; a delivery that was answered with an
// error is not there afterwards, unless the power was cut; a view holds whatever
// is delivered after AddView has returned; what is Kept once in answer to a
// failing disk is never removed later, and what is Unknown stays as the next
// session shows it. It leaves open what a retry answers after ErrQuota, and what
// becomes of a maildrop that one delivery names twice.
//
// A suite is only as good as the errors it finds. Failures runs it on a store
// that is wrong on purpose, and says which checks caught it.
package droptest

import (
	"testing"
	"time"

	"restante.example/maildrop"
)

// Config says how the suite gets its stores.
type Config struct {
	// New makes a fresh, empty store. It is called at least once per check, and
	// once per operation in the checks with faults, so it should be quick.
	New func(t testing.TB) Harness

	// Seed makes the random checks run the sequence of that seed again; a
	// failure says its seed. 0 takes a new one.
	Seed uint64
	// Rounds is the number of random sequences of each random check, from Seed
	// on; 0 means one where Seed is given, else 20, or 5 under -short.
	Rounds int
	// LongLine is the length of the longest line that is delivered, in octets;
	// 0 means 1 MiB.
	LongLine int
	// Only names the checks to run; none means all.
	Only []string
}

// Harness is one store and what the suite may do to it. Only Store and
// NewMaildrop must be given; the suite skips what the others would show, and
// says so.
type Harness struct {
	Store maildrop.Store

	// NewMaildrop returns the id of a maildrop that holds nothing, has the
	// classic view alone, and that no earlier call returned. The store knows it
	// after Reopen and Faults.Restart too.
	NewMaildrop func() maildrop.ID

	// Close frees what New made. It is called once, after the last use of the
	// harness, when no delivery or snapshot is open.
	Close func()

	// Unknown is an id for which the store answers ErrNoMaildrop. Empty: the
	// store makes a maildrop of any id.
	Unknown maildrop.ID

	// Reopen closes the store in order and opens it again on the same data, as
	// a restart of the server does. The store of before is not used any more.
	// Snapshots of it may be open: they end with it.
	Reopen func() maildrop.Store

	// Damage changes what is stored of the message with that UID behind the
	// store's back, as a failing disk or another program does: cut makes it
	// shorter, otherwise its octets are changed and their number is not.
	Damage func(id maildrop.ID, uid string, cut bool)

	// Take removes the message with that UID behind the store's back, as
	// another program may. Nil where no other program can.
	Take func(id maildrop.ID, uid string)

	// Full makes the store as full as it lets deliveries make it, or ends that.
	Full func(full bool)

	// Advance moves the store's clock on. Nil where it is the system's.
	Advance func(d time.Duration)

	// Faults breaks the disk under the store.
	Faults Faults
}

// Faults is the disk under a store: it counts operations and fails one of
// them when it is told. The suite uses it from one goroutine; the store works
// from any.
//
// An operation is whatever the store asks of its disk: to open, create, read,
// write, truncate, flush a file or directory, link, rename, remove, list,
// look up. The suite arms a fault at operation 1, 2, 3 and so on, each time
// with a fresh Harness, until a run makes fewer operations than that. The runs
// need not make the same operations each time.
type Faults interface {
	// Arm starts the count of operations anew and sets the fault that will
	// come. The zero Fault heals the disk: no operation fails any more.
	Arm(f Fault)

	// Operations returns how many operations since Arm the armed kind of fault
	// could have struck.
	Operations() int

	// Restart switches the power off, as it were, and on again: the store of
	// before is abandoned at this instant, without being closed in order, what
	// was not flushed is lost, and the store is opened on what is left. The
	// disk is healed. An operation that the store of before still tries must
	// not reach the new one's data.
	Restart() (maildrop.Store, error)
}

// Fault is one failure to come.
type Fault struct {
	// Kind is what fails.
	Kind Kind
	// At is the operation that fails, counted from 1 at Arm, among those that
	// Kind can strike.
	At int
	// Lasting makes all operations of the kind from At on fail, until Arm is
	// called again. A power loss always lasts, until Restart.
	Lasting bool
	// Seed says what a power loss leaves of the writes, links, renames and
	// removals that were not flushed: 0 leaves nothing, 1 leaves everything,
	// any other number leaves some, drawn at random from it (and of a write,
	// perhaps the first part only). What was flushed stays.
	Seed uint64
}

// Kind is a kind of fault.
type Kind uint8

const (
	// None: all is well.
	None Kind = iota
	// PowerLoss strikes any operation: it and all later ones fail and have no
	// effect, and Restart loses what was not flushed.
	PowerLoss
	// ReadError fails reading a file, listing a directory, looking up a name,
	// or opening to read.
	ReadError
	// WriteError fails creating, writing to and truncating a file; part of what
	// was to be written may be there.
	WriteError
	// LinkError fails a link, a rename, a removal or the making of a directory,
	// without effect.
	LinkError
	// SyncError fails flushing a file or directory. What was to be flushed may
	// be lost even if a later flush of the same file succeeds.
	SyncError
	// DiskFull fails creating, writing, linking and making a directory, as
	// ENOSPC does.
	DiskFull
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case PowerLoss:
		return "power loss"
	case ReadError:
		return "read error"
	case WriteError:
		return "write error"
	case LinkError:
		return "link error"
	case SyncError:
		return "flush error"
	case DiskFull:
		return "disk full"
	}
	return "unknown fault"
}
