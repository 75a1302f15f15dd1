// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/maildrop/droptest"
	"restante.example/pop3server/pop3mem"
)

// bench is an office in memory with all hooks of the suite.
type bench struct {
	office *pop3mem.Store
	bug    func(*wrapped) // nil for none
	last   *wrapped
	made   int
	ahead  time.Duration

	restarts int

	mu    sync.Mutex
	full  bool
	fault droptest.Fault
	ops   int
}

var errBroken = errors.New("the disk is broken")

// newBench returns a harness whose stores have a bug, where one is given.
func newBench(bug func(*wrapped)) droptest.Harness {
	b := &bench{bug: bug}
	b.office = pop3mem.New(&pop3mem.Options{
		Now:  func() time.Time { return time.Now().Add(b.ahead) },
		OnOp: b.onOp,
	})
	return droptest.Harness{
		Store:   b.store(),
		Unknown: "nobody",
		NewMaildrop: func() maildrop.ID {
			b.made++
			id := maildrop.ID(fmt.Sprintf("drop-%d", b.made))
			b.office.AddMaildrop(id)
			return id
		},
		Reopen:  b.reopen,
		Damage:  func(id maildrop.ID, uid string, cut bool) { b.office.Damage(id, uid, cut) },
		Take:    func(id maildrop.ID, uid string) { b.office.Take(id, uid) },
		Advance: func(d time.Duration) { b.ahead += d },
		Full: func(full bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.full = full
		},
		Faults: b,
	}
}

func (b *bench) store() maildrop.Store {
	if b.bug == nil {
		return b.office
	}
	b.last = &wrapped{Store: b.office, bench: b}
	b.bug(b.last)
	return b.last
}

func (b *bench) reopen() maildrop.Store {
	if b.last != nil && b.last.restart != nil {
		b.last.restart()
	}
	b.office = b.office.Restart()
	b.restarts++
	return b.store()
}

// Arm, Operations and Restart implement droptest.Faults.
func (b *bench) Arm(f droptest.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault, b.ops = f, 0
}

// off reports whether the power is off.
func (b *bench) off() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fault.Kind == droptest.PowerLoss && b.ops >= b.fault.At
}

func (b *bench) Operations() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ops
}

func (b *bench) Restart() (maildrop.Store, error) {
	b.Arm(droptest.Fault{})
	return b.reopen(), nil
}

// strikes says which operations of an office a kind of fault can strike.
var strikes = map[droptest.Kind][]pop3mem.Op{
	droptest.ReadError:  {pop3mem.OpOpen, pop3mem.OpMessage, pop3mem.OpRead, pop3mem.OpViews, pop3mem.OpUsage},
	droptest.WriteError: {pop3mem.OpDeliver, pop3mem.OpWrite},
	droptest.LinkError:  {pop3mem.OpStore},
	droptest.SyncError:  {pop3mem.OpStore, pop3mem.OpRemove, pop3mem.OpRemoved, pop3mem.OpAddView, pop3mem.OpDropView},
	droptest.DiskFull:   {pop3mem.OpDeliver, pop3mem.OpWrite, pop3mem.OpStore, pop3mem.OpAddView},
}

func (b *bench) onOp(op pop3mem.Op, id maildrop.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full && op == pop3mem.OpStore {
		return maildrop.ErrNoSpace
	}
	f := b.fault
	if f.Kind != droptest.PowerLoss && !slices.Contains(strikes[f.Kind], op) {
		return nil
	}
	b.ops++
	if b.ops == f.At || b.ops > f.At && (f.Lasting || f.Kind == droptest.PowerLoss) {
		return errBroken
	}
	return nil
}

func right(testing.TB) droptest.Harness { return newBench(nil) }

// TestRight runs the suite on a store that is right, with every hook.
func TestRight(t *testing.T) {
	droptest.Run(t, droptest.Config{New: right})
	if failures := droptest.Failures(t, droptest.Config{New: right}); len(failures) != 0 {
		t.Errorf("Failures says that the right store is wrong: %v", failures)
	}
}
