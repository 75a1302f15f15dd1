// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/maildrop"
)

// walk is a random sequence of everything that can be done to a store, held
// step by step against the model. It keeps sessions open between its steps.
type walk struct {
	*world
	seed uint64
	rand *rand.Rand
	open map[*drop]map[maildrop.View]*session
	log  []string // what was done, for a failure
}

// seeds runs f with the seeds of a number of random sequences.
func (cfg Config) seeds(t testing.TB, f func(seed uint64)) {
	seed, rounds := cfg.Seed, cfg.Rounds
	switch {
	case rounds > 0:
	case seed != 0:
		rounds = 1
	case testing.Short():
		rounds = 5
	default:
		rounds = 20
	}
	if seed == 0 {
		seed = rand.Uint64N(1<<32) + 1
	}
	for n := range rounds {
		f(seed + uint64(n))
		if t.Failed() {
			return
		}
	}
}

func newWalk(t testing.TB, cfg Config, seed uint64) *walk {
	return &walk{
		world: newWorld(t, cfg, 2),
		seed:  seed,
		rand:  rand.New(rand.NewPCG(seed, 0)),
		open:  make(map[*drop]map[maildrop.View]*session),
	}
}

// tell says how it came to a failure.
func (w *walk) tell() {
	if w.Failed() {
		w.Logf("to run this sequence again: Config.Seed = %d; it was\n\t%s", w.seed, strings.Join(w.log, "\n\t"))
	}
}

// checkRandom runs random sequences.
func checkRandom(t testing.TB, cfg Config) {
	cfg.seeds(t, func(seed uint64) {
		w := newWalk(t, cfg, seed)
		defer w.tell()
		for range 60 {
			w.step()
			if t.Failed() {
				return
			}
		}
		w.closeAll()
		w.check()
		w.end()
	})
}

func (w *walk) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

var viewNames = []maildrop.View{maildrop.Classic, "phone", "tablet"}

// step does one thing, and holds what it answers against the model.
func (w *walk) step() {
	w.Helper()
	d := w.drops[w.rand.IntN(len(w.drops))]
	name := viewNames[w.rand.IntN(len(viewNames))]
	s := w.open[d][name]
	switch n := w.rand.IntN(100); {
	case n < 35:
		w.randomDelivery(d)
	case n < 55:
		if s == nil {
			w.openView(d, name)
			return
		}
		if w.armed && n < 48 {
			// Reads are many operations: a fault would hardly ever meet a removal.
			w.randomRemoval(s)
			return
		}
		w.note("read all of %s", s)
		s.readAll()
	case n < 70:
		if s != nil {
			w.randomRemoval(s)
		}
	case n < 75:
		if s != nil {
			w.note("close %s", s)
			s.close()
			delete(w.open[d], name)
		}
	case n < 80:
		if s != nil {
			w.note("revoke %s", s)
			s.Revoke()
			if outcomes, err := s.tryRemove(numbers(s.Len())...); !errors.Is(err, maildrop.ErrRevoked) && !w.struck() {
				w.Errorf("%s: Remove after Revoke: %v, %v; want ErrRevoked", s, outcomes, err)
			}
			s.close()
			delete(w.open[d], name)
		}
	case n < 86:
		w.randomAddView(d, name)
	case n < 90:
		w.randomDropView(d, name)
	case n < 94:
		w.randomResetView(d, name)
	case n < 96:
		if w.h.Reopen != nil && !w.armed {
			w.note("restart in order")
			w.reopen()
			clear(w.open)
		}
	case n < 98:
		if w.h.Advance != nil {
			w.h.Advance(time.Duration(w.rand.IntN(3000)) * time.Millisecond)
		}
	default:
		w.note("list %s anew", d.id)
		w.closeDrop(d)
		if !w.armed {
			w.checkDrop(d)
		}
	}
}

// closeAll closes all sessions.
func (w *walk) closeAll() {
	for _, d := range w.drops {
		w.closeDrop(d)
	}
}

func (w *walk) closeDrop(d *drop) {
	for _, s := range w.open[d] {
		s.close()
	}
	delete(w.open, d)
}

// fragments are what random messages are made of.
var fragments = []string{
	"\r\n", "\n", "\r", ".", "..", "text", " ", "\x00", "\xff", "\r\n.\r\n", "\n.\n", "\r\n\r\n", "From ",
}

func (w *walk) randomDelivery(d *drop) {
	w.Helper()
	var rest strings.Builder
	for range w.rand.IntN(12) {
		rest.WriteString(fragments[w.rand.IntN(len(fragments))])
	}
	body := w.body(rest.String())
	drops := []*drop{d}
	if w.rand.IntN(3) == 0 {
		drops = w.drops
	}
	var env maildrop.Envelope
	env.SMTPUTF8 = w.rand.IntN(4) == 0
	if w.rand.IntN(4) == 0 {
		env.Transaction = fmt.Sprint("walk ", w.serial)
	}
	w.note("deliver %q to %d maildrops from %s on", body, len(drops), d.id)
	answers := w.tryDeliver(env, body, drops...)
	w.note("= %v", answers)
	for i, err := range answers {
		w.must(err, "delivery to %s", drops[i].id)
	}
}

func (w *walk) openView(d *drop, name maildrop.View) {
	w.Helper()
	w.note("open %q of %s", name, d.id)
	there := d.views[name] != nil
	s, err := w.tryOpen(d, name)
	if !there && err != nil {
		if !w.struck() && !errors.Is(err, maildrop.ErrNoView) {
			w.Errorf("Open of a view that is not there: %v, want ErrNoView", err)
		}
		return
	}
	if w.must(err, "Open of view %q of %s", name, d.id) {
		if w.open[d] == nil {
			w.open[d] = make(map[maildrop.View]*session)
		}
		w.open[d][name] = s
	}
}

func (w *walk) randomRemoval(s *session) {
	w.Helper()
	all := numbers(s.Len())
	w.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:w.rand.IntN(len(all)+1)]
	w.note("remove %v from %s", all, s)
	outcomes, err := s.tryRemove(all...)
	w.note("= %v, %v", outcomes, err)
	w.must(err, "Remove %v from %s: %v", all, s, outcomes)
	s.close()
	delete(w.open[s.d], s.name)
}

func (w *walk) randomAddView(d *drop, name maildrop.View) {
	w.Helper()
	var since time.Time
	// A time needs a letter whose time is known.
	held := slices.DeleteFunc(slices.Clone(d.letters), func(l *letter) bool { return !d.held(l) })
	unseen := func(l *letter) bool { return l.info.UID == "" }
	if n := len(held); n > 0 && w.rand.IntN(2) == 0 && !slices.ContainsFunc(held, unseen) {
		since = held[w.rand.IntN(n)].info.Arrived
	}
	w.note("add view %q of %s since %v", name, d.id, since)
	there := d.views[name] != nil
	err := w.addView(d, name, since)
	w.note("= %v", err)
	if there && !w.struck() && !errors.Is(err, maildrop.ErrViewExists) {
		w.Errorf("AddView of a view that is there: %v, want ErrViewExists", err)
	}
	if !there {
		w.must(err, "AddView %q of %s", name, d.id)
	}
}

func (w *walk) randomDropView(d *drop, name maildrop.View) {
	w.Helper()
	w.note("drop view %q of %s, of %v", name, d.id, slices.Sorted(maps.Keys(d.views)))
	there, last := d.views[name] != nil, len(d.views) == 1
	err := w.dropView(d, name)
	w.note("= %v", err)
	switch {
	case !there && !w.struck() && !errors.Is(err, maildrop.ErrNoView):
		w.Errorf("DropView of a view that is not there: %v, want ErrNoView", err)
	case there && !last:
		w.must(err, "DropView %q of %s", name, d.id)
	}
	if s := w.open[d][name]; s != nil && err == nil {
		if _, err := s.tryRemove(numbers(s.Len())...); !errors.Is(err, maildrop.ErrRevoked) {
			w.Errorf("%s: Remove after DropView: %v, want ErrRevoked", s, err)
		}
		s.close()
		delete(w.open[d], name)
	}
}

// must reports whether an answer is no error. An error is a failure of the
// check, unless a fault has struck.
func (w *walk) must(err error, format string, args ...any) bool {
	w.Helper()
	if err != nil && !w.struck() {
		w.Errorf("%s: %v", fmt.Sprintf(format, args...), err)
	}
	return err == nil
}
