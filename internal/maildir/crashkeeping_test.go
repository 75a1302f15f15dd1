// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
					o.may[v][text] = true
					o.again(v, text)
				}
			}
		}
		if _, err := o.store.Undelete(context.Background(), "u", maildrop.Selection{}); err != nil {
			o.t.Fatal(err)
		}
		for v := range o.must {
			maps.Copy(o.must[v], o.taken)
			clear(o.may[v])
		}
	})
}

// retain lets a rule remove all but the newest message.
func (o *office) retain() {
	o.crashing("retain", func() {
		for v := range o.must {
			maps.Copy(o.may[v], o.must[v])
			clear(o.must[v])
		}
		o.rules.Messages = 1
		if err := o.store.Sweep(context.Background(), nil); err != nil {
			o.t.Fatal(err)
		}
		o.rules.Messages = 0
		for v := range o.must {
			for _, text := range textsIn(o.t, o.store, v) {
				o.must[v][text] = true
			}
			clear(o.may[v])
		}
	})
}

func (o *office) silence(view maildrop.View) {
	o.crashing(fmt.Sprintf("silence view %q", view), func() {
		maps.Copy(o.may[view], o.must[view])
		clear(o.must[view])
		if err := o.store.SilenceView(context.Background(), "u", view); err != nil {
			o.t.Fatal(err)
		}
	})
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
