// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"restante.example/pop3"
	"restante.example/pop3client"
)

const (
	// maxFruitless is how many sessions in a row may break without a message
	// having come whole before the rest is left for the next Run.
	maxFruitless = 10
	// slowFruitless is how many of them a session counts as that ended because
	// the server was silent: each has cost a whole Timeout.
	slowFruitless = 3
	// maxStrikes is how many messages in a row a destination may refuse before
	// it is left alone.
	maxStrikes = 5
	// pause between two sessions without success, times their number.
	pause = 250 * time.Millisecond
	// maxTexts is how many octets of reasons are kept of messages that could
	// not be collected: each may be 8 KiB long.
	maxTexts = 1 << 20
)

// target is a destination during a run.
type target struct {
	Destination
	id      string
	asked   bool  // Recover was called
	down    error // why it is left alone
	strikes int
}

// run is one call of Run.
type run struct {
	a       *Account
	journal Journal
	log     *slog.Logger
	now     func() time.Time
	targets []*target
	opt     pop3client.Options
	ledger  *ledger
	report  *Report
	seen    map[int64]bool // entries whose content this run has seen on the server

	mu       sync.Mutex // guards what follows and targets' fields: filing runs beside retrieving
	problems map[rowKey]Problem
	texts    int            // octets of the reasons in problems
	suspects map[rowKey]int // how often a message broke the connection
	observe  sync.Mutex
}

// Run collects what the account has to offer, in one session or more, and
// returns what it did, also beside an error. The error is nil when the run came
// to its end: then Report.Complete says whether everything is filed. When ctx is
// cancelled, Run returns after the messages that are being filed. Only one Run may
// work on a journal, and only one on a mailbox, at a time.
//
// A refusal to sign in is a *pop3.Error; errors.Is with pop3.CodeAuth and its
// like tells whom it concerns.
func Run(ctx context.Context, a Account, j Journal) (*Report, error) {
	r, err := newRun(&a, j)
	if err != nil {
		return &Report{}, err
	}
	err = r.sessions(ctx)
	for _, p := range r.problems {
		r.report.Problems = append(r.report.Problems, p)
	}
	slices.SortFunc(r.report.Problems, func(a, b Problem) int { return cmp.Compare(a.Number, b.Number) })
	return r.report, err
}

func newRun(a *Account, j Journal) (*run, error) {
	switch {
	case a.Dial == nil || a.Credentials == nil:
		return nil, errors.New("collect: Account.Dial and Account.Credentials must be set")
	case len(a.Destinations) == 0:
		return nil, errors.New("collect: an account needs a destination")
	}
	r := &run{
		a: a, journal: j, log: a.Log, now: a.Now, opt: a.Options, report: &Report{},
		problems: make(map[rowKey]Problem), suspects: make(map[rowKey]int), seen: make(map[int64]bool),
	}
	r.opt.UTF8 = true // or else a server keeps what was sent with SMTPUTF8
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	for _, d := range a.Destinations {
		id := d.ID()
		if slices.ContainsFunc(r.targets, func(t *target) bool { return t.id == id }) {
			return nil, fmt.Errorf("collect: destination %s is there twice", id)
		}
		r.targets = append(r.targets, &target{Destination: d, id: id})
	}
	return r, nil
}

// sessions signs in as often as it takes.
func (r *run) sessions(ctx context.Context) error {
	for fruitless := 0; ; {
		before := len(r.seen)
		again, err := r.session(ctx)
		if !again {
			return err
		}
		if len(r.seen) > before {
			fruitless = 0
		} else {
			fruitless++
			if errors.Is(err, os.ErrDeadlineExceeded) {
				fruitless += slowFruitless - 1
			}
			if fruitless > maxFruitless {
				return cmp.Or(err, error(pop3client.ErrBroken))
			}
		}
		if r.kept() > maxIDs {
			return &pop3client.LimitError{What: "list of ids of failed messages", Limit: maxIDs}
		}
		wait := time.Duration(fruitless) * pause
		if r.report.LoginDelay > 0 {
			if r.report.LoginDelay > r.a.MaxWait {
				r.report.More = true
				return err
			}
			wait = r.report.LoginDelay
		}
		if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
		}
	}
}

// keyCost is what a message that is kept in mind takes beside its id.
const keyCost = 64

// kept is how many octets the messages take that failed or broke the connection: a
// server may offer others in each session.
func (r *run) kept() (octets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.problems {
		octets += len(k.uid) + keyCost
	}
	for k := range r.suspects {
		octets += len(k.uid) + keyCost
	}
	return octets
}

// session is one session. With again true another one makes sense, whatever err is.
func (r *run) session(ctx context.Context) (again bool, err error) {
	c, err := r.connect(ctx)
	if err != nil {
		return false, err
	}
	// Without QUIT, nothing is deleted.
	defer c.Close()
	r.report.Sessions++
	r.tell(Event{Kind: EventSession})
	s := &session{run: r, c: c}
	if again, err := s.collect(ctx); err != nil || again {
		if s.fresh <= 1 || errors.Is(err, os.ErrDeadlineExceeded) {
			again = r.withoutPipelining(err) || again
		}
		return r.withoutCapabilities(err) || again, err
	}
	return r.a.UntilDry && s.fresh > 0, nil
}

// withoutPipelining reports whether a new connection without pipelining may do
// better, and sees to it.
func (r *run) withoutPipelining(err error) bool {
	if !errors.Is(err, pop3client.ErrPipelining) || r.opt.NoPipelining {
		return false
	}
	r.log.Warn("the server may fail at pipelining, going on without", "account", r.a.ID, "error", err)
	r.opt.NoPipelining = true
	return true
}

// withoutCapabilities is the same for CAPA, which some servers answer before
// sign-in and not after it.
func (r *run) withoutCapabilities(err error) bool {
	if !errors.Is(err, pop3client.ErrNoCapabilities) || r.opt.SkipCapabilities {
		return false
	}
	r.log.Info("the server does not answer CAPA, going on without", "account", r.a.ID)
	r.opt.SkipCapabilities = true
	return true
}

// connect dials and signs in.
func (r *run) connect(ctx context.Context) (*pop3client.Client, error) {
	cred, err := r.a.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	for {
		opt := r.opt
		c, err := r.a.Dial(ctx, &opt)
		if err == nil {
			if err = c.SignIn(ctx, cred); err == nil {
				return c, nil
			}
			c.Close()
		}
		if !r.withoutPipelining(err) && !r.withoutCapabilities(err) {
			return nil, err
		}
	}
}

// capabilities learns the server's policies. RFC 2449 sections 6.5 and 6.7.
func (r *run) capabilities(ctx context.Context, c *pop3client.Client) error {
	caps, err := c.Capabilities(ctx)
	if err != nil {
		if refusal := (*pop3.Error)(nil); errors.As(err, &refusal) {
			return nil
		}
		return err
	}
	r.report.LoginDelay = min(caps.LoginDelay(), 24*time.Hour)
	days, never, announced := caps.Expire()
	if announced && !never && days == 0 && !r.a.Keep.Delete && !r.a.UntilDry && r.report.Sessions == 1 {
		r.report.Warnings = append(r.report.Warnings, ErrExpires)
	}
	return nil
}

// tell hands an event to the observer.
func (r *run) tell(e Event) {
	if r.a.Observe != nil {
		r.observe.Lock()
		defer r.observe.Unlock()
		r.a.Observe(e)
	}
}

// fail notes that a message could not be collected in this run.
func (r *run) fail(w *row, err error) {
	r.mu.Lock()
	_, known := r.problems[w.key]
	if !known {
		r.problems[w.key] = Problem{Number: w.number, UID: w.uid, Err: r.short(err)}
	}
	r.mu.Unlock()
	if !known {
		r.log.Warn("message not collected", "account", r.a.ID, "number", w.number, "uid", pop3.Printable(w.uid), "error", err)
		r.tell(Event{Kind: EventProblem, Number: w.number, UID: w.uid, Size: w.announced, Err: err})
	}
}

// short returns what is kept of a reason: when there are many, of a refusal its
// code only, and of others that there was one.
func (r *run) short(err error) error {
	if err == ErrNotFiled || err == ErrEmpty { // these take no room
		return err
	}
	if r.texts += len(err.Error()); r.texts <= maxTexts {
		return err
	}
	if refusal := (*pop3.Error)(nil); errors.As(err, &refusal) && len(refusal.Code) <= maxCode {
		return &pop3.Error{Code: pop3.Code(strings.Clone(string(refusal.Code)))}
	}
	return errShort
}

// maxCode is the longest code that is kept where texts are not.
const maxCode = 40

var errShort = errors.New("failed, like so many before that the reason was not kept")

func (r *run) failed(w *row) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, yes := r.problems[w.key]
	return yes
}

// failedItself is failed without those that were only under way when their
// destinations were left alone because of others.
func (r *run) failedItself(w *row) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, yes := r.problems[w.key]
	return yes && p.Err != ErrNotFiled
}

// strike notes that a destination failed, nil that it did not.
func (r *run) strike(t *target, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		t.strikes = 0
		return
	}
	if t.strikes++; t.down == nil && (t.strikes >= maxStrikes || errors.Is(err, ErrUnavailable)) {
		t.down = err
		r.report.Warnings = append(r.report.Warnings, fmt.Errorf("%s: %w", t.id, err))
	}
}

func (r *run) isDown(t *target) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return t.down != nil
}

func (r *run) allDown() bool {
	return !slices.ContainsFunc(r.targets, func(t *target) bool { return !r.isDown(t) })
}

// complete reports whether a row is filed wherever it should be.
func (r *run) complete(w *row) bool {
	if w.entry == nil || w.upgrade {
		return false
	}
	for _, t := range r.targets {
		if !w.entry.filedAt(t.id) {
			return false
		}
	}
	return true
}

// broke notes that the connection broke while a message was under way.
func (r *run) broke(w *row, err error) {
	r.suspects[w.key]++
	if r.suspects[w.key] > 1 {
		r.fail(w, err)
	}
}
