// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"restante.example/bench/report"
)

// scenario is one kind of load on servers: rows of a section that are measured
// on one server after it has started.
type scenario struct {
	id   string
	rows []report.Row
	run  func(t *trial) error
}

// trial is one scenario on one server, once.
type trial struct {
	ctx     context.Context
	dir     string // its own
	server  server
	bench   *serverBench
	samples map[string]report.Sample // by row
	stops   []func()
}

// start starts the server; it is stopped with the trial.
func (t *trial) start(users crowd) (*instance, error) {
	in, err := t.server.start(t.ctx, t.dir, users)
	if err != nil {
		return nil, err
	}
	t.stops = append(t.stops, in.stop)
	return in, nil
}

func (t *trial) add(row string, values map[string]float64) {
	t.samples[row] = report.Sample{Row: row, Values: values}
}

func (t *trial) cannot(row string, outcome report.Outcome, reason string) {
	t.samples[row] = report.Sample{Row: row, Outcome: outcome, Reason: reason}
}

// runTrial runs a scenario on a server. Every row of it gets a sample.
func (b *serverBench) runTrial(ctx context.Context, s scenario, srv server, round int) ([]report.Sample, error) {
	dir, err := openDir(b.dir, "trial")
	if err != nil {
		return nil, err
	}
	defer tidy(dir)
	limited, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	t := &trial{ctx: limited, dir: dir, server: srv, bench: b, samples: map[string]report.Sample{}}
	err = s.run(t)
	for _, stop := range t.stops {
		stop()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var list []report.Sample
	for _, row := range s.rows {
		sample, ok := t.samples[row.ID]
		var timeout net.Error
		switch {
		case ok:
		case err == nil:
			return nil, fmt.Errorf("%s says nothing of %s", s.id, row.ID)
		case isAbsent(err):
			sample = report.Sample{Row: row.ID, Outcome: report.NotRun, Reason: "it " + err.Error()}
		case limited.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
			sample = report.Sample{Row: row.ID, Outcome: report.Over, Reason: fmt.Sprintf("it was ended after %v", b.limit)}
		default:
			sample = report.Sample{Row: row.ID, Outcome: report.Failed, Reason: err.Error()}
		}
		sample.Subject, sample.Round = srv.Name, round
		list = append(list, sample)
	}
	return list, nil
}

// repeated does the work again and again for a while, by so many workers at
// once, and measures the server. It notes how long the slowest took.
func (t *trial) repeated(in *instance, span time.Duration, parallel int, work func(worker int) error) (map[string]float64, error) {
	var mu sync.Mutex
	var took []float64
	values, err := in.timed(func() (int, error) {
		end := time.Now().Add(span)
		err := inParallel(parallel, parallel, func(worker int) error {
			for once := true; once || time.Now().Before(end); once = false {
				if err := t.ctx.Err(); err != nil {
					return err
				}
				began := time.Now()
				if err := work(worker); err != nil {
					return err
				}
				mu.Lock()
				took = append(took, ms(time.Since(began)))
				mu.Unlock()
			}
			return nil
		})
		return len(took), err
	})
	if err != nil {
		return nil, err
	}
	values[report.Tail] = report.Quantile(took, 0.99)
	return values, nil
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
