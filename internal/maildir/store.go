// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package maildir keeps mail in Maildir directories, which other programs may
// share. It implements maildrop.Store.
//
// What is known of a message travels in the name of its file; what is learnt
// by reading is in an index that can be deleted; what was decided, such as the
// removals of a QUIT, is in a journal. Index and journal stand beside the
// Maildir, never inside.
//
// One process at a time may use a maildrop through this package.
package maildir

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"sync"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// Place is where a maildrop is kept.
type Place struct {
	// Mail is a directory, and Maildir the path in it of the directory that
	// holds tmp, new and cur, such as "mail/u1/Maildir".
	Mail    fsx.FS
	Maildir string
	// State is a directory, and StateDir the path in it of the directory for
	// our own files, such as "mail/u1". It must not be in a Maildir.
	State    fsx.FS
	StateDir string
}

// Options of a store.
type Options struct {
	// Locate says where a maildrop is. It answers maildrop.ErrNoMaildrop when
	// there is none, or any other error when it cannot tell. The directories
	// need not be there yet.
	Locate func(ctx context.Context, id maildrop.ID) (Place, error)

	// Rules says how long the mail of a maildrop is kept; nil is no rule, and
	// then what happens to messages is not remembered either. It is
	// asked at removals and by Sweep, and answers from memory. An error means
	// that it cannot tell: nothing is removed for good then.
	Rules func(ctx context.Context, id maildrop.ID) (maildrop.Rules, error)

	// Clock gives the time; nil is the system's.
	Clock func() time.Time
	// Rand gives the random part of names; nil is crypto/rand.
	Rand io.Reader
	// Host and PID stand in names; empty and 0 are the system's.
	Host string
	PID  int

	// InsecureNoFlush leaves out every flush: a power cut may then lose mail
	// that was accepted and bring back mail that was removed.
	InsecureNoFlush bool
	// Reserve is how much room in octets deliveries leave free; 0 is a
	// hundredth of the file system and at most 64 MiB, less than 0 is none.
	Reserve int64
	// CacheMessages bounds how many messages of maildrops that are not open are
	// remembered; 0 is 1,000,000.
	CacheMessages int
	// Logger gets what an operator has to know; nil is none.
	Logger *slog.Logger
}

// Store is a maildrop.Store of Maildir directories.
type Store struct {
	opt   Options
	log   *slog.Logger
	names names
	txns  transactions
	// faults is set by tests only.
	faults faults
	counts counts

	mu     sync.Mutex
	closed bool
	ops    sync.WaitGroup // what runs between begin and end
	drops  map[maildrop.ID]*drop
	lru    drop // the ring of those that nobody uses, latest first
	cached int
	token  uint64
	// handles counts maildrops that keep directories open.
	handles int
}

var _ maildrop.Store = (*Store)(nil)

// faults makes a store wrong on purpose, so that the tests that are there to
// find such errors can be seen to find them.
type faults struct {
	skipDirFlush   bool // new is not flushed after a delivery
	skipFileFlush  bool // a file is not flushed before it gets its name
	answerEarly    bool // Commit answers before the message has its name
	servePast      bool // a damaged message is served to its end
	removeFirst    bool // files are removed before the journal says so
	confirmUnsaved bool // Remove answers before its record is flushed
	skipHeldFlush  bool // the holding area is not flushed before files leave the Maildir
	bringUnsaved   bool // Undelete answers before its record is flushed
	reuseUIDs      bool // what comes back has the UID of before
}

// New returns a store. It touches no file before it is asked for a maildrop.
func New(opt Options) *Store {
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	if opt.Host == "" {
		// A host without a name is "localhost" in names of files.
		opt.Host, _ = os.Hostname()
	}
	if opt.PID == 0 {
		opt.PID = os.Getpid()
	}
	if opt.CacheMessages == 0 {
		opt.CacheMessages = 1_000_000
	}
	s := &Store{opt: opt, log: opt.Logger, drops: make(map[maildrop.ID]*drop)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.lru.prev, s.lru.next = &s.lru, &s.lru
	s.names.host, s.names.pid = hostPart(opt.Host), opt.PID
	s.txns.clock = opt.Clock
	s.raiseToken(uint64(max(opt.Clock().UnixMicro(), 0)))
	return s
}

func (s *Store) since(t time.Time) time.Duration { return s.opt.Clock().Sub(t) }

// begin starts an operation, which Close waits for.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return maildrop.ErrClosed
	}
	s.ops.Add(1)
	return nil
}

func (s *Store) end() { s.ops.Done() }

// raiseToken makes later tokens greater than t.
func (s *Store) raiseToken(t uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = max(s.token, t)
}

func (s *Store) nextToken() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token++
	return s.token
}

// acquire returns a maildrop, locked, and holds it in memory until release.
func (s *Store) acquire(ctx context.Context, id maildrop.ID) (*drop, error) {
	if !id.Valid() {
		return nil, maildrop.ErrNoMaildrop
	}
	for {
		d := s.hold(id)
		if err := d.take(ctx); err != nil {
			s.release(d)
			return nil, err
		}
		if !d.dead {
			return d, nil
		}
		d.give()
		s.release(d)
	}
}

// hold returns a maildrop and keeps it in memory until release.
func (s *Store) hold(id maildrop.ID) *drop {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drops[id]
	if d == nil {
		d = &drop{store: s, id: id, lock: make(chan struct{}, 1), temps: make(map[string]struct{})}
		s.drops[id] = d
	}
	if d.refs == 0 && d.next != nil {
		d.prev.next, d.next.prev = d.next, d.prev
		d.prev, d.next = nil, nil
		s.cached -= d.cost
	}
	d.refs++
	return d
}

// release lets go of a maildrop; the least recently used ones leave the memory
// when there are too many messages in it.
func (s *Store) release(d *drop) {
	s.mu.Lock()
	d.refs--
	if d.refs > 0 {
		s.mu.Unlock()
		return
	}
	d.handleMu.Lock()
	handles := d.handles
	d.handles = nil
	d.handleMu.Unlock()
	if handles != nil {
		s.handles--
		defer handles.close()
	}
	if d.dead {
		s.mu.Unlock()
		return
	}
	d.mu.Lock()
	d.cost = 1
	if d.list != nil {
		d.cost += len(d.list.entries)
	}
	d.mu.Unlock()
	d.prev, d.next = &s.lru, s.lru.next
	d.prev.next, d.next.prev = d, d
	s.cached += d.cost
	var victims []maildrop.ID
	for v, left := s.lru.prev, s.cached; left > s.opt.CacheMessages && v != &s.lru; v = v.prev {
		victims = append(victims, v.id)
		left -= v.cost
	}
	s.mu.Unlock()
	for _, id := range victims {
		s.evict(id)
	}
}

// evict takes a maildrop from memory, unless somebody uses it again.
func (s *Store) evict(id maildrop.ID) {
	s.mu.Lock()
	d := s.drops[id]
	if d == nil || d.refs > 0 || d.next == nil {
		s.mu.Unlock()
		return
	}
	d.prev.next, d.next.prev = d.next, d.prev
	d.prev, d.next = nil, nil
	s.cached -= d.cost
	d.refs++
	s.mu.Unlock()
	d.lock <- struct{}{}
	d.unlinkRefused()
	if d.loaded {
		d.finish(context.Background())
		d.saveIndex()
	}
	d.saveTrace()
	s.mu.Lock()
	if d.refs == 1 {
		d.dead = true
		delete(s.drops, id)
	}
	s.mu.Unlock()
	d.give()
	s.release(d)
}

// Close ends the store: it waits for deliveries and removals that are being
// committed, saves what was learnt, and revokes open snapshots. Whatever is
// asked of the store afterwards answers maildrop.ErrClosed. It does not close
// the directories of Place.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.ops.Wait()
	for _, d := range s.all() {
		d.mu.Lock()
		var open []*snapshot
		for _, sn := range d.open {
			open = append(open, sn)
		}
		d.mu.Unlock()
		for _, sn := range open {
			sn.Revoke()
		}
		d.lock <- struct{}{}
		if d.loaded {
			d.finish(context.Background())
			d.saveIndex()
		}
		d.saveTrace()
		d.give()
	}
	return nil
}

func (s *Store) all() []*drop {
	s.mu.Lock()
	defer s.mu.Unlock()
	var drops []*drop
	for _, d := range s.drops {
		drops = append(drops, d)
	}
	return drops
}

// Sweep does what has to be done now and then, every few minutes: the full
// scan that finds what stamps cannot show, the compaction of journals, saving
// what was learnt, removing old temporary files. It does so for the maildrops
// in memory, and cleans those in ids as well, which may be nil.
func (s *Store) Sweep(ctx context.Context, ids iter.Seq[maildrop.ID]) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	var errs []error
	known := make(map[maildrop.ID]bool)
	var all []maildrop.ID
	sweep := func(id maildrop.ID) {
		if known[id] {
			return
		}
		known[id] = true
		all = append(all, id)
		if err := s.sweep(ctx, id); err != nil {
			errs = append(errs, err)
		}
	}
	for _, d := range s.all() {
		sweep(d.id)
	}
	if ids != nil {
		for id := range ids {
			if ctx.Err() != nil {
				break
			}
			sweep(id)
		}
	}
	if s.opt.Rules != nil {
		errs = append(errs, s.relieve(ctx, all))
	}
	return errors.Join(append(errs, ctx.Err())...)
}

func (s *Store) sweep(ctx context.Context, id maildrop.ID) error {
	d, err := s.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer s.release(d)
	defer d.give()
	rules := d.rules(ctx)
	if !d.loaded {
		if err := d.locate(ctx); err != nil {
			return err
		}
		if rules.Age <= 0 && rules.Messages <= 0 && rules.Octets <= 0 {
			d.cleanTemp()
			d.saveTrace()
			return errors.Join(d.sweepHeld(ctx, rules), d.dropTrace(rules))
		}
		if err := d.load(ctx); err != nil {
			return err
		}
	}
	if s.since(d.scanned) >= rescanAfter {
		if err := d.scan(ctx); err != nil {
			return err
		}
	}
	d.finish(ctx)
	err = d.retain(ctx, rules)
	d.expire(ctx, rules.KeepRemoved)
	d.compact()
	d.saveIndex()
	d.saveTrace()
	d.pruneTrace(rules)
	d.cleanTemp()
	return err
}

// sweepHeld looks after the holding area of a maildrop that is not in memory.
func (d *drop) sweepHeld(ctx context.Context, rules maildrop.Rules) error {
	if _, err := d.place.State.Stat(d.heldDir()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := d.loadJournal(); err != nil {
		return err
	}
	d.expire(ctx, rules.KeepRemoved)
	return nil
}

// random returns random octets for names.
func (s *Store) random() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(s.opt.Rand, b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// names makes bases for new files, each one later in order than the one before
// even when the clock is put back.
type names struct {
	mu   sync.Mutex
	host string
	pid  int
	last time.Time
	n    uint64
}

// next returns a base that was not used before.
func (g *names) next(now time.Time, random uint32) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	now = now.Truncate(time.Microsecond)
	if !now.After(g.last) {
		now = g.last.Add(time.Microsecond)
	}
	g.last = now
	g.n++
	return newName(now, g.pid, g.n, random, g.host)
}
