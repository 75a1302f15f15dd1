// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
	"restante.example/maildrop/droptest"
)

// rig is a store on a file system in memory, as droptest wants it.
type rig struct {
	t      testing.TB
	clock  *clock
	disk   *memfs.FS
	store  *Store
	faults faults
	ids    atomic.Int64

	mu    sync.Mutex
	fault droptest.Fault
	count int
	loss  memfs.Loss
}

const testReserve = 1 << 20

func newRig(t testing.TB, wrong faults) *rig {
	r := &rig{t: t, clock: newClock(), faults: wrong}
	r.disk = memfs.New(memfs.Options{Clock: r.clock.Now})
	r.open()
	return r
}

func (r *rig) open() {
	r.store = storeOn(r.t, r.disk, r.clock.Now)
	r.store.opt.Reserve = testReserve
	r.store.faults = r.faults
	r.disk.Inject(r.strike)
}

func (r *rig) harness() droptest.Harness {
	return droptest.Harness{
		Store: r.store,
		NewMaildrop: func() maildrop.ID {
			return maildrop.ID(fmt.Sprintf("u%d", r.ids.Add(1)))
		},
		Close:   func() { r.store.Close() },
		Unknown: "unknown",
		Reopen: func() maildrop.Store {
			if err := r.store.Close(); err != nil {
				r.t.Error(err)
			}
			r.open()
			return r.store
		},
		Damage:  r.damage,
		Take:    r.take,
		Full:    r.full,
		Advance: r.clock.add,
		Faults:  r,
	}
}

// find returns the file of a message.
func find(f fsx.FS, id maildrop.ID, uid string) (string, error) {
	for _, dir := range []string{"new", "cur"} {
		name := "mail/" + string(id) + "/Maildir/" + dir
		entries, err := f.ReadDir(name)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if uidOf(base(e.Name)) == uid {
				return name + "/" + e.Name, nil
			}
		}
	}
	return "", errors.New("there is no such file")
}

func (r *rig) damage(id maildrop.ID, uid string, cut bool) {
	if err := damageFile(r.disk, id, uid, cut); err != nil {
		r.t.Error(err)
	}
}

func damageFile(fsys fsx.FS, id maildrop.ID, uid string, cut bool) error {
	name, err := find(fsys, id, uid)
	if err != nil {
		return err
	}
	data, err := fsx.ReadFile(fsys, name, 1<<30)
	if err != nil {
		return err
	}
	f, err := fsys.OpenFile(name, os.O_WRONLY)
	if err != nil {
		return err
	}
	if cut {
		err = f.Truncate(int64(len(data) / 2))
	} else {
		data[len(data)/2] ^= 0x01
		_, err = f.Write(data)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

func (r *rig) take(id maildrop.ID, uid string) {
	name, err := find(r.disk, id, uid)
	if err == nil {
		err = r.disk.Remove(name)
	}
	if err != nil {
		r.t.Error(err)
	}
}

func (r *rig) full(full bool) {
	space, err := r.disk.Space()
	if err != nil {
		r.t.Error(err)
	}
	used := space.Total - space.Free
	r.disk.SetTotal(1 << 40)
	if full {
		r.disk.SetTotal(used + testReserve - 1)
	}
}

// Arm implements droptest.Faults.
func (r *rig) Arm(f droptest.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.count = f, 0
	switch f.Seed {
	case 0:
		r.loss = memfs.LoseAll()
	case 1:
		r.loss = memfs.KeepAll()
	default:
		r.loss = memfs.Torn(f.Seed)
	}
}

// Operations implements droptest.Faults.
func (r *rig) Operations() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// Restart implements droptest.Faults.
func (r *rig) Restart() (maildrop.Store, error) {
	r.mu.Lock()
	r.fault = droptest.Fault{}
	loss := r.loss
	r.mu.Unlock()
	// The store of before goes on with the disk of before.
	r.disk = r.disk.Crash(loss)
	r.open()
	return r.store, nil
}

var errPower = errors.New("the power is off")

// strike is what the disk asks before each operation.
func (r *rig) strike(op memfs.Op) *memfs.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	var hit bool
	err := error(syscall.EIO)
	switch r.fault.Kind {
	case droptest.PowerLoss:
		hit, err = true, errPower
	case droptest.ReadError:
		hit = op.Kind == memfs.Read || op.Kind == memfs.ReadDir || op.Kind == memfs.Stat || op.Kind == memfs.Open
	case droptest.WriteError:
		hit = op.Kind == memfs.Create || op.Kind == memfs.Write || op.Kind == memfs.Truncate
	case droptest.LinkError:
		hit = op.Kind == memfs.Link || op.Kind == memfs.Rename || op.Kind == memfs.Remove || op.Kind == memfs.Mkdir
	case droptest.SyncError:
		hit = op.Kind == memfs.Sync || op.Kind == memfs.SyncDir
	case droptest.DiskFull:
		hit = op.Kind == memfs.Create || op.Kind == memfs.Write || op.Kind == memfs.Link || op.Kind == memfs.Mkdir
		err = syscall.ENOSPC
	}
	if !hit {
		return nil
	}
	r.count++
	lasting := r.fault.Lasting || r.fault.Kind == droptest.PowerLoss
	if r.count < r.fault.At || r.count > r.fault.At && !lasting {
		return nil
	}
	fault := &memfs.Fault{Err: err}
	if op.Kind == memfs.Write && r.fault.Kind == droptest.WriteError {
		fault.Octets = op.Size / 2
	}
	return fault
}

func TestSuite(t *testing.T) {
	droptest.Run(t, droptest.Config{New: func(t testing.TB) droptest.Harness {
		return newRig(t, faults{}).harness()
	}})
}

// TestSuiteOnDisk runs the suite on the file system of this machine. What
// breaks the disk is shown by TestSuite.
func TestSuiteOnDisk(t *testing.T) {
	droptest.Run(t, droptest.Config{LongLine: 200_000, New: func(t testing.TB) droptest.Harness {
		f, err := fsx.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var ids atomic.Int64
		s := storeOn(t, f, time.Now)
		return droptest.Harness{
			Store:       s,
			NewMaildrop: func() maildrop.ID { return maildrop.ID(fmt.Sprintf("u%d", ids.Add(1))) },
			Close:       func() { s.Close(); f.Close() },
			Unknown:     "unknown",
			Reopen: func() maildrop.Store {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				s = storeOn(t, f, time.Now)
				return s
			},
			Damage: func(id maildrop.ID, uid string, cut bool) {
				if err := damageFile(f, id, uid, cut); err != nil {
					t.Error(err)
				}
			},
			Take: func(id maildrop.ID, uid string) {
				name, err := find(f, id, uid)
				if err == nil {
					err = f.Remove(name)
				}
				if err != nil {
					t.Error(err)
				}
			},
		}
	}})
}

// TestSuiteFindsWrongStores shows that the suite can fail: each of these
// stores is wrong in one way, and the suite says so.
func TestSuiteFindsWrongStores(t *testing.T) {
	for name, wrong := range map[string]struct {
		faults faults
		by     []string
	}{
		"the directory is not flushed":            {faults{skipDirFlush: true}, []string{"PowerLoss"}},
		"the file is not flushed":                 {faults{skipFileFlush: true}, []string{"PowerLoss"}},
		"answers before the message has its name": {faults{answerEarly: true}, []string{"PowerLoss"}},
		"serves past damage":                      {faults{servePast: true}, []string{"Damage"}},
		"QUIT is answered before its record":      {faults{confirmUnsaved: true}, []string{"PowerLoss"}},
		"files are removed before the record":     {faults{removeFirst: true}, []string{"Errors"}},
	} {
		t.Run(name, func(t *testing.T) {
			failures := droptest.Failures(t, droptest.Config{Only: wrong.by, New: func(t testing.TB) droptest.Harness {
				return newRig(t, wrong.faults).harness()
			}})
			for _, check := range wrong.by {
				if failures[check] == "" {
					t.Errorf("the check %s did not notice", check)
				} else {
					first, _, _ := strings.Cut(failures[check], "\n")
					t.Logf("%s says: %s", check, first)
				}
			}
		})
	}
}
