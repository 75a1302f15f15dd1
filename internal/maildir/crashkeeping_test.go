// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// heldTexts returns what is in the holding area.
func heldTexts(t testing.TB, s *Store) (all []string) {
	err := s.with(context.Background(), "u", func(d *drop) error {
		for _, h := range d.dec.held {
			data, err := fsx.ReadFile(d.place.State, d.heldDir()+"/"+h.name, 1<<20)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, string(data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// undelete brings back everything for all views.
func (o *office) undelete() {
	o.crashing("undelete", func() {
		for v := range o.must {
			for text := range o.taken {
				if !o.must[v][text] {
					o.again(v, text)
					o.may[v][text] = true
				}
			}
		}
		if _, err := o.store.Undelete(context.Background(), "u", maildrop.Selection{}); err != nil {
			o.t.Fatal(err)
		}
		for v := range o.must {
			for text := range o.taken {
				o.must[v][text] = !o.silent[v]
			}
		}
	})
}

// retain lets a rule remove all but the newest message.
func (o *office) retain() {
	o.crashing("retain", func() {
		for v := range o.must {
			o.mayOnly(v)
		}
		o.rules.Messages = 1
		if err := o.store.Sweep(context.Background(), nil); err != nil {
			o.t.Fatal(err)
		}
		o.rules.Messages = 0
		for v := range o.must {
			o.wakes(v)
		}
	})
}

func (o *office) silence(view maildrop.View) {
	if !o.trySilence(view) {
		o.t.Fatalf("view %q cannot be silent", view)
	}
}

// trySilence reports whether the view is silent then; another may hold the mail
// of none.
func (o *office) trySilence(view maildrop.View) (silent bool) {
	o.crashing(fmt.Sprintf("silence view %q", view), func() {
		o.mayOnly(view)
		err := o.store.SilenceView(context.Background(), "u", view)
		if err != nil && !errors.Is(err, maildrop.ErrLastView) {
			o.t.Fatal(err)
		}
		silent = err == nil
		o.silent[view] = silent
	})
	if !silent {
		o.wakes(view)
	}
	return silent
}

// mayOnly lets a view show what it had to show.
func (o *office) mayOnly(view maildrop.View) {
	for text := range o.must[view] {
		o.may[view][text] = true
	}
	clear(o.must[view])
}

// wakes notes what a view shows now, and will show.
func (o *office) wakes(view maildrop.View) {
	delete(o.silent, view)
	for _, text := range textsIn(o.t, o.store, view) {
		o.must[view][text] = true
	}
}

// week is what happens to a maildrop whose removed mail is held.
func (o *office) week() {
	o.deliver("one")
	o.deliver("two")
	o.deliver("three")
	o.session("")
	o.crashing("add a view", func() {
		if err := o.store.AddView(context.Background(), "u", "v", time.Time{}); err != nil {
			o.t.Fatal(err)
		}
		o.must["v"], o.may["v"] = maps.Clone(o.must[""]), maps.Clone(o.may[""])
	})
	o.session("v")
	o.session("", 1, 2)
	o.session("v", 2)
	o.undelete()
	o.session("", 1, 2)
	o.session("v", 1)
	o.silence("v")
	o.deliver("four")
	o.crashing("sweep", func() {
		o.clock.add(11 * time.Minute)
		if err := o.store.Sweep(context.Background(), nil); err != nil {
			o.t.Fatal(err)
		}
	})
	o.session("", 1)
	o.undelete()
	o.retain()
	o.undelete()
	o.crashing("restart", func() {
		if err := o.store.Close(); err != nil {
			o.t.Fatal(err)
		}
		o.start()
	})
	o.session("", 1, 2)
	o.session("v")
}

func TestCrashWhileMailIsHeld(t *testing.T) {
	o := newKeepingOffice(t, faults{})
	o.week()
	if o.problem != "" {
		t.Error(o.problem)
	}
	if o.crashes < 300 {
		t.Errorf("only %d crashes", o.crashes)
	}
}

func newKeepingOffice(t *testing.T, wrong faults) *office {
	o := newOffice(t, wrong)
	o.rules = &maildrop.Rules{KeepRemoved: 7 * 24 * time.Hour}
	o.start()
	return o
}

func TestCrashFindsWrongKeeping(t *testing.T) {
	for name, wrong := range map[string]faults{
		"the holding area is not flushed":        {skipHeldFlush: true},
		"undelete is answered before the record": {bringUnsaved: true},
		"what comes back has its old UID":        {reuseUIDs: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newKeepingOffice(t, wrong)
			o.week()
			if o.problem == "" {
				t.Error("it was not noticed")
			} else {
				t.Log(o.problem)
			}
		})
	}
}

// Random weeks agree with the same model, with the power cut at each operation.
func TestCrashInRandomWeeks(t *testing.T) {
	weeks := 12
	if testing.Short() {
		weeks = 3
	}
	seed := rand.Uint64N(1 << 32)
	for n := range weeks {
		seed := seed + uint64(n)
		o := newKeepingOffice(t, faults{})
		random := rand.New(rand.NewPCG(seed, 0))
		var steps []string
		for i := 0; i < 25 && o.problem == ""; i++ {
			steps = append(steps, o.randomStep(random, i))
		}
		if o.problem != "" {
			t.Fatalf("seed %d: %s; after\n\t%s", seed, o.problem, strings.Join(steps, "\n\t"))
		}
	}
}

func (o *office) randomStep(random *rand.Rand, i int) string {
	views := slices.Sorted(maps.Keys(o.must))
	view := views[random.IntN(len(views))]
	switch n := random.IntN(20); {
	case n < 7:
		o.deliver(fmt.Sprint("message ", i))
	case n < 13:
		o.wakes(view)
		var remove []int
		for n := range len(textsIn(o.t, o.store, view)) {
			if random.IntN(2) == 0 {
				remove = append(remove, n+1)
			}
		}
		o.session(view, remove...)
	case n < 14 && len(views) < 3:
		name := maildrop.View(fmt.Sprint("v", i))
		o.crashing("add a view", func() {
			// What others may hold, it may hold.
			must, may := map[string]bool{}, map[string]bool{}
			for _, v := range views {
				for text, sure := range o.must[v] {
					must[text] = must[text] || sure
				}
				for text := range o.may[v] {
					may[text] = true
				}
			}
			if err := o.store.AddView(context.Background(), "u", name, time.Time{}); err != nil {
				o.t.Fatal(err)
			}
			o.must[name], o.may[name] = must, may
		})
	case n < 15 && len(views) > 1:
		o.crashing("drop a view", func() {
			// Until it is answered the view may be there or not.
			delete(o.must, view)
			delete(o.may, view)
			if err := o.store.DropView(context.Background(), "u", view); err != nil && !errors.Is(err, maildrop.ErrLastView) {
				o.t.Fatal(err)
			}
		})
	case n < 16 && len(views) > 1:
		o.wakes(view)
		o.reset(view, "*")
		o.wakes(view)
	case n < 17:
		o.undelete()
	case n < 18 && len(views) > 1:
		o.trySilence(view)
	case n < 19:
		o.retain()
	default:
		o.crashing("restart", func() {
			o.clock.add(11 * time.Minute)
			if err := o.store.Sweep(context.Background(), nil); err != nil {
				o.t.Fatal(err)
			}
			if err := o.store.Close(); err != nil {
				o.t.Fatal(err)
			}
			o.start()
		})
	}
	return o.step
}
