// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/collect"
)

// shelf is a destination that can look, and that works in an order of its own:
// the last first.
type shelf struct {
	id    string
	there map[string]string // text by name
	full  string            // the text for which there is no room
	mute  bool              // File fails after its work
	asked int               // how often Recover was called
}

func (s *shelf) ID() string  { return s.id }
func (s *shelf) Window() int { return 100 }

func (s *shelf) Stage(context.Context, string, int64) (collect.Staged, error) {
	return collect.NewSpool(), nil
}

func (s *shelf) Recover(_ context.Context, _ string, pending []*collect.Pending) error {
	s.asked++
	slices.Reverse(pending)
	for _, p := range pending {
		_, p.Filed = s.there[p.Name]
	}
	return nil
}

func (s *shelf) Prepare(_ context.Context, items []*collect.Item) {
	time.Sleep(time.Second) // until more have come, which are filed together
	slices.Reverse(items)
	for _, it := range items {
		it.Name = it.Message.Key
	}
}

func (s *shelf) File(_ context.Context, items []*collect.Item) {
	slices.Reverse(items)
	for _, it := range items {
		body, err := it.Staged.(*collect.Spool).Reader()
		var data []byte
		if err == nil {
			data, err = io.ReadAll(body)
		}
		switch it.Staged.Discard(); {
		case err != nil:
			it.Err = err
		case string(data) == s.full:
			it.Err = errors.New("no room")
		default:
			s.there[it.Name] = string(data)
			if s.mute {
				it.Err = errors.New("no answer")
			}
		}
	}
}

// What a destination does with the slices that it is handed changes nothing
// about whose answer is whose.
func TestDestinationWithAnOrderOfItsOwn(t *testing.T) {
	for _, mute := range []bool{false, true} {
		for n := range 4 {
			synctest.Test(t, func(t *testing.T) {
				s := &server{mail: letters(1, 4)}
				d := &shelf{id: "shelf", there: make(map[string]string), full: text(n + 1), mute: mute}
				var j collect.Memory
				a := account(s, d)
				a.Keep.Delete = true
				run(t, a, &j)
				d.full, d.mute = "", false
				for range 2 {
					run(t, a, &j)
				}
				var got box
				for _, text := range d.there {
					got.texts = append(got.texts, text)
				}
				got.expect(t, upTo(4)...)
				if len(s.mail) != 0 {
					t.Errorf("%d left", len(s.mail))
				}
				s.wait.Wait()
			})
		}
	}
}

// locked is a destination that is locked from Prepare to File.
type locked struct {
	shelf
	lock chan bool
}

func (l *locked) Prepare(ctx context.Context, items []*collect.Item) {
	select {
	case l.lock <- true:
		l.shelf.Prepare(ctx, items)
	case <-time.After(time.Minute):
		for _, it := range items {
			it.Err = errors.New("locked")
		}
	}
}

func (l *locked) File(ctx context.Context, items []*collect.Item) {
	if len(items) > 0 {
		l.shelf.File(ctx, items)
		<-l.lock
	}
}

// Two accounts that name the same two destinations in another order do not wait
// for each other.
func TestDestinationsInAnotherOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{mail: letters(1, 10)}
		locks := map[string]chan bool{"x": make(chan bool, 1), "y": make(chan bool, 1)}
		open := func(id string) collect.Destination {
			return &locked{shelf{id: id, there: make(map[string]string)}, locks[id]}
		}
		var wait sync.WaitGroup
		for _, a := range []collect.Account{account(s, open("x"), open("y")), account(s, open("y"), open("x"))} {
			wait.Go(func() {
				if r, err := collect.Run(t.Context(), a, new(collect.Memory)); err != nil || !r.Complete() {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		wait.Wait()
		s.wait.Wait()
	})
}
