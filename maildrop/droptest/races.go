// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"restante.example/maildrop"
)

// checkRevokeRace revokes sessions while they remove: either all was removed
// before, or nothing is, and when Revoke has returned that is decided.
func checkRevokeRace(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	for round := range 60 {
		w.fill(d, 2)
		s := w.open(d, maildrop.Classic)
		all := numbers(s.Len())
		var outcomes []maildrop.Outcome
		var err error
		var left int
		removed, returned := make(chan struct{}), make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			defer close(removed)
			yield(round % 5)
			outcomes, err = s.Remove(w.ctx, all)
		})
		group.Go(func() {
			if round%3 == 0 {
				select { // the other way to race: a watcher that closes
				case <-s.Revoked():
				case <-returned:
				}
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
		group.Go(func() {
			if round%10 == 9 {
				<-removed // no race, for once: whatever the scheduler does, both ways are seen
			}
			yield(round % 7)
			s.Revoke()
			close(returned)
			next, err := w.store.Open(w.ctx, d.id, maildrop.Classic)
			if err != nil {
				t.Errorf("Open after Revoke: %v", err)
				return
			}
			left = next.Len()
			closeSnapshot(t, next)
		})
		group.Wait()
		if problem := judge(all, outcomes, err); problem != "" {
			t.Fatal(problem)
		}
		want := 0
		switch {
		case errors.Is(err, maildrop.ErrRevoked):
			want = len(all)
		case err != nil:
			t.Fatalf("Remove: %v", err)
		default:
			clear(d.views[maildrop.Classic].holds)
		}
		if left != want {
			t.Fatalf("Remove answered %v, and when Revoke had returned there were %d messages, want %d", err, left, want)
		}
		s.close()
		w.check()
	}
}

// yield lets other goroutines go first, n times.
func yield(n int) {
	for range n {
		runtime.Gosched()
	}
}

// checkDropRace drops a view while a session of it removes.
func checkDropRace(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 1)
	for round := range 20 {
		w.mustAddView(d, "phone", noTime)
		s := w.open(d, "phone")
		var outcomes []maildrop.Outcome
		var err error
		var group sync.WaitGroup
		group.Go(func() { outcomes, err = s.Remove(w.ctx, []int{1}) })
		yield(round % 4)
		w.mustDropView(d, "phone")
		group.Wait()
		if problem := judge([]int{1}, outcomes, err); problem != "" {
			t.Fatal(problem)
		}
		if err != nil && !errors.Is(err, maildrop.ErrRevoked) {
			t.Fatalf("Remove while the view is dropped: %v", err)
		}
		s.close()
		w.check()
	}
}

// checkOpenRace opens one view many times at once: one session has it.
func checkOpenRace(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	w.fill(d, 1)
	for range 20 {
		var mu sync.Mutex
		var open []maildrop.Snapshot
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				snap, err := w.store.Open(w.ctx, d.id, maildrop.Classic)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					open = append(open, snap)
				} else if !errors.Is(err, maildrop.ErrInUse) {
					t.Errorf("Open: %v, want ErrInUse", err)
				}
			})
		}
		group.Wait()
		if len(open) != 1 {
			t.Errorf("%d sessions have the one view", len(open))
		}
		for _, snap := range open {
			closeSnapshot(t, snap)
		}
	}
	w.check()
}

// A crowd is many deliveries and sessions at once.
type crowd struct {
	testing.TB
	ctx   context.Context
	store maildrop.Store
	ids   []maildrop.ID

	mu       sync.Mutex
	accepted []map[string]bool // per maildrop, by content
	removed  []map[string]bool
}

// checkCrowd delivers to maildrops from several goroutines, while others
// collect, are revoked, and add and drop views. Each message that was accepted
// is collected once, whole; those of one sender in their order.
func checkCrowd(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 2)
	c := &crowd{TB: t, ctx: w.ctx, store: w.store}
	for _, d := range w.drops {
		c.ids = append(c.ids, d.id)
		c.accepted = append(c.accepted, make(map[string]bool))
		c.removed = append(c.removed, make(map[string]bool))
	}
	const senders, letters = 4, 25
	done := make(chan struct{})
	var sending, rest sync.WaitGroup
	for sender := range senders {
		sending.Go(func() { c.deliver(w, sender, letters) })
	}
	for i := range c.ids {
		rest.Go(func() { c.views(i, done) })
		for range 2 {
			rest.Go(func() {
				for more := true; more; {
					select {
					case <-done:
						more = false
					default:
					}
					c.collect(i)
				}
			})
		}
	}
	sending.Wait()
	close(done)
	rest.Wait()
	for i, id := range c.ids {
		c.collect(i)
		for content := range c.accepted[i] {
			if !c.removed[i][content] {
				t.Errorf("%s: a message that was accepted was never collected: %s", id, quote(content))
			}
		}
		if len(c.accepted[i]) != senders*letters || len(c.removed[i]) != len(c.accepted[i]) {
			t.Errorf("%s: %d messages accepted, %d collected, want %d", id, len(c.accepted[i]), len(c.removed[i]), senders*letters)
		}
		if messages, octets, err := w.store.Usage(w.ctx, id); messages != 0 || octets != 0 || err != nil {
			t.Errorf("%s: all is collected, and Usage says %d messages, %d octets (%v)", id, messages, octets, err)
		}
	}
}

func (c *crowd) deliver(w *world, sender, letters int) {
	var targets []maildrop.Target
	for _, id := range c.ids {
		targets = append(targets, maildrop.Target{Maildrop: id, Prefix: []byte("X-For: " + string(id) + "\r\n")})
	}
	for n := range letters {
		body := fmt.Sprintf("%04d %d\n%s", n, sender, strings.Repeat("text\n", n*20))
		// Before Commit, because a collector may be quicker than this goroutine.
		c.mu.Lock()
		for i := range c.ids {
			c.accepted[i][WireForm(string(targets[i].Prefix), body)] = true
		}
		c.mu.Unlock()
		for _, err := range w.send(maildrop.Envelope{}, []string{body[:4], body[4:]}, targets) {
			if err != nil {
				c.Errorf("Commit: %v", err)
			}
		}
	}
}

// collect runs one session of the classic view and removes all it read.
func (c *crowd) collect(i int) {
	snap, err := c.store.Open(c.ctx, c.ids[i], maildrop.Classic)
	if errors.Is(err, maildrop.ErrInUse) {
		return
	}
	if err != nil {
		c.Errorf("Open: %v", err)
		return
	}
	defer closeSnapshot(c, snap)
	var list []string
	last := make(map[string]string) // the last number of each sender
	for n := 1; n <= snap.Len(); n++ {
		data, err := readMessage(c.ctx, snap, n)
		if err != nil {
			c.Errorf("message %d: %v", n, err)
			return
		}
		list = append(list, data)
		number, sender := split(data)
		if number <= last[sender] {
			c.Errorf("%s: %s of sender %s comes after %s", c.ids[i], number, sender, last[sender])
		}
		last[sender] = number
	}
	var group sync.WaitGroup
	if len(list)%4 == 3 {
		group.Go(snap.Revoke)
	}
	outcomes, err := snap.Remove(c.ctx, numbers(len(list)))
	group.Wait()
	if problem := judge(numbers(len(list)), outcomes, err); problem != "" {
		c.Error(problem)
	}
	if err != nil && !errors.Is(err, maildrop.ErrRevoked) {
		c.Errorf("Remove: %v", err)
	}
	if !slices.Contains(outcomes, maildrop.Removed) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, data := range list {
		if !c.accepted[i][data] || c.removed[i][data] {
			c.Errorf("%s: collected twice, or never sent: %s", c.ids[i], quote(data))
		}
		c.removed[i][data] = true
	}
}

// split returns the number and the sender that a message of the crowd names.
func split(data string) (number, sender string) {
	_, data, _ = strings.Cut(data, "\r\n") // the prefix
	line, _, _ := strings.Cut(data, "\r\n")
	number, sender, _ = strings.Cut(line, " ")
	return number, sender
}

// views adds, reads and drops a view over and over.
func (c *crowd) views(i int, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		if err := c.store.AddView(c.ctx, c.ids[i], "phone", noTime); err != nil {
			c.Errorf("AddView: %v", err)
			return
		}
		snap, err := c.store.Open(c.ctx, c.ids[i], "phone")
		if err != nil {
			c.Errorf("Open: %v", err)
			return
		}
		for n := 1; n <= snap.Len(); n++ {
			if _, err := readMessage(c.ctx, snap, n); err != nil {
				c.Errorf("message %d of the phone: %v", n, err)
			}
		}
		if snap.Len()%2 == 0 {
			closeSnapshot(c, snap)
		}
		if err := c.store.DropView(c.ctx, c.ids[i], "phone"); err != nil {
			c.Errorf("DropView: %v", err)
			return
		}
		closeSnapshot(c, snap)
	}
}
