// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"restante.example/bench/report"
)

func signInRow(useTLS bool, parallel int) report.Row {
	id, title := way(useTLS)
	return report.Row{ID: fmt.Sprintf("signin/%s/%d", id, parallel), Title: fmt.Sprintf("%s, %d at once", title, parallel), Unit: "session",
		Shows: []string{report.CPU, report.Wall, report.Tail, report.Memory}}
}

func signInScenario(z sizes) scenario {
	s := scenario{id: "signin"}
	for _, useTLS := range both {
		for _, parallel := range z.parallel {
			s.rows = append(s.rows, signInRow(useTLS, parallel))
		}
	}
	s.run = func(t *trial) error {
		users := slices.Max(z.parallel)
		in, err := t.start(crowd{n: users})
		if err != nil {
			return err
		}
		for i := range users {
			if err := t.bench.letters.fill(in, i, 10, true); err != nil {
				return err
			}
			if err := session(t.ctx, in, i, false); err != nil {
				return err
			}
		}
		for _, useTLS := range both {
			for _, parallel := range z.parallel {
				row := signInRow(useTLS, parallel).ID
				if useTLS && t.server.noTLS != "" {
					t.cannot(row, report.Impossible, t.server.noTLS)
					continue
				}
				values, err := t.repeated(in, z.span, parallel, func(worker int) error {
					return session(t.ctx, in, worker, useTLS)
				})
				if err != nil {
					return err
				}
				t.add(row, values)
			}
		}
		return nil
	}
	return s
}

func idleRow(useTLS bool, n int) report.Row {
	id, title := way(useTLS)
	return report.Row{ID: fmt.Sprintf("idle/%s/%d", id, n), Title: fmt.Sprintf("%s, %s sessions", title, count(n)), Unit: "session",
		Shows: []string{report.Each, report.Memory, report.Processes}, Series: "Memory of an idle session, " + title, X: float64(n)}
}

func besideRow(useTLS bool, n int) report.Row {
	id, title := way(useTLS)
	return report.Row{ID: fmt.Sprintf("beside/%s/%d", id, n), Title: fmt.Sprintf("one more beside %s, %s", count(n), title), Unit: "session",
		Shows: []string{report.CPU, report.Wall, report.Tail}, Series: "A sign-in beside idle sessions, " + title, X: float64(n)}
}

// idleScenarios open more and more sessions. The most that are tried have a
// scenario of their own, since it takes long.
func idleScenarios(z sizes, useTLS bool) []scenario {
	id, _ := way(useTLS)
	steps := z.idle
	if useTLS {
		steps = z.idleTLS
	}
	var list []scenario
	for _, some := range [][]int{steps[:len(steps)-1], steps[len(steps)-1:]} {
		s := scenario{id: fmt.Sprintf("idle-%s-%d", id, slices.Max(some))}
		for _, n := range some {
			s.rows = append(s.rows, idleRow(useTLS, n))
		}
		for _, n := range some {
			s.rows = append(s.rows, besideRow(useTLS, n))
		}
		s.run = func(t *trial) error {
			if useTLS && t.server.noTLS != "" {
				for _, row := range s.rows {
					t.cannot(row.ID, report.Impossible, t.server.noTLS)
				}
				return nil
			}
			return runIdle(t, z, useTLS, some)
		}
		list = append(list, s)
	}
	return list
}

func runIdle(t *trial, z sizes, useTLS bool, steps []int) error {
	most := slices.Max(steps)
	in, err := t.start(crowd{n: most + 1})
	if err != nil {
		return err
	}
	i := &idlers{trial: t, in: in, useTLS: useTLS}
	defer i.close()
	if err := t.bench.letters.fill(in, most, 10, true); err != nil {
		return err
	}
	// One sign-in, so that what is started once is not counted per session.
	if err := session(t.ctx, in, most, useTLS); err != nil {
		return err
	}
	time.Sleep(settle)
	if i.before, _, err = memoryOf(in.pids, in.apart); err != nil {
		return err
	}
	// A few, to see what one takes.
	if _, err := i.open(steps[0]/20, settle); err != nil {
		return err
	}
	for _, n := range steps {
		if reason := i.tooMany(n); reason != "" {
			t.cannot(idleRow(useTLS, n).ID, report.NotRun, reason)
			t.cannot(besideRow(useTLS, n).ID, report.NotRun, reason)
			continue
		}
		values, err := i.open(n, z.rest)
		if err != nil {
			return err
		}
		t.add(idleRow(useTLS, n).ID, values)
		beside, err := t.repeated(in, z.span/2, 1, func(int) error { return session(t.ctx, in, most, useTLS) })
		if err != nil {
			return err
		}
		t.add(besideRow(useTLS, n).ID, beside)
	}
	return nil
}

// idlers are sessions that say nothing.
type idlers struct {
	trial     *trial
	in        *instance
	useTLS    bool
	clients   []*client
	before    int64 // octets that the server took without them
	after     int64
	processes int
	spent     time.Duration // on signing in
}

// open opens sessions until there are n, and tells what they take after a rest,
// in which the server gives back what the sign-ins needed.
func (i *idlers) open(n int, rest time.Duration) (map[string]float64, error) {
	from := len(i.clients)
	for user := from; user < n; user++ {
		if err := i.trial.bench.letters.fill(i.in, user, 0, true); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	i.clients = append(i.clients, make([]*client, n-from)...)
	err := inParallel(n-from, 4, func(k int) error {
		c, err := signIn(i.trial.ctx, i.in, from+k, i.useTLS)
		if err != nil {
			return fmt.Errorf("signing in session %s of %s: %w", count(from+k+1), count(n), err)
		}
		i.clients[from+k] = c
		_, err = c.command("STAT")
		return err
	})
	if err != nil {
		return nil, err
	}
	i.spent += time.Since(began)
	time.Sleep(rest)
	i.after, i.processes, err = memoryOf(i.in.pids, i.in.apart)
	if err != nil {
		return nil, err
	}
	return map[string]float64{
		report.Each:      float64(i.after-i.before) / 1024 / float64(n),
		report.Memory:    float64(i.after) / 1e6,
		report.Processes: float64(i.processes),
	}, nil
}

// tooMany says why n sessions are not tried: what fewer took is more than this
// machine has, or than the time that there is.
func (i *idlers) tooMany(n int) string {
	open := len(i.clients)
	if open == 0 {
		return ""
	}
	end, _ := i.trial.ctx.Deadline()
	times := float64(n) / float64(open)
	switch {
	case times*float64(i.after-i.before) > 0.6*float64(i.trial.bench.machine.memory):
		return fmt.Sprintf("by what %s take it would need %.0f GB of memory", count(open), times*float64(i.after-i.before)/1e9)
	case times*float64(i.processes) > 0.8*float64(i.trial.bench.machine.processes):
		return fmt.Sprintf("by what %s take it would need %s processes", count(open), count(int(times*float64(i.processes))))
	case (times-1)*i.spent.Seconds() > time.Until(end).Seconds():
		return fmt.Sprintf("%s took %.1f s to sign in, so that these would not be done within %v", count(open), i.spent.Seconds(), i.trial.bench.limit)
	}
	return ""
}

func (i *idlers) close() {
	for _, c := range i.clients {
		if c != nil {
			c.close()
		}
	}
}

// comeLater is how long a client waits that is told to come later.
const comeLater = time.Second

func slowScenario(z sizes) scenario {
	shows := []string{report.CPU, report.Wall, report.Memory, report.Refused}
	unit := fmt.Sprintf("%s sign-ins", count(z.slow))
	s := scenario{id: "slow", rows: []report.Row{
		{ID: "slow/first", Title: "for the first time", Unit: unit, Shows: shows},
		{ID: "slow/again", Title: "once more", Unit: unit, Shows: shows},
	}}
	s.run = func(t *trial) error {
		if t.server.noPasswords != "" {
			for _, row := range s.rows {
				t.cannot(row.ID, report.Impossible, t.server.noPasswords)
			}
			return nil
		}
		in, err := t.start(crowd{n: z.slow, slow: true})
		if err != nil {
			return err
		}
		for i := range z.slow {
			if err := t.bench.letters.fill(in, i, 1, true); err != nil {
				return err
			}
		}
		for _, row := range s.rows {
			var refused atomic.Int64
			values, err := in.timed(func() (int, error) {
				return 1, inParallel(z.slow, z.slow, func(user int) error {
					for {
						err := session(t.ctx, in, user, false)
						if !isLater(err) {
							return err
						}
						refused.Add(1)
						select {
						case <-t.ctx.Done():
							return t.ctx.Err()
						case <-time.After(comeLater):
						}
					}
				})
			})
			if err != nil {
				return err
			}
			values[report.Refused] = float64(refused.Load())
			t.add(row.ID, values)
		}
		return nil
	}
	return s
}

// isLater reports whether an answer asks to come again: RFC 2449 and RFC 3206
// have codes for that.
func isLater(err error) bool {
	var r refusal
	return errors.As(err, &r) && (strings.Contains(string(r), "[SYS/TEMP]") || strings.Contains(string(r), "[IN-USE]") || strings.Contains(string(r), "[LOGIN-DELAY]"))
}
