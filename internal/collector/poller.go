// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	"restante.example/internal/accounts"
	"restante.example/pop3"
	"restante.example/sasl"
)

const (
	maxBackoff   = time.Hour        // between polls after failures, where the interval is shorter
	firstPoll    = 10 * time.Second // within which the accounts are polled at first
	maxAtOnce    = 8                // accounts
	never        = -time.Second     // to be polled when somebody kicks
	reloadNotice = "the accounts were read again"
)

// Poller polls accounts on their schedules, until it is told to stop.
type Poller struct {
	*Collector
	// Load reads the accounts; it is called at the start and for each reload.
	Load func() ([]*accounts.Account, error)
	// Rand gives a number from 0 to 1 for jitter. Default: math/rand.
	Rand func() float64

	mu      sync.Mutex
	secrets map[string]sasl.Secret   // given by unlock, in memory only
	kicks   map[string]chan struct{} // wakes an account
	slots   chan struct{}
}

// ErrUnknown: there is no such account.
var ErrUnknown = errors.New("there is no such account")

// Run polls until ctx ends. A value on reload makes it read the accounts
// again; if they cannot be read it goes on with those it has. Ready is called
// when the accounts have been read, and after each reload.
func (p *Poller) Run(ctx context.Context, reload <-chan struct{}, ready func(reloaded bool)) error {
	list, err := p.Load()
	if err != nil {
		return err
	}
	if p.Rand == nil {
		p.Rand = rand.Float64
	}
	p.secrets = make(map[string]sasl.Secret)
	p.slots = make(chan struct{}, maxAtOnce)
	p.Source.Unlocked = p.unlocked
	for reloaded := false; ; reloaded = true {
		stop, wait := p.start(ctx, list)
		old := list
		ready(reloaded)
		for again := true; again; {
			select {
			case <-ctx.Done():
				wait()
				stop()
				return nil
			case <-reload:
				fresh, err := p.Load()
				if err != nil {
					p.Log.Error("the accounts cannot be used, going on with the old ones", "error", err)
					ready(true)
					continue
				}
				p.Log.Info(reloadNotice, "accounts", len(fresh))
				list, again = fresh, false
			}
		}
		// A collection that is interrupted goes on where it was: that is what
		// the journal is for.
		stop()
		p.review(old, list)
		wait()
	}
}

// review forgets the passwords that were given for accounts whose settings are
// others now: they may name another server, or have the new password.
func (p *Poller) review(old, list []*accounts.Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.secrets, func(name string, _ sasl.Secret) bool {
		return !slices.ContainsFunc(list, func(a *accounts.Account) bool {
			same := func(o *accounts.Account) bool { return reflect.DeepEqual(o, a) }
			return a.Name == name && slices.ContainsFunc(old, same)
		})
	})
}

// start begins to poll the accounts.
func (p *Poller) start(ctx context.Context, list []*accounts.Account) (stop context.CancelFunc, wait func()) {
	ctx, stop = context.WithCancel(ctx)
	var running sync.WaitGroup
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Source.Single = len(list) == 1
	p.kicks = make(map[string]chan struct{})
	for _, a := range list {
		if a.Off {
			continue
		}
		kick := make(chan struct{}, 1)
		p.kicks[a.Name] = kick
		running.Go(func() { p.poll(ctx, a, kick) })
	}
	return stop, running.Wait
}

// unlocked returns the password that was given by unlock, or "".
func (p *Poller) unlocked(a *accounts.Account) sasl.Secret {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.secrets[a.Name]
}

// Unlock gives the password of an account, and polls it.
func (p *Poller) Unlock(account string, password sasl.Secret) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	kick, ok := p.kicks[account]
	if !ok {
		return ErrUnknown
	}
	p.secrets[account] = password
	select {
	case kick <- struct{}{}:
	default: // one is on its way
	}
	return nil
}

// poll polls one account.
func (p *Poller) poll(ctx context.Context, a *accounts.Account, kick <-chan struct{}) {
	log := p.Log.With("account", a.Name)
	wait := time.Duration(p.Rand() * float64(min(firstPoll, time.Duration(a.Interval))))
	waiting := ""
	for failures := 0; ; {
		p.announce(a, log, wait, waiting)
		if !p.sleep(ctx, wait, kick) {
			p.announce(a, log, never, "")
			return
		}
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			continue // which ends it
		}
		used := p.unlocked(a)
		var secret *accounts.SecretError
		report, err := p.Collect(ctx, a)
		<-p.slots
		if ctx.Err() != nil {
			continue // which ends it
		}
		waiting = ""
		wait = time.Duration(a.Interval)
		switch {
		case errors.Is(err, pop3.CodeAuth) && used != "":
			// What a person gave may be outdated, and the settings right.
			p.forget(a.Name, used)
			waiting = "password"
			log.Error("the server refuses the password that restante unlock gave; next time that of the settings, if any", "error", err, "again in", wait)
		case errors.Is(err, pop3.CodeAuth):
			// behaviours.md, Client 9: stop and tell the person.
			log.Error("the server refuses the password; not trying again before restante unlock or a reload", "error", err)
			waiting, wait = "password", never
		case errors.As(err, &secret):
			// To look again costs the server nothing.
			failures++
			waiting, wait = "password", backoff(wait, failures)
			log.Warn("waiting for the password, or restante unlock "+a.Name, "error", err, "again in", wait.Round(time.Second))
		case errors.Is(err, accounts.ErrNoPassword):
			log.Warn("waiting for the password: restante unlock " + a.Name)
			waiting, wait = "password", never
		case err != nil:
			failures++
			wait = backoff(wait, failures)
			log.Warn("poll failed", "error", err, "again in", wait.Round(time.Second))
		case !report.Complete():
			failures = 0
			log.Warn("not everything could be collected", slog.Int("left", report.Left), slog.Int("filed", report.Filed))
		default:
			failures = 0
			level := slog.LevelDebug
			if report.Filed+report.Deleted > 0 {
				level = slog.LevelInfo
			}
			log.Log(ctx, level, "polled", "filed", report.Filed, "octets", report.FiledOctets, "known", report.Known, "deleted", report.Deleted)
			if report.More {
				wait = 0
			}
		}
		if wait != never {
			wait = p.jitter(max(wait, report.LoginDelay))
		}
	}
}

// jitter lengthens a time by up to a tenth, so that not all polls of the world
// come at the same second, and never shortens it: LOGIN-DELAY is a minimum.
func (p *Poller) jitter(d time.Duration) time.Duration {
	return d + time.Duration(p.Rand()*float64(d)/10)
}

// backoff doubles the time with each failure.
func backoff(interval time.Duration, failures int) time.Duration {
	d := interval
	for range failures {
		if d *= 2; d >= maxBackoff {
			return max(maxBackoff, interval)
		}
	}
	return d
}

// sleep waits until the time has come or somebody kicks. It returns false when
// ctx has ended.
func (p *Poller) sleep(ctx context.Context, wait time.Duration, kick <-chan struct{}) bool {
	var due <-chan time.Time
	if wait != never {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-kick:
	case <-ctx.Done():
		return false
	}
	return ctx.Err() == nil
}

// forget drops a password that was refused, unless another has come meanwhile.
func (p *Poller) forget(account string, refused sasl.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.secrets[account] == refused {
		delete(p.secrets, account)
	}
}

// announce writes into the status when the next poll is due.
func (p *Poller) announce(a *accounts.Account, log *slog.Logger, wait time.Duration, waiting string) {
	err := p.change(a, func(s *Status) {
		s.Waiting, s.NextPoll = waiting, time.Time{}
		if wait != never {
			s.NextPoll = p.Now().Add(wait)
		}
	})
	if err != nil {
		log.Warn("the status could not be written", "error", err)
	}
}
