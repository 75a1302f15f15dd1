// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"restante.example/bench/report"
)

// options are the flags.
type options struct {
	side     string
	rounds   int
	only     string
	from     string
	patience time.Duration
	limit    time.Duration
	collect  time.Duration
	within   time.Duration
	quick    bool
}

func (o options) wants(id string) bool {
	return o.only == "" || matches(id, strings.Split(o.only, ","))
}

func matches(name string, words []string) bool {
	for _, w := range words {
		if w != "" && strings.HasPrefix(name, w) {
			return true
		}
	}
	return false
}

// step is what is done in one go in each round: a scenario on one server, or a
// collection with all programs.
type step struct {
	name string
	run  func(ctx context.Context, round int) ([]report.Sample, error)
}

// rounds runs all steps again and again, so that what is compared is measured at
// about the same time; each round begins with another step. A step that takes
// longer than the patience is not repeated. No round is begun that would not be
// over in time. It returns how many rounds were finished.
func rounds(ctx context.Context, o options, steps []step, save func([]report.Sample, int) error, stderr io.Writer) (int, error) {
	var samples []report.Sample
	once := map[string]bool{}
	began, last := time.Now(), time.Duration(0)
	for round := range o.rounds {
		if o.within > 0 && round > 0 && time.Since(began)+last > o.within {
			fmt.Fprintf(stderr, "no time for more than %d rounds\n", round)
			return round, nil
		}
		start, again := time.Now(), time.Duration(0)
		for i := range steps {
			s := steps[(i+round*len(steps)/o.rounds)%len(steps)]
			if once[s.name] {
				continue
			}
			begin := time.Now()
			found, err := s.run(ctx, round)
			if err != nil {
				return round, fmt.Errorf("%s: %w", s.name, err)
			}
			took := time.Since(begin)
			fmt.Fprintf(stderr, "round %d of %d, %s: %.1f s%s\n", round+1, o.rounds, s.name, took.Seconds(), failures(found))
			samples = append(samples, found...)
			if took > o.patience {
				once[s.name] = true
			} else {
				again += took
			}
		}
		last = again
		fmt.Fprintf(stderr, "round %d of %d took %.0f s\n", round+1, o.rounds, time.Since(start).Seconds())
		if err := save(samples, round+1); err != nil {
			return round + 1, err
		}
	}
	return o.rounds, nil
}

// failures tells what went wrong in a step.
func failures(found []report.Sample) string {
	text := ""
	for _, s := range found {
		if s.Outcome == report.Failed || s.Outcome == report.Over {
			text += fmt.Sprintf("\n  %s, %s: %s: %s", s.Row, s.Subject, s.Outcome, s.Reason)
		}
	}
	return text
}

// serverBench is what all trials share.
type serverBench struct {
	dir     string
	limit   time.Duration
	machine machine
	letters *stock // of 4 KB
	small   *stock // of 2 KB
	mixed   *stock
}

// serverSteps finds the servers, and returns what is to be done with them.
func serverSteps(ctx context.Context, dir string, o options, m machine, z sizes) (*report.Results, []step, error) {
	id, err := newIdentity(dir)
	if err != nil {
		return nil, nil, err
	}
	servers, results, err := findServers(ctx, dir, id)
	if err != nil {
		return nil, nil, err
	}
	b := &serverBench{dir: dir, limit: o.limit, machine: m}
	b.letters = newStock(filepath.Join(dir, "letters"), flat(4<<10))
	b.small = newStock(filepath.Join(dir, "small"), flat(messageSize))
	b.mixed = newStock(filepath.Join(dir, "mixed"), mixed)
	sections, scenarios := serverSections(z)
	results.Sections, results.Goals = sections, serverGoals(z)
	var steps []step
	for _, s := range scenarios {
		if !o.wants(s.id) {
			continue
		}
		for _, srv := range servers {
			steps = append(steps, step{s.id + ", " + srv.Name, func(ctx context.Context, round int) ([]report.Sample, error) {
				return b.runTrial(ctx, s, srv, round)
			}})
		}
	}
	return results, steps, nil
}

// findServers finds all servers. One of ours that cannot be built is an error;
// one of others that is not there is named in the results, with the reason, and
// what it would have measured is shown as not run.
func findServers(ctx context.Context, dir string, id identity) ([]server, *report.Results, error) {
	ours, err := restanted(ctx, dir, id)
	if err != nil {
		return nil, nil, err
	}
	least, err := floor(ctx, dir, id)
	if err != nil {
		return nil, nil, err
	}
	servers := []server{ours}
	for _, find := range []func() (server, error){
		func() (server, error) { return dovecot(ctx, false, id) },
		func() (server, error) { return dovecot(ctx, true, id) },
		func() (server, error) { return courier(id) },
		func() (server, error) { return popa3d(id) },
	} {
		s, err := find()
		if err != nil {
			s.Version = err.Error()
			s.start = func(context.Context, string, crowd) (*instance, error) { return nil, errAbsent{err} }
		}
		servers = append(servers, s)
	}
	servers = append(servers, least)
	results := &report.Results{}
	for _, s := range servers {
		results.Subjects = append(results.Subjects, s.Subject)
	}
	return servers, results, nil
}

// errAbsent: a server of others cannot be started here.
type errAbsent struct{ error }

func isAbsent(err error) bool {
	var absent errAbsent
	return errors.As(err, &absent)
}
