// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"restante.example/bench/volume"
)

// powerCut copies the disk as it is at one instant, while everything goes on, and
// looks at the copy as at the disk of a machine whose power was cut: all that the
// kernel had not written yet is missing there. A server that is started on it must
// show everything that was accepted by then.
func (t *torture) powerCut(ctx context.Context, rng *rand.Rand) (err error) {
	if !pause(ctx, time.Duration(rng.IntN(3000))*time.Millisecond) {
		return nil
	}
	before := t.copyLedgers()
	image := filepath.Join(t.disk.shared, "cut")
	if err := cloneFile(image, t.disk.image); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(image)) }()
	after := t.copyLedgers()
	t.report.count("power cuts, "+t.disk.kind, 1)

	at := filepath.Join(t.dir, "cut")
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	options := "loop"
	if t.disk.kind == "xfs" {
		options += ",nouuid" // its twin is mounted
	}
	var mounts volume.Mounts
	if err := mounts.Mount(ctx, "-o", options, image, at); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		t.report.broken("the disk cannot be mounted after a power cut: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, mounts.Unmount()) }()
	return t.inspect(ctx, at, before, after, rng)
}

// cloneFile makes a file of the blocks of another, as they are at one instant.
func cloneFile(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(unix.IoctlFileClone(int(f.Fd()), int(source.Fd())), f.Close())
}

// inspect starts a server on a copy of the disk and compares what it shows with
// what was known before the copy was made and after.
func (t *torture) inspect(ctx context.Context, at string, before, after []*ledger, rng *rand.Rand) error {
	dir := filepath.Join(t.dir, fmt.Sprintf("cut.%d", rng.Uint64()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	o, err := newOffice(ctx, dir, filepath.Join(at, filepath.Base(t.office.data)), t.bin, t.options, t.report)
	if err != nil {
		return err
	}
	defer o.close()
	if err := o.start(ctx); err != nil {
		if ctx.Err() == nil {
			t.report.broken("the server does not start after a power cut: %v", err)
		}
		return nil
	}
	there := &torture{options: t.options, report: t.report, office: o}
	for i, l := range before {
		if ctx.Err() != nil {
			return nil
		}
		if err := there.session(l.atTheCut(after[i]), rng, true); err != nil {
			t.report.broken("%s: the mail cannot be read after a power cut: %v", l.user, err)
		}
	}
	o.end(syscall.SIGTERM)
	return nil
}

func (t *torture) copyLedgers() []*ledger {
	list := make([]*ledger, len(t.people))
	for i, l := range t.people {
		list[i] = l.copy()
	}
	return list
}

// copy returns what is known now, as a ledger that nobody else writes to.
func (l *ledger) copy() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &ledger{user: l.user, broken: l.broken, mail: make(map[sum]*fate, len(l.mail)), uids: maps.Clone(l.uids),
		size: maps.Clone(l.size), held: l.held, count: l.count, blind: l.blind, twice: l.twice}
	for s, f := range l.mail {
		own := *f
		c.mail[s] = &own
	}
	return c
}

// atTheCut returns what must hold at an instant that l came before and later
// behind: what was accepted before must be there unless a QUIT asked for its removal
// until later, and what was removed before must not.
func (l *ledger) atTheCut(later *ledger) *ledger {
	c := later.copy()
	c.broken = func(format string, args ...any) { l.broken("after a power cut: "+format, args...) }
	for s, f := range c.mail {
		was := l.mail[s]
		if was == nil {
			was = &fate{}
		}
		// The file of a message that was refused may not have been unlinked on the disk.
		*f = fate{accepted: was.accepted, refused: was.refused, excused: was.refused, stayed: was.stayed, seen: was.seen,
			removed: was.removed, leaving: (f.leaving || f.removed) && !was.removed}
	}
	return c
}
