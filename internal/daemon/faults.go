// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build faults

package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// Faults that RESTANTE_FAULT can name. Each breaks one promise.
const (
	// faultEarlyAccept answers a delivery before it is committed.
	faultEarlyAccept = "early-accept"
	// faultEarlyQuit answers QUIT before the removals are committed.
	faultEarlyQuit = "early-quit"
	// faultDropDeletes removes what was retrieved when a session ends without QUIT.
	faultDropDeletes = "drop-deletes"
	// faultNumberedUIDs gives out numbers as UIDs, which come again.
	faultNumberedUIDs = "numbered-uids"
	// faultTorn serves the first half of each long message.
	faultTorn = "torn"
	// faultNoFlush flushes nothing, faultNoDirectoryFlush files and not the
	// directories that name them. Only a power cut shows it.
	faultNoFlush          = "no-flush"
	faultNoDirectoryFlush = "no-directory-flush"
)

// late is how much too late the wrong builds do what they have promised.
const late = 30 * time.Millisecond

func withFaults(s maildrop.Store) maildrop.Store {
	fault := os.Getenv("RESTANTE_FAULT")
	fmt.Fprintf(os.Stderr, "this build is wrong on purpose: %q\n", fault)
	return &faulty{s, fault}
}

// withFaultyDisk keeps what is to be made durable from becoming so.
func withFaultyDisk(f fsx.FS) fsx.FS {
	switch fault := os.Getenv("RESTANTE_FAULT"); fault {
	case faultNoFlush, faultNoDirectoryFlush:
		return &lyingDisk{f, fault == faultNoFlush}
	}
	return f
}

type lyingDisk struct {
	fsx.FS
	files bool // their flushes are left out as well
}

func (l *lyingDisk) SyncDir(string) error { return nil }

func (l *lyingDisk) Sub(name string) (fsx.FS, error) {
	sub, err := l.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	return &lyingDisk{sub, l.files}, nil
}

func (l *lyingDisk) OpenFile(name string, flag int) (fsx.File, error) {
	f, err := l.FS.OpenFile(name, flag)
	if err != nil || !l.files {
		return f, err
	}
	return &lyingFile{f}, nil
}

type lyingFile struct{ fsx.File }

func (*lyingFile) Sync() error { return nil }

type faulty struct {
	maildrop.Store
	fault string
}

func (f *faulty) Deliver(ctx context.Context, env maildrop.Envelope, targets []maildrop.Target) (maildrop.Delivery, error) {
	d, err := f.Store.Deliver(context.WithoutCancel(ctx), env, targets)
	if err != nil || f.fault != faultEarlyAccept {
		return d, err
	}
	return &hasty{Delivery: d, targets: len(targets)}, nil
}

type hasty struct {
	maildrop.Delivery
	targets   int
	committed bool
}

func (h *hasty) Commit(ctx context.Context) []error {
	h.committed = true
	go func() {
		time.Sleep(late)
		h.Delivery.Commit(context.WithoutCancel(ctx))
	}()
	return make([]error, h.targets)
}

func (h *hasty) Abort() {
	if !h.committed {
		h.Delivery.Abort()
	}
}

func (f *faulty) Open(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
	s, err := f.Store.Open(ctx, id, view)
	if err != nil {
		return nil, err
	}
	return &brokenSnapshot{Snapshot: s, fault: f.fault}, nil
}

type brokenSnapshot struct {
	maildrop.Snapshot
	fault string

	mu        sync.Mutex
	retrieved []int
	removed   bool
}

func (b *brokenSnapshot) Info(n int) maildrop.Info {
	i := b.Snapshot.Info(n)
	switch {
	case b.fault == faultNumberedUIDs:
		i.UID = strconv.Itoa(n)
	case b.fault == faultTorn && i.Size > 1000:
		i.Size /= 2
	}
	return i
}

func (b *brokenSnapshot) Message(ctx context.Context, n int) (io.ReadCloser, error) {
	b.mu.Lock()
	b.retrieved = append(b.retrieved, n)
	b.mu.Unlock()
	r, err := b.Snapshot.Message(ctx, n)
	if err != nil || b.fault != faultTorn {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, b.Info(n).Size), r}, nil
}

func (b *brokenSnapshot) Remove(ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
	b.removed = true
	if b.fault != faultEarlyQuit {
		return b.Snapshot.Remove(ctx, numbers)
	}
	go func() {
		time.Sleep(late)
		_, _ = b.Snapshot.Remove(context.WithoutCancel(ctx), numbers)
		_ = b.Snapshot.Close()
	}()
	outcomes := make([]maildrop.Outcome, len(numbers))
	for i := range outcomes {
		outcomes[i] = maildrop.Removed
	}
	return outcomes, nil
}

func (b *brokenSnapshot) Close() error {
	switch {
	case b.fault == faultEarlyQuit && b.removed:
		return nil // Remove closes it, late
	case b.fault == faultDropDeletes && !b.removed && len(b.retrieved) > 0:
		b.removed = true
		_, _ = b.Snapshot.Remove(context.Background(), b.retrieved)
	}
	return b.Snapshot.Close()
}
