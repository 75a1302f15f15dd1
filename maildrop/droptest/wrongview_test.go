// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"restante.example/maildrop"
)

// Stores that are wrong in their views.
var wrongView = []wrong{
	{"removes for all devices", "Views Random PowerLoss", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			outcomes, err := s.Snapshot.Remove(ctx, numbers)
			if err == nil {
				w.removeUID(s, numbers)
			}
			return outcomes, err
		}
	}},
	{"counts what was removed", "Views Remove Random", func(w *wrapped) {
		most := make(map[maildrop.ID]int)
		w.usage = func(ctx context.Context, id maildrop.ID) (int, int64, error) {
			n, octets, err := w.Store.Usage(ctx, id)
			most[id] = max(n, most[id])
			return most[id], octets, err
		}
	}},
	{"counts a message for each view", "Views", func(w *wrapped) {
		w.usage = func(ctx context.Context, id maildrop.ID) (n int, octets int64, err error) {
			views, err := w.Store.Views(ctx, id)
			for _, v := range views {
				for _, m := range w.bench.office.MessagesIn(id, v) {
					n, octets = n+1, octets+m.Size
				}
			}
			return n, octets, err
		}
	}},
	{"drops the last view", "Views DropOpenView Random", func(w *wrapped) {
		w.dropView = func(ctx context.Context, id maildrop.ID, view maildrop.View) error {
			err := w.Store.DropView(ctx, id, view)
			if errors.Is(err, maildrop.ErrNoView) {
				return err
			}
			return nil
		}
	}},
	{"takes the last view from its session", "DropOpenView", func(w *wrapped) {
		w.dropView = func(ctx context.Context, id maildrop.ID, view maildrop.View) error {
			if s := w.latestOf(id, view); s != nil {
				s.Snapshot.Revoke()
			}
			return w.Store.DropView(ctx, id, view)
		}
	}},
	{"lists views in any order", "Views Random", func(w *wrapped) {
		w.views = func(ctx context.Context, id maildrop.ID) ([]maildrop.View, error) {
			views, err := w.Store.Views(ctx, id)
			slices.Reverse(views)
			return views, err
		}
	}},
	{"starts each view empty", "Views ViewSince Random", func(w *wrapped) {
		w.addView = func(ctx context.Context, id maildrop.ID, view maildrop.View, _ time.Time) error {
			return w.Store.AddView(ctx, id, view, time.Now().Add(time.Hour))
		}
	}},
	{"starts each view full", "ViewSince Random", func(w *wrapped) {
		w.addView = func(ctx context.Context, id maildrop.ID, view maildrop.View, _ time.Time) error {
			return w.Store.AddView(ctx, id, view, time.Time{})
		}
	}},
	{"starts each view a moment late", "ViewSince", func(w *wrapped) {
		w.addView = func(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error {
			return w.Store.AddView(ctx, id, view, since.Add(1))
		}
	}},
	{"gives each view its own UIDs", "Views Snapshot Random", func(w *wrapped) {
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			info.UID += string(s.view)
			return info
		}
	}},
	{"resets a view under the UIDs of before", "ResetView", func(w *wrapped) {
		first := make(map[string]string)
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			data, err := s.raw(context.Background(), n)
			if err != nil {
				return info
			}
			as := key(s.id, s.view) + data
			if first[as] == "" {
				first[as] = info.UID
			}
			info.UID = first[as]
			return info
		}
	}},
	{"resets nothing", "ResetView Random", func(w *wrapped) {
		w.reset = func(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error {
			if s := w.latestOf(id, view); s != nil {
				s.Revoke()
			}
			return w.Store.(maildrop.ViewResetter).ResetView(ctx, id, view, time.Now().Add(time.Hour))
		}
	}},
	{"resets for all views", "ResetView Random", func(w *wrapped) {
		w.reset = func(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error {
			views, err := w.Store.Views(ctx, id)
			if err != nil {
				return err
			}
			r := w.Store.(maildrop.ViewResetter)
			for _, v := range views {
				if v != view {
					if err := r.ResetView(ctx, id, v, since); err != nil {
						return err
					}
				}
			}
			return r.ResetView(ctx, id, view, since)
		}
	}},
	{"drops a view later", "DropRace DropOpenView Views", func(w *wrapped) {
		w.dropView = func(ctx context.Context, id maildrop.ID, view maildrop.View) error {
			if w.note("dropped") == 1 {
				return nil
			}
			return w.Store.DropView(ctx, id, view)
		}
	}},
	{"removes from a dropped view", "DropOpenView Revoke", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			outcomes, err := s.Snapshot.Remove(ctx, numbers)
			if errors.Is(err, maildrop.ErrRevoked) {
				for i := range outcomes {
					outcomes[i] = maildrop.Removed
				}
				err = nil
			}
			return outcomes, err
		}
	}},
}

// each calls f for every message of the classic view of every maildrop.
func (w *wrapped) each(f func(id maildrop.ID, uid, data string)) {
	for n := range w.bench.made {
		id := maildrop.ID(fmt.Sprintf("drop-%d", n+1))
		for _, m := range w.bench.office.MessagesIn(id, maildrop.Classic) {
			f(id, m.UID, m.Data)
		}
	}
}

// put delivers a message behind the suite's back.
func (w *wrapped) put(id maildrop.ID, data string) {
	ctx := context.Background()
	d, err := w.Store.Deliver(ctx, maildrop.Envelope{}, []maildrop.Target{{Maildrop: id}})
	if err != nil {
		return
	}
	if _, err := io.WriteString(d, data); err == nil {
		d.Commit(ctx)
	}
}

// Stores that are wrong when the power is cut, or the disk fails.
var wrongDisk = []wrong{
	{"accepts before it is safe", "PowerLoss Errors RandomFaults", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			d.Delivery.Commit(ctx)
			return make([]error, len(d.targets))
		}
	}},
	{"says removed before it is safe", "PowerLoss Errors RandomFaults", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			outcomes, err := s.Snapshot.Remove(ctx, numbers)
			if !errors.Is(err, errBroken) {
				return outcomes, err
			}
			return slices.Repeat([]maildrop.Outcome{maildrop.Removed}, len(numbers)), nil
		}
	}},
	{"loses the newest message in a power cut", "PowerLoss Errors RandomFaults", func(w *wrapped) {
		w.restart = func() {
			newest := ""
			w.each(func(_ maildrop.ID, uid, _ string) { newest = uid })
			w.each(func(id maildrop.ID, uid, _ string) {
				if uid == newest {
					w.bench.office.Take(id, uid)
				}
			})
		}
	}},
	{"brings removed messages back", "PowerLoss Remove Random RandomFaults", func(w *wrapped) {
		removed := make(map[string]maildrop.ID)
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			for _, n := range numbers {
				if data, err := s.raw(ctx, n); err == nil {
					removed[data] = s.id
				}
			}
			return s.Snapshot.Remove(ctx, numbers)
		}
		w.restart = func() {
			for data, id := range removed {
				w.put(id, data)
			}
		}
	}},
	{"keeps half of what was cut off", "PowerLoss RandomFaults", func(w *wrapped) {
		var halves []func()
		w.commit = func(d *delivery, ctx context.Context) []error {
			answers := d.Delivery.Commit(ctx)
			if data := d.body.String(); errors.Join(answers...) != nil && w.bench.off() {
				halves = append(halves, func() { w.put(d.targets[0].Maildrop, data[:len(data)/2]) })
			}
			return answers
		}
		w.restart = func() {
			for _, put := range halves {
				put()
			}
		}
	}},
	{"forgets new views in a power cut", "PowerLoss Views", func(w *wrapped) {
		w.restart = func() {
			for n := range w.bench.made {
				id := maildrop.ID(fmt.Sprintf("drop-%d", n+1))
				for _, view := range []maildrop.View{"phone", "tablet", "a-tablet-0"} {
					// The last view and views that are not there stay as they are.
					if err := w.Store.DropView(context.Background(), id, view); err != nil {
						continue
					}
				}
			}
		}
	}},
	{"stores what it refuses", "Errors RandomFaults", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			answers := d.Delivery.Commit(ctx)
			if errors.Is(errors.Join(answers...), errBroken) {
				d.again(ctx, maildrop.Envelope{}, d.targets)
			}
			return answers
		}
	}},
	{"takes a failed transaction for done", "Errors", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			if tx := d.env.Transaction; tx == "retry" && w.note(tx) > 1 {
				return make([]error, len(d.targets))
			}
			return d.Delivery.Commit(ctx)
		}
	}},
	{"never works again after a failure", "Errors RandomFaults", func(w *wrapped) {
		failed := false
		w.commit = func(d *delivery, ctx context.Context) []error {
			if failed {
				return slices.Repeat([]error{errBroken}, len(d.targets))
			}
			answers := d.Delivery.Commit(ctx)
			failed = errors.Is(errors.Join(answers...), errBroken)
			return answers
		}
	}},
	{"lists nothing when it cannot read", "Errors", func(w *wrapped) {
		blind := make(map[maildrop.Snapshot]bool)
		w.open = func(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
			snap, err := w.Store.Open(ctx, id, view)
			if errors.Is(err, errBroken) {
				if snap, err = w.Store.Open(ctx, id, view); err == nil {
					blind[snap] = true
				}
			}
			return snap, err
		}
		w.length = func(s *snapshot) int {
			if blind[s.Snapshot] {
				return 0
			}
			return s.Snapshot.Len()
		}
	}},
	{"changes UIDs at a restart", "UIDs Order Remove Random PowerLoss", func(w *wrapped) {
		restarts := w.bench.restarts
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			info.UID += fmt.Sprint("-", restarts)
			return info
		}
	}},
	{"starts tokens anew at a restart", "Tokens Random", func(w *wrapped) {
		w.token = func(s *snapshot) uint64 { return uint64(w.note("token")) }
	}},
}
