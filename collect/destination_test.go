// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"context"
	"errors"
	"io"
	"slices"
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
