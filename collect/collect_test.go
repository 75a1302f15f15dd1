// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/collect"
	"restante.example/pop3"
)

func TestKeepsAndCollectsOnce(t *testing.T) {
	s := &server{mail: letters(1, 300)}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	if r := run(t, a, &j); r.Filed != 300 || !r.Complete() || r.Deleted != 0 || r.Offered != 300 {
		t.Errorf("first: %+v", r)
	}
	b.expect(t, upTo(300)...)
	for range 2 {
		if r := run(t, a, &j); r.Filed != 0 || !r.Complete() || r.Known != 300 {
			t.Errorf("again: %+v", r)
		}
	}
	s.mail = append(s.mail, letters(301, 302)...)
	if r := run(t, a, &j); r.Filed != 2 || r.Known != 300 {
		t.Errorf("two more: %+v", r)
	}
	b.expect(t, upTo(302)...)
	if len(s.mail) != 302 {
		t.Errorf("%d messages left on the server", len(s.mail))
	}
}

func TestEmptyPollAsksForNoSizes(t *testing.T) {
	s := &server{mail: letters(1, 20)}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	lists := s.commands("LIST")
	run(t, a, &j)
	if s.commands("LIST") != lists || s.commands("UIDL") != 2 {
		t.Errorf("a poll without news sent LIST: %q", s.log)
	}
	s.mail[3].text = text(77) // another message under an old id, and another size
	run(t, a, &j)
	b.expect(t, append(upTo(20), 77)...)
}

func TestDeletesAfterFiling(t *testing.T) {
	s := &server{mail: letters(1, 50)}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	if r := run(t, a, &j); r.Filed != 50 || r.Deleted != 50 {
		t.Errorf("%+v", r)
	}
	b.expect(t, upTo(50)...)
	if len(s.mail) != 0 {
		t.Errorf("%d messages left", len(s.mail))
	}
}

// mail-safety.md, Collecting 3.
func TestQuitLostOrRefused(t *testing.T) {
	for _, quit := range []string{"<cut>", "-ERR [SYS/TEMP] disk\r\n"} {
		for _, does := range []bool{false, true} {
			s := &server{mail: letters(1, 9), quit: quit, quitDoes: does}
			var b box
			var j collect.Memory
			a := account(s, b.destination("box"))
			a.Keep.Delete = true
			r := run(t, a, &j)
			if r.Deleted != 0 || len(r.Warnings) != 1 || !errors.Is(r.Warnings[0], collect.ErrQuit) || !r.Complete() {
				t.Errorf("%q: %+v", quit, r)
			}
			s.quit = ""
			retrs := s.commands("RETR")
			if r := run(t, a, &j); r.Filed != 0 || len(s.mail) != 0 {
				t.Errorf("%q: second run: %+v, %d left", quit, r, len(s.mail))
			}
			if s.commands("RETR") != retrs {
				t.Errorf("%q: retrieved again to delete", quit)
			}
			b.expect(t, upTo(9)...)
		}
	}
}

// mail-safety.md, Collecting 4.
func TestEmptyBodyIsNeitherFiledNorDeleted(t *testing.T) {
	s := &server{mail: letters(1, 5), answer: map[string]string{"RETR 2": "+OK\r\n.\r\n"}}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	r := run(t, a, &j)
	if r.Complete() || len(r.Problems) != 1 || !errors.Is(r.Problems[0].Err, collect.ErrEmpty) {
		t.Errorf("%+v", r)
	}
	b.expect(t, 1, 3, 4, 5)
	if len(s.mail) != 1 || s.mail[0].uid != "uid-2" {
		t.Errorf("left on the server: %v", s.mail)
	}
}

// mail-safety.md, Collecting 4 and 5: one message always cuts the connection.
func TestCutInMidMessageBlocksNothing(t *testing.T) {
	for _, pipe := range []bool{true, false} {
		for _, answer := range []string{"+OK\r\nSubject: x\r\n\r\nhalf<cut>", "<cut>", "+OK\r\nSubject: x\r\n\r\n.<cut>"} {
			synctest.Test(t, func(t *testing.T) {
				s := &server{mail: letters(1, 40), noPipe: !pipe, answer: map[string]string{"RETR 7": answer, "RETR 8": answer}}
				var b box
				var j collect.Memory
				a := account(s, b.destination("box"))
				r := run(t, a, &j)
				if r.Complete() || r.Left != 2 {
					t.Errorf("pipelining %t, %q: %+v", pipe, answer, r)
				}
				b.expect(t, slices.DeleteFunc(upTo(40), func(n int) bool { return n == 7 || n == 8 })...)
				s.answer = nil
				run(t, a, &j)
				b.expect(t, upTo(40)...)
			})
		}
	}
}

func TestRefusedMessageBlocksNothing(t *testing.T) {
	s := &server{mail: letters(1, 10), answer: map[string]string{"RETR 1": "-ERR [SYS/PERM] damaged\r\n"}}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	r := run(t, a, &j)
	if r.Left != 1 || len(r.Problems) != 1 || !errors.Is(r.Problems[0].Err, pop3.CodeSysPerm) {
		t.Errorf("%+v", r)
	}
	b.expect(t, upTo(10)[1:]...)
}

// mail-safety.md, Collecting 8.
func TestDestinationsFailOnTheirOwn(t *testing.T) {
	s := &server{mail: letters(1, 20)}
	var good, bad box
	full := errors.New("disk full")
	bad.fail = func(collect.Message, string) error { return fmt.Errorf("%w: %w", collect.ErrUnavailable, full) }
	var j collect.Memory
	a := account(s, bad.destination("bad"), good.destination("good"))
	a.Keep.Delete = true
	r := run(t, a, &j)
	if r.Complete() || len(r.Warnings) == 0 || !errors.Is(r.Warnings[0], full) {
		t.Errorf("%+v", r)
	}
	good.expect(t, upTo(20)...)
	if len(s.mail) != 20 {
		t.Errorf("deleted although a destination has nothing")
	}
	bad.fail = nil
	run(t, a, &j)
	good.expect(t, upTo(20)...)
	bad.expect(t, upTo(20)...)
	if len(s.mail) != 0 {
		t.Errorf("%d left", len(s.mail))
	}
}

func TestHandlerGetsTheSameKeyAgain(t *testing.T) {
	s := &server{mail: letters(1, 3)}
	s.mail = append(s.mail, letter{uid: "twin", text: text(1)})
	var tried []string
	b := box{fail: func(m collect.Message, _ string) error {
		tried = append(tried, m.Key)
		return errors.New("not now")
	}}
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	b.fail = nil
	run(t, a, &j)
	if !slices.Equal(tried, b.keys) {
		t.Errorf("first %v, then %v", tried, b.keys)
	}
	slices.Sort(tried)
	if len(slices.Compact(tried)) != 4 {
		t.Errorf("keys are not unique: %v", tried)
	}
}

// behaviours.md, Client 10.
func TestNoQuitWhileAMessageIsNotSafe(t *testing.T) {
	s := &server{mail: letters(1, 10)}
	b := box{fail: func(_ collect.Message, data string) error {
		if data == text(4) {
			return errors.New("no")
		}
		return nil
	}}
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	if s.commands("QUIT") != 0 {
		t.Error("QUIT although a retrieved message is not filed")
	}
	a.Keep.Delete = true
	r := run(t, a, &j)
	if s.commands("QUIT") != 1 || len(s.mail) != 1 || r.Deleted != 9 {
		t.Errorf("%+v; left %v", r, s.mail)
	}
}

func TestUntilDry(t *testing.T) {
	s := &server{mail: letters(1, 10)}
	all := letters(11, 20)
	b := box{}
	b.fail = func(_ collect.Message, data string) error {
		if data == text(10) { // the next part of the mailbox shows
			s.mu.Lock()
			s.mail = append(s.mail, all...)
			s.mu.Unlock()
		}
		return nil
	}
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.UntilDry = true
	if r := run(t, a, &j); r.Sessions != 3 {
		t.Errorf("%+v", r)
	}
	b.expect(t, upTo(20)...)
	s.caps = []string{"LOGIN-DELAY 300"}
	s.mail = append(s.mail, letters(30, 30)...)
	if r := run(t, a, &j); r.Sessions != 1 || !r.More || r.LoginDelay != 300*time.Second {
		t.Errorf("with LOGIN-DELAY: %+v", r)
	}
}

func TestKeepPolicies(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &server{mail: letters(1, 10)}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.Now = func() time.Time { return now }
	a.Keep.For = 30 * 24 * time.Hour
	run(t, a, &j)
	s.mail = append(s.mail, letters(11, 12)...)
	now = now.Add(29 * 24 * time.Hour)
	run(t, a, &j)
	if len(s.mail) != 12 {
		t.Errorf("%d left after 29 days", len(s.mail))
	}
	now = now.Add(24 * time.Hour)
	run(t, a, &j)
	if len(s.mail) != 2 {
		t.Errorf("%d left after 30 days", len(s.mail))
	}
	s.mail = append(s.mail, letters(21, 30)...)
	a.Keep = collect.Keep{Messages: 5}
	run(t, a, &j)
	if len(s.mail) != 5 || s.mail[0].uid != "uid-26" {
		t.Errorf("left of the newest five: %v", s.mail)
	}
	a.Keep = collect.Keep{Octets: int64(2 * len(text(30)))}
	run(t, a, &j)
	if len(s.mail) != 2 {
		t.Errorf("left of two messages' octets: %v", s.mail)
	}
}

func TestPoliciesOfTheServer(t *testing.T) {
	for caps, want := range map[string]int{"EXPIRE 0": 1, "EXPIRE NEVER": 0, "EXPIRE 30": 0, "EXPIRE": 0, "X": 0} {
		s := &server{mail: letters(1, 2), caps: []string{caps, "LOGIN-DELAY 99999999"}}
		var b box
		r := run(t, account(s, b.destination("box")), new(collect.Memory))
		if len(r.Warnings) != want || want == 1 && !errors.Is(r.Warnings[0], collect.ErrExpires) || r.LoginDelay != 24*time.Hour {
			t.Errorf("%s: %+v", caps, r)
		}
	}
}

// Sizes that no disk has are hints like others.
func TestAbsurdSizes(t *testing.T) {
	s := &server{mail: letters(1, 6)}
	for i := range s.mail {
		s.mail[i].size = 1<<63 - 1
	}
	var b box
	a := account(s, b.destination("box"))
	a.Keep.Octets = 1000
	a.Observe = func(e collect.Event) {
		if e.Octets < 0 {
			t.Errorf("%+v", e)
		}
	}
	var j collect.Memory
	for range 2 {
		run(t, a, &j)
	}
	b.expect(t, upTo(6)...)
	if len(s.mail) != 6 {
		t.Errorf("%d left of 400 octets", len(s.mail))
	}
}

// Nor are sizes that are a little wrong compared with what comes.
// mail-safety.md, Collecting.
func TestWrongSizes(t *testing.T) {
	s := &server{mail: letters(1, 4)}
	for i, wrong := range []int{-20, -1, 1, 1000} {
		s.mail[i].size = len(s.mail[i].text) + wrong
	}
	var b box
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	if r := run(t, a, new(collect.Memory)); r.Filed != 4 || r.Deleted != 4 {
		t.Errorf("%+v", r)
	}
	b.expect(t, upTo(4)...)
}

func TestTooLarge(t *testing.T) {
	s := &server{mail: letters(1, 4)}
	big := text(9) + strings.Repeat("much\r\n", 1000)
	s.mail = append(s.mail, letter{uid: "big", text: big})
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.MaxSize = 1000
	a.Keep.Delete = true
	if r := run(t, a, &j); r.TooLarge != 1 || !r.Complete() || len(s.mail) != 1 {
		t.Errorf("%+v", r)
	}
	b.expect(t, upTo(4)...)
	a.HeaderOnly = true
	for range 2 {
		if r := run(t, a, &j); len(s.mail) != 1 || !r.Complete() {
			t.Errorf("%+v, %d left", r, len(s.mail))
		}
	}
	if b.counts()[top(big)] != 1 {
		t.Errorf("the header alone: %d times", b.counts()[top(big)])
	}
	a.MaxSize = 0
	for range 2 {
		run(t, a, &j)
	}
	if b.counts()[big] != 1 || len(s.mail) != 0 {
		t.Errorf("the whole: %d times, %d left", b.counts()[big], len(s.mail))
	}
}

// A destination that is added together with the limit gets what the other one
// has, which gets nothing more.
func TestTooLargeAndCollectedBefore(t *testing.T) {
	big := text(9) + strings.Repeat("much\r\n", 1000)
	s := &server{mail: []letter{{uid: "big", text: big}}}
	var first, second box
	var j collect.Memory
	a := account(s, first.destination("first"))
	run(t, a, &j)
	a = account(s, first.destination("first"), second.destination("second"))
	a.MaxSize, a.HeaderOnly = 1000, true
	for range 2 {
		if r := run(t, a, &j); !r.Complete() {
			t.Errorf("%+v", r)
		}
	}
	for name, b := range map[string]*box{"first": &first, "second": &second} {
		if b.counts()[big] != 1 || len(b.texts) != 1 {
			t.Errorf("%s: whole %d times, of %d", name, b.counts()[big], len(b.texts))
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	s := &server{mail: letters(1, 5)}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.DryRun = true
	a.Keep.Delete = true
	if r := run(t, a, &j); r.Would != 5 {
		t.Errorf("%+v", r)
	}
	b.expect(t)
	list, _ := j.Entries(t.Context())
	if s.commands("RETR")+s.commands("DELE")+len(list) != 0 {
		t.Errorf("a dry run did something: %q, %v", s.log, list)
	}
}

func TestRefusedSignIn(t *testing.T) {
	s := &server{mail: letters(1, 5), login: "-ERR [AUTH] wrong"}
	var b box
	r, err := collect.Run(t.Context(), account(s, b.destination("box")), new(collect.Memory))
	if !errors.Is(err, pop3.CodeAuth) || r.Sessions != 0 || s.sessions != 1 {
		t.Errorf("%v, %+v, %d connections", err, r, s.sessions)
	}
}

func TestCancelledRun(t *testing.T) {
	s := &server{mail: letters(1, 50)}
	ctx, cancel := context.WithCancel(t.Context())
	b := box{fail: func(_ collect.Message, data string) error {
		if data == text(20) {
			cancel()
		}
		return nil
	}}
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	if _, err := collect.Run(ctx, a, &j); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if len(s.mail) != 50 {
		t.Error("deleted by a run that was cancelled")
	}
	run(t, a, &j)
	b.expect(t, upTo(50)...)
}

// Nothing new is begun to be filed after a run was cancelled, whatever has come.
func TestCancelledRunBeginsNothing(t *testing.T) {
	for _, mail := range []int{20, 500} { // all of it has come by then, or part
		s := &server{mail: letters(1, mail)}
		ctx, cancel := context.WithCancel(t.Context())
		b := box{fail: func(collect.Message, string) error {
			for deadline := time.Now().Add(5 * time.Second); s.commands("RETR") < 20 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(20 * time.Millisecond) // until the last one is handed over
			cancel()
			return nil
		}}
		var j collect.Memory
		a := account(s, b.destination("box"))
		a.Keep.Delete = true
		r, err := collect.Run(ctx, a, &j)
		if !errors.Is(err, context.Canceled) || r.Filed != 1 || len(b.texts) != 1 || r.Complete() || len(r.Problems) > 0 {
			t.Errorf("%v, %d handled, %+v", err, len(b.texts), r)
		}
		b.fail = nil
		if r := run(t, a, &j); !r.Complete() {
			t.Errorf("next run: %+v", r)
		}
		b.expect(t, upTo(mail)...)
	}
}

// What a destination breaks off because the run was cancelled is no failure of its
// own, also where it was the last message.
func TestCancelledRunBlamesNobody(t *testing.T) {
	for _, mail := range []int{1, 50} {
		s := &server{mail: letters(1, mail)}
		ctx, cancel := context.WithCancel(t.Context())
		b := box{fail: func(collect.Message, string) error {
			time.Sleep(20 * time.Millisecond) // until all have come
			cancel()
			return fmt.Errorf("%w: no answer in time", collect.ErrUnavailable)
		}}
		r, err := collect.Run(ctx, account(s, b.destination("box")), new(collect.Memory))
		if !errors.Is(err, context.Canceled) || len(r.Problems)+len(r.Warnings) > 0 || r.Left != mail {
			t.Errorf("%v, %+v", err, r)
		}
	}
}

func TestLargeMessagePassesThroughASpool(t *testing.T) {
	big := "Subject: big\r\n\r\n" + strings.Repeat("0123456789\r\n", 100_000)
	s := &server{mail: []letter{{uid: "big", text: big}}}
	var b box
	run(t, account(s, b.destination("box")), new(collect.Memory))
	if b.counts()[big] != 1 {
		t.Error("not filed as it was")
	}
}
