// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package memfs

// Kind is the kind of an operation.
type Kind uint8

// The operations.
const (
	Open Kind = iota
	Create
	Read
	Write
	Sync
	Truncate
	Link
	Rename
	Remove
	Mkdir
	ReadDir
	Stat
	SyncDir
)

var kinds = [...]string{"open", "create", "read", "write", "sync", "truncate", "link",
	"rename", "remove", "mkdir", "readdir", "stat", "syncdir"}

// String names the operation.
func (k Kind) String() string { return kinds[k] }

// Changes reports whether the operation changes what is or will be on the disk.
func (k Kind) Changes() bool {
	switch k {
	case Open, Read, ReadDir, Stat:
		return false
	}
	return true
}

// Op is one operation.
type Op struct {
	// N counts from 1.
	N    int
	Kind Kind
	// Name is the path from the root of the file system, To the second one of
	// Link and Rename.
	Name, To string
	// Size is how many octets Write was given, or how many Read may give.
	Size int
}

// Fault is how an operation fails.
type Fault struct {
	// Err is what the operation returns. A nil one makes a Read short.
	Err error
	// Octets is how many a Read or Write does nevertheless.
	Octets int
	// Done means that the operation takes place and fails to say so.
	Done bool
}

func (f *Fault) stops() bool { return f != nil && !f.Done }
