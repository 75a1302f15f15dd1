// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"restante.example/bench/report"
)

// ahead is how many commands a client sends before it has the first answer.
const ahead = 32

func retrRow(useTLS, pipelined bool) report.Row {
	id, title := way(useTLS)
	row := report.Row{ID: "retr/" + id + "/single", Title: title + ", one at a time", Unit: "message", Shows: []string{report.CPU, report.Wall, report.Memory}}
	if pipelined {
		row.ID, row.Title = "retr/"+id+"/ahead", title+", 32 ahead"
	}
	return row
}

func smallRow() report.Row {
	return report.Row{ID: "retr/small", Title: "plain, one at a time, 4 KB each", Unit: "message", Shows: []string{report.Wall, report.CPU, report.Memory}}
}

func retrScenario(z sizes) scenario {
	s := scenario{id: "retr"}
	for _, useTLS := range both {
		s.rows = append(s.rows, retrRow(useTLS, true), retrRow(useTLS, false))
	}
	s.rows = append(s.rows, smallRow())
	s.run = func(t *trial) error {
		in, err := t.start(crowd{n: 2})
		if err != nil {
			return err
		}
		if err := t.bench.mixed.fill(in, 0, z.mixed, true); err != nil {
			return err
		}
		if err := t.bench.letters.fill(in, 1, z.removed, true); err != nil {
			return err
		}
		all := t.bench.limit
		// Sizes are learnt, files are in memory.
		if _, err := retrieve(t, in, 0, z.mixed, false, ahead, all); err != nil {
			return err
		}
		for _, useTLS := range both {
			for _, pipelined := range both {
				row := retrRow(useTLS, pipelined).ID
				if useTLS && t.server.noTLS != "" {
					t.cannot(row, report.Impossible, t.server.noTLS)
					continue
				}
				values, err := in.timed(func() (got int, err error) {
					if !pipelined {
						return retrieve(t, in, 0, z.mixed, useTLS, 1, 3*z.span)
					}
					for begin := time.Now(); err == nil && time.Since(begin) < z.span; {
						var n int
						n, err = retrieve(t, in, 0, z.mixed, useTLS, ahead, all)
						got += n
					}
					return got, err
				})
				if err != nil {
					return err
				}
				t.add(row, values)
			}
		}
		if _, err := retrieve(t, in, 1, z.removed, false, ahead, all); err != nil {
			return err
		}
		values, err := in.timed(func() (int, error) {
			return retrieve(t, in, 1, z.removed, false, 1, 2*z.span)
		})
		if err != nil {
			return err
		}
		t.add(smallRow().ID, values)
		return nil
	}
	return s
}

// retrieve is a session that gets up to n messages of a user for a while, and
// tells how many came.
func retrieve(t *trial, in *instance, user, n int, useTLS bool, ahead int, span time.Duration) (int, error) {
	c, err := signIn(t.ctx, in, user, useTLS)
	if err != nil {
		return 0, err
	}
	got, err := c.retrieve(n, ahead, false, time.Now().Add(span))
	if err != nil {
		c.close()
		return got, err
	}
	return got, c.quit()
}

func removeScenario(z sizes) scenario {
	row := report.Row{ID: "remove", Title: "RETR, DELE, QUIT", Unit: count(z.removed) + " messages", Shows: []string{report.CPU, report.Wall, report.Memory}}
	const times = 3
	return scenario{id: "remove", rows: []report.Row{row}, run: func(t *trial) error {
		in, err := t.start(crowd{n: times})
		if err != nil {
			return err
		}
		end, _ := t.ctx.Deadline()
		var clients []*client
		for user := range times {
			if err := t.bench.letters.fill(in, user, z.removed, true); err != nil {
				return err
			}
			c, err := signIn(t.ctx, in, user, false)
			if err != nil {
				return err
			}
			defer c.close()
			if err := c.poll(z.removed); err != nil {
				return err
			}
			clients = append(clients, c)
		}
		values, err := in.timed(func() (int, error) {
			for _, c := range clients {
				if _, err := c.retrieve(z.removed, ahead, true, end); err != nil {
					return 0, err
				}
				if err := c.quit(); err != nil {
					return 0, err
				}
			}
			return times, nil
		})
		if err != nil {
			return err
		}
		t.add(row.ID, values)
		return nil
	}}
}

func lmtpScenario(z sizes) scenario {
	row := func(id, title string) report.Row {
		return report.Row{ID: "lmtp/" + id, Title: title, Unit: "message", Shows: []string{report.Wall, report.CPU, report.Tail, report.Memory}}
	}
	s := scenario{id: "lmtp", rows: []report.Row{
		row("one", "1 at once"),
		row("apart", fmt.Sprintf("%d at once, each to another user", z.deliver)),
		row("same", fmt.Sprintf("%d at once, all to one user", z.deliver)),
	}}
	s.run = func(t *trial) error {
		if t.server.noLMTP != "" {
			for _, row := range s.rows {
				t.cannot(row.ID, report.Impossible, t.server.noLMTP)
			}
			return nil
		}
		in, err := t.start(crowd{n: z.deliver})
		if err != nil {
			return err
		}
		conns := make([]*client, z.deliver)
		for i := range conns {
			if err := t.bench.letters.fill(in, i, 0, false); err != nil {
				return err
			}
			if conns[i], err = dialLMTP(t, in); err != nil {
				return err
			}
			defer conns[i].close()
		}
		text := wireForm(newMail().message(4 << 10))
		for i, row := range s.rows {
			parallel := z.deliver
			if i == 0 {
				parallel = 1
			}
			values, err := t.repeated(in, 2*z.span, parallel, func(worker int) error {
				user := worker
				if i == 2 {
					user = 0
				}
				return conns[worker].deliver(user, text)
			})
			if err != nil {
				return err
			}
			t.add(row.ID, values)
		}
		return nil
	}
	return s
}

func dialLMTP(t *trial, in *instance) (*client, error) {
	c, err := dial(t.ctx, in.lmtp, false)
	if err != nil {
		return nil, err
	}
	if err := c.lhlo(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// The polls that are measured for each number of messages.
var pollKinds = []struct{ id, title string }{
	{"first", "First poll, sizes not in the names"},
	{"sized", "First poll, sizes in the names"},
	{"warm", "Warm poll"},
	{"own", "One new message, by the server's own LMTP"},
	{"other", "One new message, by another program"},
}

func pollRow(kind int, n int) report.Row {
	k := pollKinds[kind]
	return report.Row{ID: fmt.Sprintf("poll/%s/%d", k.id, n), Title: fmt.Sprintf("%s, %s messages", k.title, count(n)), Unit: "poll",
		Shows: []string{report.CPU, report.Wall, report.Memory}, Series: k.title, X: float64(n)}
}

// pollScenarios returns two for each number of messages: names without sizes,
// and with them.
func pollScenarios(z sizes) []scenario {
	var list []scenario
	for kind := range pollKinds[:2] {
		for _, n := range z.polls {
			s := scenario{id: fmt.Sprintf("poll-%s-%d", pollKinds[kind].id, n), rows: []report.Row{pollRow(kind, n)}}
			if kind == 1 {
				s.rows = append(s.rows, pollRow(2, n), pollRow(3, n), pollRow(4, n))
			}
			s.run = func(t *trial) error { return runPolls(t, z, n, kind == 1) }
			list = append(list, s)
		}
	}
	return list
}

func runPolls(t *trial, z sizes, n int, sized bool) error {
	kind := 0
	if sized {
		kind = 1
	}
	if sized && t.server.noSizes != "" {
		t.cannot(pollRow(kind, n).ID, report.Impossible, t.server.noSizes)
	}
	// So many maildrops that even the quickest server takes a while.
	users := max(1, min(40, slices.Max(z.polls)/5/n))
	in, err := t.start(crowd{n: users})
	if err != nil {
		return err
	}
	for user := range users {
		if err := t.bench.small.fill(in, user, n, sized); err != nil {
			return err
		}
	}
	poll := func(user int) error {
		c, err := signIn(t.ctx, in, user, false)
		if err != nil {
			return err
		}
		if err := c.poll(n); err != nil {
			c.close()
			return err
		}
		return c.quit()
	}
	first, err := in.timed(func() (int, error) { return users, inParallel(users, 1, poll) })
	if err != nil {
		return err
	}
	if !sized {
		t.add(pollRow(0, n).ID, first)
		return nil
	}
	if t.server.noSizes == "" {
		t.add(pollRow(1, n).ID, first)
	}
	warm, err := t.repeated(in, z.span/2, 1, func(int) error { return poll(0) })
	if err != nil {
		return err
	}
	t.add(pollRow(2, n).ID, warm)
	return runArrivals(t, z, in, n)
}

// runArrivals measures polls that find one message more.
func runArrivals(t *trial, z sizes, in *instance, n int) error {
	m := newMail()
	text := wireForm(m.message(messageSize))
	for _, kind := range []int{3, 4} {
		row := pollRow(kind, n).ID
		arrive := func() error { return m.arrive(in, 0, messageSize) }
		if kind == 3 {
			if t.server.noLMTP != "" {
				t.cannot(row, report.Impossible, t.server.noLMTP)
				continue
			}
			lmtp, err := dialLMTP(t, in)
			if err != nil {
				return err
			}
			defer lmtp.close()
			arrive = func() error { return lmtp.deliver(0, text) }
		}
		all := &total{}
		for end := time.Now().Add(z.span / 2); all.n < 2 || all.n < 100 && time.Now().Before(end); {
			if err := arrive(); err != nil {
				return err
			}
			time.Sleep(settle / 3)
			if err := all.time(in, func() error { return session(t.ctx, in, 0, false) }); err != nil {
				return err
			}
		}
		t.add(row, all.result())
	}
	return nil
}
