// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"restante.example/maildrop"
)

func (w *world) needFaults() {
	w.Helper()
	if w.h.Faults == nil {
		w.Skip("the harness cannot break the disk; one with Faults would show this")
	}
}

// arm sets the fault that will come.
func (w *world) arm(f Fault) {
	w.h.Faults.Arm(f)
	w.armed, w.fault = true, f
}

// struck reports whether the fault has come: from then on errors are answers
// that the store may give.
func (w *world) struck() bool {
	return w.armed && w.h.Faults.Operations() >= w.fault.At
}

// lost reports whether the power is off: whatever is answered with an error
// now may have been done or not.
func (w *world) lost() bool { return w.struck() && w.fault.Kind == PowerLoss }

// heal ends the fault.
func (w *world) heal() {
	w.h.Faults.Arm(Fault{})
	w.armed = false
}

// restart cuts the power and opens the store on what is left.
func (w *world) restart() {
	w.Helper()
	store, err := w.h.Faults.Restart()
	if err != nil {
		w.Fatalf("the store does not open after the power was cut: %v", err)
	}
	w.store, w.armed = store, false
	for _, d := range w.drops {
		d.restarted()
	}
}

// recover ends the fault in the way that its kind ends, and shows that the
// promise was kept, that the store works again, and that what it did since
// survives the power cut as well.
func (w *world) recover() {
	w.Helper()
	if w.fault.Kind == PowerLoss {
		w.restart()
	} else {
		w.heal()
	}
	w.check()
	w.deliver(w.body("\r\nafter the fault"), w.drops...)
	for _, d := range w.drops {
		s := w.open(d, slices.Min(slices.Collect(maps.Keys(d.views))))
		s.readAll()
		s.remove(s.Len()/2 + 1)
	}
	w.check()
	w.restart()
	w.check()
	if w.h.Reopen != nil {
		w.reopen()
		w.check()
	}
}

// eachOperation runs the workload with the fault at its first operation, at
// its second, and so on, until it makes fewer operations.
func eachOperation(t testing.TB, cfg Config, fault func(at int) Fault) {
	t.Helper()
	for at := 1; !t.Failed(); at++ {
		w := newWorld(t, cfg, 2)
		w.needFaults()
		f := fault(at)
		step := w.workload(f)
		struck := w.struck()
		w.recover()
		if t.Failed() {
			t.Logf("it was a %s at operation %d (%+v), in step %q", f.Kind, at, f, step)
		}
		w.end()
		if !struck {
			return
		}
	}
}

// workload does everything that changes a store, in steps, until the fault
// strikes, and says in which step.
func (w *world) workload(f Fault) (step string) {
	w.Helper()
	a, b := w.drops[0], w.drops[1]
	w.fill(a, 3)
	w.mustAddView(a, "old", noTime)
	w.check()
	session := func(name maildrop.View, remove ...int) func() {
		return func() {
			s, err := w.tryOpen(a, name)
			if w.failed(err, "Open") {
				return
			}
			defer s.close()
			for n := 1; n <= s.Len() && !w.struck(); n++ {
				s.read(n)
			}
			if !w.struck() {
				_, err = s.tryRemove(remove...)
				w.failed(err, "Remove")
			}
		}
	}
	deliver := func(env maildrop.Envelope, body string, drops ...*drop) func() {
		return func() {
			for _, err := range w.tryDeliver(env, w.body(body), drops...) {
				w.failed(err, "delivery")
			}
		}
	}
	steps := []struct {
		name string
		do   func()
	}{
		{"deliver to one", deliver(maildrop.Envelope{}, "\nbody", a)},
		{"deliver to two", deliver(maildrop.Envelope{SMTPUTF8: true, Transaction: "t"}, "\r\nbody\r\n.\r\n", a, b)},
		{"remove one", session(maildrop.Classic, 2)},
		{"add a view", func() { w.failed(w.addView(a, "phone", noTime), "AddView") }},
		{"deliver for two views", deliver(maildrop.Envelope{}, "\r\nmore", a)},
		{"remove from the new view", session("phone", 1, 3)},
		{"remove from the old view", session("old", 1, 2, 3)},
		{"remove the last holder's", session(maildrop.Classic, 1, 2)},
		{"reset the new view", func() {
			if err := w.resetView(a, "phone", noTime); !errors.Is(err, errors.ErrUnsupported) {
				w.failed(err, "ResetView")
			}
		}},
		{"drop a view", func() { w.failed(w.dropView(a, "old"), "DropView") }},
		{"deliver after it", deliver(maildrop.Envelope{}, "", b, a)},
	}
	w.arm(f)
	for _, step := range steps {
		step.do()
		if w.struck() {
			return step.name
		}
	}
	return "none"
}

// failed reports whether an answer is an error; before the fault strikes none
// may be.
func (w *world) failed(err error, what string) bool {
	w.Helper()
	if err != nil && !w.struck() {
		w.Errorf("%s, before any fault: %v", what, err)
	}
	return err != nil
}

// checkPowerLoss cuts the power at every operation: what was accepted is
// there, byte for byte; what was removed is gone; what was not confirmed is
// whole or absent, in all views alike.
func checkPowerLoss(t testing.TB, cfg Config) {
	for _, seed := range []func(at int) uint64{
		func(int) uint64 { return 0 },
		func(int) uint64 { return 1 },
		func(at int) uint64 { return uint64(at) + 2 },
	} {
		eachOperation(t, cfg, func(at int) Fault { return Fault{Kind: PowerLoss, At: at, Seed: seed(at)} })
	}
}

// checkErrors makes every operation fail, once and from then on: what was
// answered is the truth, and when the fault is over the store works again.
func checkErrors(t testing.TB, cfg Config) {
	for kind := PowerLoss + 1; kind <= DiskFull; kind++ {
		for _, lasting := range []bool{false, true} {
			fault := func(at int) Fault { return Fault{Kind: kind, At: at, Lasting: lasting} }
			eachOperation(t, cfg, fault)
			eachRetry(t, cfg, fault)
			eachReset(t, cfg, fault)
		}
	}
}

// eachRetry fails a delivery at its first operation, at its second, and so
// on, and sends it again under the same transaction when the fault is over:
// the message is there once.
func eachRetry(t testing.TB, cfg Config, fault func(at int) Fault) {
	t.Helper()
	for at, struck := 1, true; struck && !t.Failed(); at++ {
		w := newWorld(t, cfg, 2)
		f := fault(at)
		env := maildrop.Envelope{Transaction: "retry"}
		body := w.body("\r\nonce")
		targets := []maildrop.Target{{Maildrop: w.drops[0].id}, {Maildrop: w.drops[1].id}}
		w.arm(f)
		for _, err := range w.send(env, []string{body}, targets) {
			w.failed(err, "delivery")
		}
		struck = w.struck()
		w.heal()
		for i, err := range w.send(env, []string{body}, targets) {
			if err != nil {
				t.Errorf("the retry after a %s at operation %d: %v", f.Kind, at, err)
			}
			w.drops[i].arrive(w.letter("", body, env, err))
		}
		w.check()
		if t.Failed() {
			t.Logf("it was a %s at operation %d (%+v)", f.Kind, at, f)
		}
		w.end()
	}
}

// eachReset fails the reset of a view that begins later than its maildrop at
// its first operation, at its second, and so on, and resets it when the fault
// is over: what it had removed has a new UID, what it never held has that of all.
func eachReset(t testing.TB, cfg Config, fault func(at int) Fault) {
	t.Helper()
	for at, struck := 1, true; struck && !t.Failed(); at++ {
		w := newWorld(t, cfg, 1)
		d := w.drops[0]
		if _, ok := w.store.(maildrop.ViewResetter); !ok {
			w.end()
			return
		}
		w.fill(d, 2)
		if w.h.Advance != nil {
			w.h.Advance(10 * time.Second)
		}
		w.fill(d, 2)
		w.check()
		w.mustAddView(d, "late", d.letters[2].info.Arrived)
		w.open(d, "late").remove(1)
		f := fault(at)
		w.arm(f)
		w.failed(w.resetView(d, "late", noTime), "ResetView")
		struck = w.struck()
		w.heal()
		w.check()
		w.mustResetView(d, "late", noTime)
		w.check()
		if t.Failed() {
			t.Logf("it was a %s at operation %d (%+v)", f.Kind, at, f)
		}
		w.end()
	}
}

// checkRandomFaults runs random sequences in which the disk fails now and
// then.
func checkRandomFaults(t testing.TB, cfg Config) {
	cfg.seeds(t, func(seed uint64) {
		w := newWalk(t, cfg, seed)
		defer w.tell()
		w.needFaults()
		for range 6 {
			for range 8 {
				w.step()
			}
			f := Fault{
				Kind:    PowerLoss,
				At:      1 + w.rand.IntN(1<<w.rand.IntN(7)), // most of them soon
				Lasting: w.rand.IntN(2) == 0,
				Seed:    w.rand.Uint64N(5),
			}
			if w.rand.IntN(2) == 0 {
				f.Kind = PowerLoss + 1 + Kind(w.rand.IntN(int(DiskFull-PowerLoss)))
			}
			// Counted over all steps the fault meets the long ones, which read;
			// counted in each step it meets the short ones, which decide.
			each := w.rand.IntN(2) == 0
			if each {
				f.At = 1 + w.rand.IntN(8)
			}
			w.note("arm %s %+v, in each step %t", f.Kind, f, each)
			for i := 0; i < 15 && (i == 0 || !w.struck()); i++ {
				if i == 0 || each {
					w.arm(f)
				}
				w.step()
			}
			w.note("struck %t", w.struck())
			if f.Kind != PowerLoss {
				// A disk that fails does not end sessions; a power loss does.
				w.closeAll()
			}
			clear(w.open)
			w.recover()
			if t.Failed() {
				return
			}
		}
		w.end()
	})
}
