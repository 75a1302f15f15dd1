// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	honestUser  = "honest@example.org"
	hostileUser = "hostile@example.org"
	callers     = 3 // users of sessions of our own
	deliverers  = 3
)

// torture is a run.
type torture struct {
	options
	report   *report
	office   *office
	disk     *disk
	dir, bin string
	rng      *rand.Rand
	people   []*ledger // those to whom mail is delivered
	inputs   [][]byte  // of the fuzz corpora

	injected int    // system calls that were made to fail
	refused  string // what strace said when it could not attach
}

// worker is something that goes on all the time.
type worker func(ctx context.Context)

func (t *torture) source() *rand.Rand { return rand.New(rand.NewPCG(t.rng.Uint64(), 2)) }

func (t *torture) person(name string) *ledger {
	l := newLedger(name, t.report.broken)
	t.people = append(t.people, l)
	t.report.ledgers = t.people
	return l
}

// live is the whole run: the workload, the troubles one after the other, and the
// checks.
func (t *torture) live(ctx context.Context) error {
	lists, err := corpora()
	if err != nil {
		return err
	}
	for _, target := range slices.Sorted(maps.Keys(lists)) {
		t.inputs = append(t.inputs, lists[target]...)
	}
	if len(t.inputs) == 0 {
		return errors.New("no fuzz corpora were found: run it inside the module")
	}
	var work []worker
	for i := range callers {
		l, rng := t.person(fmt.Sprintf("caller%d@example.org", i)), t.source()
		work = append(work, func(ctx context.Context) { t.caller(ctx, l, rng) })
	}
	tapped, taps, err := t.programs()
	if err != nil {
		return err
	}
	defer func() {
		for _, tap := range taps {
			tap.close()
		}
	}()
	work = append(work, tapped...)
	kept, end, err := t.collectors()
	if err != nil {
		return err
	}
	defer end()
	work = append(work, kept.work...)
	for range deliverers {
		rng := t.source()
		work = append(work, func(ctx context.Context) { t.deliverer(ctx, rng) })
	}
	work = append(work, func(ctx context.Context) { t.honest(ctx, honestUser) })
	if err := t.furnish(ctx); err != nil {
		return err
	}
	whole, stop := context.WithTimeout(ctx, t.time)
	defer stop()
	t.report.stop = stop
	var all sync.WaitGroup
	for _, w := range work {
		all.Go(func() { w(whole) })
	}
	err = t.makeTrouble(whole)
	stop()
	all.Wait()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if t.injected == 0 && t.refused != "" {
		t.report.leftOut("errors of system calls: strace may not attach: %s", t.refused)
	}
	t.report.begin("the last checks")
	return t.settle(ctx, kept)
}

// furnish makes the users, starts the server, and gives the crowd its letter.
func (t *torture) furnish(ctx context.Context) error {
	names := []string{honestUser, hostileUser}
	for _, l := range t.people {
		names = append(names, l.user)
	}
	for i := range crowdUsers {
		names = append(names, crowdUser(i))
	}
	for _, name := range names {
		if err := t.office.addUser(ctx, name); err != nil {
			return err
		}
	}
	if err := t.office.start(ctx); err != nil {
		return err
	}
	c, err := lmtpGreet("", t.office.lmtp)
	if err != nil {
		return err
	}
	defer c.hangUp()
	names = names[:0]
	for i := range crowdUsers {
		names = append(names, crowdUser(i))
	}
	if _, err := c.opening(names); err != nil {
		return err
	}
	if _, err := c.Write(stuff(bytes.Repeat([]byte("a letter for the crowd\r\n"), crowdLetter/24))); err != nil {
		return err
	}
	for range names {
		if _, err := c.expect("250"); err != nil {
			return err
		}
	}
	return nil
}

// programs are those that are installed, each behind a tap of its own.
func (t *torture) programs() (work []worker, taps []*tap, err error) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.report.leftOut("programs of others: prlimit is not installed, without which some fill the disk: apt-get install util-linux")
		return nil, nil, nil
	}
	for _, p := range mailPrograms {
		path, err := exec.LookPath(p.name)
		if err != nil {
			t.report.leftOut("%s: it is not installed: apt-get install %s", p.name, p.pkg)
			continue
		}
		l := t.person(p.name + "@example.org")
		tap, err := newTap(t.office.pop3, l, t.report)
		if err != nil {
			return nil, taps, err
		}
		taps = append(taps, tap)
		e := errand{program: path, dir: filepath.Join(t.dir, p.name), user: l.user, port: tap.port(), rng: t.source()}
		if err := os.Mkdir(e.dir, 0o700); err != nil {
			return nil, taps, err
		}
		work = append(work, func(ctx context.Context) { t.program(ctx, p, e) })
	}
	return work, taps, nil
}

// ours is what restante collects.
type ours struct {
	ledger  *ledger
	dir     string
	address string // of its tap: another address is another account
	work    []worker
}

func (t *torture) collectors() (o ours, end func(), err error) {
	o.ledger, o.dir = t.person("restante@example.org"), filepath.Join(t.dir, "restante")
	tap, err := newTap(t.office.pop3, o.ledger, t.report)
	if err != nil {
		return o, nil, err
	}
	o.address = "127.0.0.1:" + tap.port()
	rng, other := t.source(), t.source()
	o.work = []worker{
		func(ctx context.Context) { t.collector(ctx, o.ledger, o.dir, o.address, rng) },
		func(ctx context.Context) { t.spoiler(ctx, other) },
	}
	return o, tap.close, nil
}

// makeTrouble deals the troubles from a shuffled deck, with a pause after each,
// until the time is over.
func (t *torture) makeTrouble(ctx context.Context) error {
	list := t.troubles()
	if len(list) == 0 {
		return fmt.Errorf("no trouble begins with %q", t.only)
	}
	var deck []trouble
	for {
		if !pause(ctx, time.Duration(300+t.rng.IntN(1000))*time.Millisecond) {
			return nil
		}
		if len(deck) == 0 {
			for _, one := range list {
				for range one.weight {
					deck = append(deck, one)
				}
			}
			t.rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		next := deck[0]
		deck = deck[1:]
		t.report.begin(next.name)
		err := next.make(ctx, t.source())
		if ctx.Err() != nil {
			return nil // the last checks begin with a server of their own
		}
		if err == nil {
			err = t.office.up(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", next.name, err)
		}
		t.report.begin("")
	}
}

// settle compares everything, in peace, with a server that has just been started:
// one that met errors while it read may refuse what it takes for damaged.
func (t *torture) settle(ctx context.Context, kept ours) error {
	t.office.end(syscall.SIGKILL)
	if err := t.office.start(ctx); err != nil {
		return err
	}
	for _, l := range t.people {
		if err := t.session(l, t.rng, true); err != nil {
			t.report.broken("%s: the mail cannot be read in peace: %v", l.user, err)
		}
	}
	if err := t.lastCollection(ctx, kept); err != nil {
		return err
	}
	t.office.end(syscall.SIGTERM)
	if status := t.office.current().cmd.ProcessState.ExitCode(); status != 0 {
		t.report.broken("after SIGTERM the server ended with status %d", status)
	}
	return nil
}

// lastCollection looks at what is left for restante, and at what it has filed.
func (t *torture) lastCollection(ctx context.Context, kept ours) error {
	c, err := pop3SignIn("", t.office.pop3, kept.ledger.user, nil)
	if err != nil {
		t.report.broken("%s: the mail cannot be read in peace: %v", kept.ledger.user, err)
		return nil
	}
	list, err := c.rows()
	if err != nil {
		t.report.broken("%s: the mail cannot be read in peace: %v", kept.ledger.user, err)
		return nil
	}
	var there []sum
	for _, m := range list {
		if s, known := kept.ledger.listed(m.uid); known {
			there = append(there, s)
		}
	}
	_, err = c.say("QUIT", "+OK")
	c.hangUp()
	if err != nil {
		t.report.note("%v", err)
	}
	if err := t.collected(kept.ledger, kept.dir, there); err != nil {
		return err
	}
	if !t.fetch(ctx, kept.dir, kept.address, kept.ledger.user, password, 0, "--delete") {
		t.report.broken("restante does not come to a good end in peace")
	}
	return t.collected(kept.ledger, kept.dir, nil)
}
