// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// ahead is how many retrieved messages may wait to be filed: enough that those
// that came while a batch was flushed make up the next one.
const ahead = 128

// aheadOctets is how many octets they may have together, which may be in
// memory where temporary files are; one message may always wait.
const aheadOctets = 64 << 20

// fatalError ends a run: without the journal nothing may go on.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return "journal: " + e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// Is makes errors.Is(err, ErrJournal) true.
func (e *fatalError) Is(target error) bool { return target == ErrJournal }

// filer files what was retrieved, in batches that share their flushes. While
// it runs, the ledger is its own.
type filer struct {
	*session
	in   chan *arrival
	done chan struct{}
	err  error
	left bool     // something was thrown away because the run was cancelled
	news []*Entry // for the journal, beside what is to be filed

	mu     sync.Mutex
	room   *sync.Cond
	octets int64 // of arrivals that are not filed yet
}

func startFiler(ctx context.Context, s *session, cancel context.CancelCauseFunc) *filer {
	f := &filer{session: s, in: make(chan *arrival, ahead), done: make(chan struct{})}
	f.room = sync.NewCond(&f.mu)
	window := ahead
	for _, t := range s.targets {
		window = min(window, max(t.Window(), 1))
	}
	go func() {
		defer close(f.done)
		for a := range f.in {
			batch := f.batch(a, window)
			if f.err != nil || ctx.Err() != nil {
				// Nothing new is begun: each message may take a program minutes.
				f.left = true
				for _, a := range batch {
					a.discard()
				}
			} else if f.err = f.file(ctx, batch); f.err != nil {
				cancel(f.err)
			}
			f.leave(batch)
		}
	}()
	return f
}

// push hands over a message that came, as soon as there is room.
func (f *filer) push(a *arrival) {
	f.mu.Lock()
	for f.octets > 0 && f.octets+a.octets > aheadOctets {
		f.room.Wait()
	}
	f.octets += a.octets
	f.mu.Unlock()
	f.in <- a
}

// leave makes room.
func (f *filer) leave(batch []*arrival) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range batch {
		f.octets -= a.octets
	}
	f.room.Signal()
}

// batch takes what waits, so that the more there is to do the more is shared.
func (f *filer) batch(first *arrival, window int) []*arrival {
	batch := []*arrival{first}
	for len(batch) < window {
		select {
		case a, ok := <-f.in:
			if !ok {
				return batch
			}
			batch = append(batch, a)
		default:
			return batch
		}
	}
	return batch
}

// wait ends the filer, after all that was handed to it, or what it was about when
// the run was cancelled.
func (f *filer) wait() error {
	close(f.in)
	<-f.done
	return f.err
}

// work is what one destination has to do in a batch.
type work struct {
	t        *target
	items    []*Item
	arrivals []*arrival
}

// file takes a batch through the steps of mail-safety.md, Collecting 1: flushed
// and named by each destination, written down as about to be filed, filed,
// written down as filed. The error is that of the journal.
func (f *filer) file(ctx context.Context, batch []*arrival) error {
	// What has begun is ended, also when the run is being cancelled: that is
	// what spares the next run to find out.
	journal := context.WithoutCancel(ctx)
	jobs := f.sort(batch)
	var about []*Entry
	noted := make(map[int64]bool)
	for _, job := range jobs {
		// A copy: what belongs together is told by its place here.
		job.t.Prepare(ctx, slices.Clone(job.items))
		job.keep(func(it *Item, a *arrival) bool {
			if it.Err != nil {
				it.Staged.Discard()
				f.blame(ctx, a, job.t, it.Err)
				return false
			}
			e := a.row.entry
			e.setFiling(Filing{Destination: job.t.id, Name: it.Name})
			if !noted[e.ID] {
				noted[e.ID] = true
				about = append(about, e)
			}
			return true
		})
	}
	about = append(about, f.news...)
	f.news = nil
	for _, a := range batch { // recognised ones may be under another id now
		if e := a.row.entry; e != nil && a.row.verified && !noted[e.ID] {
			noted[e.ID] = true
			about = append(about, e)
		}
	}
	if err := f.ledger.put(journal, about...); err != nil {
		for _, job := range jobs {
			for _, it := range job.items {
				it.Staged.Discard()
			}
		}
		return err
	}
	var filed []*Entry
	clear(noted)
	for _, job := range jobs {
		job.t.File(ctx, slices.Clone(job.items))
		for i, it := range job.items {
			a := job.arrivals[i]
			if it.Err != nil {
				// It may be there all the same: Recover will look.
				f.blame(ctx, a, job.t, it.Err)
				continue
			}
			f.strike(job.t, nil)
			e := a.row.entry
			e.setFiling(Filing{Destination: job.t.id, Name: it.Name, Filed: true})
			if !noted[e.ID] {
				noted[e.ID] = true
				filed = append(filed, e)
			}
		}
	}
	if err := f.ledger.put(journal, filed...); err != nil {
		return err
	}
	for _, a := range batch {
		if f.complete(a.row) {
			f.fresh++
			if noted[a.row.entry.ID] {
				f.report.Filed++
				f.report.FiledOctets += a.octets
				f.tell(Event{Kind: EventFiled, Number: a.row.number, UID: a.row.uid, Size: a.octets})
			} else {
				f.report.Recognised++
			}
		}
	}
	return nil
}

// blame notes that a destination did not take a message. When the run was
// cancelled, that is the reason as far as anybody can tell.
func (f *filer) blame(ctx context.Context, a *arrival, t *target, err error) {
	if ctx.Err() != nil {
		f.left = true
		return
	}
	f.refuse(a.row, t, err)
}

// sort finds out what each arrival is and what each destination has to do.
// Destinations may take locks in Prepare until File, so they come in an order
// that is the same in all accounts.
func (f *filer) sort(batch []*arrival) []*work {
	var jobs []*work
	byTarget := make(map[*target]*work)
	for _, a := range batch {
		if !f.identify(a) {
			a.discard()
			continue
		}
		for _, p := range a.parts {
			if a.row.entry.filedAt(p.t.id) {
				p.staged.Discard()
				continue
			}
			job := byTarget[p.t]
			if job == nil {
				job = &work{t: p.t}
				byTarget[p.t] = job
				jobs = append(jobs, job)
			}
			job.items = append(job.items, &Item{Message: f.message(a.row.entry), Staged: p.staged})
			job.arrivals = append(job.arrivals, a)
		}
	}
	slices.SortFunc(jobs, func(a, b *work) int { return strings.Compare(a.t.id, b.t.id) })
	return jobs
}

// identify finds or makes the entry of what was retrieved. It returns false
// for a message that turned out to be another one than its id had named, and
// that has not been staged for all destinations.
func (f *filer) identify(a *arrival) bool {
	w, now := a.row, f.now()
	if w.uid == "" {
		w.uid = headerUID(a.header)
	}
	switch {
	case w.upgrade:
		// The header that was filed stays where it is; the whole message is new.
		f.replace(w, now)
		f.ledger.create(f.a.ID, w, a.content, a.header, a.octets, false, now)
	case w.entry == nil:
		if f.ledger.recognise(w, a.content, w.header) == nil {
			f.ledger.create(f.a.ID, w, a.content, a.header, a.octets, w.header, now)
		}
	case w.entry.Content != a.content || w.entry.Partial != w.header:
		f.replace(w, now)
		f.changed = true
		return false
	}
	w.verified, f.seen[w.entry.ID] = true, true
	return true
}

// replace takes the entry from a row whose id names another message now.
func (f *filer) replace(w *row, now time.Time) {
	f.ledger.replaced(w.entry, now)
	f.news = append(f.news, w.entry)
	w.entry, w.upgrade = nil, false
}

// keep leaves only those items in the job that ok agrees to.
func (j *work) keep(ok func(*Item, *arrival) bool) {
	n := 0
	for i, it := range j.items {
		if ok(it, j.arrivals[i]) {
			j.items[n], j.arrivals[n] = it, j.arrivals[i]
			n++
		}
	}
	j.items, j.arrivals = j.items[:n], j.arrivals[:n]
}
