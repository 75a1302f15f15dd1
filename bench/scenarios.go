// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// measure is what one run of a scenario gave.
type measure struct {
	units     float64       // how many units of work were done
	wall      time.Duration // how long they took
	cpu       time.Duration // processor time of all processes of the server
	memory    int64         // octets, where memory is what is measured
	processes int
}

// scenario is one kind of load.
type scenario struct {
	name string
	unit string
	// what is what the table says: "cpu ms" per unit, "cpu s" in all, "rate"
	// per second, "wall ms" in all or "KB" of memory per unit.
	what string
	lmtp bool // needs LMTP
	// users is how many users there are.
	users int
	// mail prepares the Maildirs before the server starts.
	mail func(in string, user int) error
	load func(ctx context.Context, in *instance) (measure, error)
}

func flat(octets int) func(int) int { return func(int) int { return octets } }

// filled prepares the Maildir of user 0.
func filled(n int, size func(int) int, sizes bool) func(string, int) error {
	return func(maildir string, user int) error {
		if user != 0 {
			return fill(maildir, 0, size, sizes)
		}
		return fill(maildir, n, size, sizes)
	}
}

func empty(maildir string, _ int) error { return fill(maildir, 0, flat(0), false) }

var scenarios = buildScenarios()

func buildScenarios() []scenario {
	var list []scenario
	for _, useTLS := range []bool{false, true} {
		suffix := "plain"
		if useTLS {
			suffix = "tls"
		}
		for _, parallel := range []int{1, 16} {
			list = append(list, scenario{name: fmt.Sprintf("signin-%s-%d", suffix, parallel), unit: "session", what: "cpu ms",
				users: 1, mail: filled(10, flat(4<<10), true), load: signIns(2000, parallel, useTLS)})
		}
		list = append(list,
			scenario{name: "retr-" + suffix, unit: "1,000 messages, 129 MB", what: "cpu s", users: 1,
				mail: filled(1000, mixed, true), load: retrieval(1000, 32, useTLS, 4)},
			scenario{name: "idle-" + suffix, unit: "session", what: "KB", users: 500, mail: empty, load: idle(500, useTLS)})
	}
	list = append(list,
		scenario{name: "retr-single", unit: "message", what: "rate", users: 1, mail: filled(1000, flat(4<<10), true),
			load: retrieval(1000, 1, false, 3)},
		scenario{name: "retr-dele-quit", unit: "1,000 messages", what: "cpu s", users: 1, mail: filled(1000, flat(4<<10), true),
			load: removal(1000)})
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		list = append(list,
			scenario{name: fmt.Sprintf("poll-first-%d", n), unit: "poll, sizes unknown", what: "cpu ms", users: 1,
				mail: empty, load: firstPoll(n, false)},
			scenario{name: fmt.Sprintf("poll-first-sized-%d", n), unit: "poll, S= and W= in names", what: "cpu ms", users: 1,
				mail: empty, load: firstPoll(n, true)},
			scenario{name: fmt.Sprintf("poll-warm-%d", n), unit: "poll", what: "cpu ms", users: 1,
				mail: filled(n, flat(2<<10), true), load: warmPolls(n, max(5, 20_000/n))},
			scenario{name: fmt.Sprintf("poll-arrival-%d", n), unit: "poll after one own delivery", what: "cpu ms", lmtp: true, users: 1,
				mail: filled(n, flat(2<<10), true), load: arrivals(n, 20)})
	}
	for _, parallel := range []int{1, 16} {
		list = append(list,
			scenario{name: fmt.Sprintf("lmtp-same-%d", parallel), unit: "delivery", what: "rate", lmtp: true, users: 16, mail: empty,
				load: deliveries(parallel, 100, true)},
			scenario{name: fmt.Sprintf("lmtp-apart-%d", parallel), unit: "delivery", what: "rate", lmtp: true, users: 16, mail: empty,
				load: deliveries(parallel, 100, false)})
	}
	return list
}

// runScenario starts the server over fresh mail, runs the load and stops it.
func runScenario(ctx context.Context, s scenario, srv server, dir string) (measure, error) {
	if s.lmtp && !srv.lmtp {
		return measure{}, errNoLMTP
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return measure{}, err
	}
	in, err := srv.start(ctx, dir, s.users)
	if err != nil {
		return measure{}, err
	}
	defer in.stop()
	for user := range s.users {
		// Made beside and moved, so that the server sees it at once or not.
		maildir := in.maildir(user)
		if err := os.RemoveAll(maildir); err != nil {
			return measure{}, err
		}
		if err := os.MkdirAll(filepath.Dir(maildir), 0o700); err != nil {
			return measure{}, err
		}
		if err := s.mail(maildir, user); err != nil {
			return measure{}, err
		}
	}
	return s.load(ctx, in)
}

var errNoLMTP = fmt.Errorf("takes no mail in by LMTP here")

// timed runs the work and measures the server meanwhile.
func timed(in *instance, units int, work func() error) (measure, error) {
	before, err := cpuOf(in.cmd.Process.Pid)
	if err != nil {
		return measure{}, err
	}
	start := time.Now()
	if err := work(); err != nil {
		return measure{}, err
	}
	m := measure{units: float64(units), wall: time.Since(start)}
	after, err := cpuOf(in.cmd.Process.Pid)
	m.cpu = after - before
	return m, err
}

// inParallel runs work for 0 to n-1 with so many at once, and returns the first
// error.
func inParallel(n, parallel int, work func(i int) error) error {
	next := make(chan int)
	errs := make(chan error, parallel)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := range next {
				if err := work(i); err != nil {
					errs <- err
					for range next { // let the others be handed out
					}
					return
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func signIns(n, parallel int, useTLS bool) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		session := func(int) error {
			c, err := signIn(ctx, in, 0, useTLS)
			if err != nil {
				return err
			}
			if _, err := c.command("STAT"); err != nil {
				return err
			}
			return c.quit()
		}
		// One view takes one session at a time, so sessions beside each other
		// are of different users where the server insists; all servers get the
		// same: a queue in front of the sign-in.
		var turn sync.Mutex
		if err := session(0); err != nil { // the slow hash, once
			return measure{}, err
		}
		if parallel == 1 {
			return timed(in, n, func() error { return inParallel(n, 1, session) })
		}
		return timed(in, n, func() error {
			return inParallel(n, parallel, func(i int) error {
				c, err := dialFor(ctx, in, useTLS)
				if err != nil {
					return err
				}
				turn.Lock()
				defer turn.Unlock()
				for _, command := range []string{"USER u0", "PASS " + password, "STAT"} {
					if _, err := c.command(command); err != nil {
						c.close()
						return err
					}
				}
				return c.quit()
			})
		})
	}
}

func dialFor(ctx context.Context, in *instance, useTLS bool) (*client, error) {
	if useTLS {
		return dial(ctx, in.pop3s, true)
	}
	return dial(ctx, in.pop3, false)
}

func retrieval(n, ahead int, useTLS bool, times int) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		once := func() error {
			c, err := signIn(ctx, in, 0, useTLS)
			if err != nil {
				return err
			}
			if _, err := c.retrieve(n, ahead, false); err != nil {
				return err
			}
			return c.quit()
		}
		if err := once(); err != nil { // sizes learnt, page cache warm
			return measure{}, err
		}
		m, err := timed(in, n*times, func() error {
			for range times {
				if err := once(); err != nil {
					return err
				}
			}
			return nil
		})
		if ahead > 1 { // counted per thousand messages
			m.units = float64(times)
		}
		return m, err
	}
}

func removal(n int) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		c, err := signIn(ctx, in, 0, false)
		if err != nil {
			return measure{}, err
		}
		if err := c.poll(n); err != nil {
			return measure{}, err
		}
		return timed(in, 1, func() error {
			if _, err := c.retrieve(n, 32, true); err != nil {
				return err
			}
			return c.quit()
		})
	}
}

func idle(n int, useTLS bool) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		before, _, err := memoryOf(in.cmd.Process.Pid)
		if err != nil {
			return measure{}, err
		}
		clients := make([]*client, n)
		defer func() {
			for _, c := range clients {
				if c != nil {
					c.close()
				}
			}
		}()
		err = inParallel(n, 4, func(i int) error {
			c, err := signIn(ctx, in, i, useTLS)
			if err != nil {
				return err
			}
			clients[i] = c
			_, err = c.command("STAT")
			return err
		})
		if err != nil {
			return measure{}, err
		}
		time.Sleep(2 * time.Second) // what the sign-ins needed is given back
		after, processes, err := memoryOf(in.cmd.Process.Pid)
		return measure{units: float64(n), memory: after - before, processes: processes}, err
	}
}

// poll signs in, asks what a mail program asks, and quits.
func poll(ctx context.Context, in *instance, want int) error {
	c, err := signIn(ctx, in, 0, false)
	if err != nil {
		return err
	}
	if err := c.poll(want); err != nil {
		c.close()
		return err
	}
	return c.quit()
}

// firstPoll measures the first poll of n messages that another program put
// there. The user has signed in before, to an empty maildrop: the slow hash of
// the password is not what is measured.
func firstPoll(n int, sizes bool) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		if err := poll(ctx, in, 0); err != nil {
			return measure{}, err
		}
		if err := fill(in.maildir(0), n, flat(2<<10), sizes); err != nil {
			return measure{}, err
		}
		if err := in.forget(0); err != nil {
			return measure{}, err
		}
		return timed(in, 1, func() error { return poll(ctx, in, n) })
	}
}

func warmPolls(n, times int) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		if err := poll(ctx, in, n); err != nil {
			return measure{}, err
		}
		return timed(in, times, func() error {
			for range times {
				if err := poll(ctx, in, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// arrivals measures polls that each find one message more, which the server
// itself took in.
func arrivals(n, times int) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		text := wireForm(newMail().message(2 << 10))
		if err := poll(ctx, in, n); err != nil {
			return measure{}, err
		}
		lm, err := dial(ctx, in.lmtp, false)
		if err != nil {
			return measure{}, err
		}
		defer lm.close()
		if err := lm.lhlo(); err != nil {
			return measure{}, err
		}
		return timed(in, times, func() error {
			for range times {
				if err := lm.deliver(0, text); err != nil {
					return err
				}
				c, err := signIn(ctx, in, 0, false)
				if err != nil {
					return err
				}
				if _, err := c.command("STAT"); err != nil { // listing apart
					return err
				}
				if err := c.quit(); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func deliveries(parallel, each int, same bool) func(context.Context, *instance) (measure, error) {
	return func(ctx context.Context, in *instance) (measure, error) {
		text := wireForm(newMail().message(4 << 10))
		return timed(in, parallel*each, func() error {
			return inParallel(parallel, parallel, func(i int) error {
				c, err := dial(ctx, in.lmtp, false)
				if err != nil {
					return err
				}
				defer c.close()
				if err := c.lhlo(); err != nil {
					return err
				}
				user := i
				if same {
					user = 0
				}
				for range each {
					if err := c.deliver(user, text); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}
