// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/collect"
	"restante.example/pop3"
	"restante.example/pop3client"
)

// A header without a Message-ID says too little about whose body it is.
// mail-safety.md, Collecting 6.
func TestIDNamesAnotherMessageWithTheSameHeader(t *testing.T) {
	message := func(body string) string { return "Subject: report\r\n\r\n" + body + "\r\n" }
	s := &server{mail: []letter{{uid: "1", text: message("monday")}, {uid: "2", text: message("sunday")}}}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	s.mail[0].text = message("friday")
	a.Keep.Delete = true
	for range 2 {
		run(t, a, &j)
	}
	got := b.counts()
	for _, day := range []string{"monday", "sunday", "friday"} {
		if got[message(day)] != 1 {
			t.Errorf("%s: %d times", day, got[message(day)])
		}
	}
	if len(s.mail) != 0 {
		t.Errorf("left: %v", s.mail)
	}
	// The comparison retrieved friday, which was not filed yet: QUIT would have
	// hidden it at some servers. The first and the last two sessions say it.
	if n, quits := s.sessions, s.commands("QUIT"); quits != n-1 {
		t.Errorf("%d QUIT in %d sessions", quits, n)
	}
}

func TestRefusedDeleIsRepeated(t *testing.T) {
	s := &server{mail: letters(1, 3), answer: map[string]string{"DELE 2": "-ERR busy\r\n"}}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	s.answer["DELE 1"], s.answer["DELE 3"] = s.answer["DELE 2"], s.answer["DELE 2"]
	if r := run(t, a, &j); r.Deleted != 0 || len(r.Warnings) != 1 || !errors.Is(r.Warnings[0], collect.ErrDelete) {
		t.Errorf("%+v", r)
	}
	s.answer = nil
	if r := run(t, a, &j); r.Deleted != 3 || len(s.mail) != 0 {
		t.Errorf("%+v, left %v", r, s.mail)
	}
	b.expect(t, upTo(3)...)
}

// A destination that refuses the first few messages for good is left alone
// after them; at the next run the others have their turn.
func TestRefusedMessagesLetOthersPass(t *testing.T) {
	s := &server{mail: letters(1, 20)}
	b := box{fail: func(_ collect.Message, text string) error {
		if slices.ContainsFunc(letters(1, 8), func(l letter) bool { return l.text == text }) {
			return errors.New("not this one")
		}
		return nil
	}}
	var j collect.Memory
	a := account(s, b.destination("box"))
	for range 3 {
		run(t, a, &j)
	}
	b.expect(t, upTo(20)[8:]...)
}

func TestServerThatClosesAfterEachMessage(t *testing.T) {
	for _, noPipe := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{mail: letters(1, 25), noPipe: noPipe, answer: make(map[string]string)}
			for n := range 25 {
				// Without a Message-ID, so that TOP alone does not tell for DELE.
				s.mail[n].text = strings.ReplaceAll(s.mail[n].text, "Message-ID", "Subject")
				s.answer[fmt.Sprint("RETR ", n+1)] = "+OK\r\n" + stuff(s.mail[n].text) + ".\r\n<cut>"
			}
			var b box
			var j collect.Memory
			a := account(s, b.destination("box"))
			for _, policy := range []collect.Keep{{}, {Delete: true}} {
				a.Keep = policy
				if r := run(t, a, &j); !r.Complete() {
					t.Errorf("pipelining %t: %+v", !noPipe, r)
				}
			}
			if n := len(b.counts()); n != 25 || len(b.keys) != 25 || len(s.mail) != 0 {
				t.Errorf("pipelining %t: %d, %d times, left %v", !noPipe, n, len(b.keys), s.mail)
			}
			s.wait.Wait()
		})
	}
}

// There are servers that answer CAPA before sign-in and hang at it afterwards.
// Destinations are asked what they know in the session that comes to it.
func TestServerThatHangsAtCapa(t *testing.T) {
	for _, noPipe := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{mail: letters(1, 5), noPipe: noPipe, hangs: true}
			d := &shelf{id: "shelf", there: make(map[string]string)}
			if r := run(t, account(s, d), new(collect.Memory)); r.Filed != 5 || s.sessions > 3 || d.asked != 1 {
				t.Errorf("pipelining %t: %d sessions, asked %d times, %+v", !noPipe, s.sessions, d.asked, r)
			}
			s.wait.Wait()
		})
	}
}

// A server that is going down says so when nobody has asked: that refuses neither
// a command nor a message.
func TestFarewellIsNoAnswer(t *testing.T) {
	farewell := "-ERR [SYS/TEMP] going down\r\n<cut>"
	for after, answer := range map[string]string{
		"UIDL":   "+OK\r\n1 uid-1\r\n2 uid-2\r\n3 uid-3\r\n.\r\n",
		"LIST":   "+OK\r\n1 73\r\n2 73\r\n3 73\r\n.\r\n",
		"RETR 3": "+OK\r\n" + stuff(text(3)) + ".\r\n",
	} {
		for _, remove := range []bool{false, true} {
			s := &server{mail: letters(1, 3), answer: map[string]string{after: answer + farewell}}
			var b box
			var j collect.Memory
			a := account(s, b.destination("box"))
			a.Keep.Delete = remove
			_, err := collect.Run(t.Context(), a, &j)
			if err != nil && !strings.Contains(err.Error(), "going down") {
				t.Errorf("after %s: %v", after, err)
			}
			s.answer = nil
			for range 2 {
				run(t, a, &j)
			}
			b.expect(t, upTo(3)...)
			if remove != (len(s.mail) == 0) {
				t.Errorf("after %s, delete %t: left %v", after, remove, s.mail)
			}
		}
	}
}

// STAT has told of three messages.
func TestListingWithoutEnd(t *testing.T) {
	for _, command := range []string{"UIDL", "LIST"} {
		var rows strings.Builder
		for n := range 250_000 {
			fmt.Fprintf(&rows, "%d %d\r\n", n+1, n+1)
		}
		s := &server{mail: letters(1, 3), answer: map[string]string{command: "+OK\r\n" + rows.String() + "<cut>"}}
		var b box
		_, err := collect.Run(t.Context(), account(s, b.destination("box")), new(collect.Memory))
		if !errors.Is(err, pop3client.ErrLimit) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// Fewer rows than anybody would count, and each as long as a row may be.
func TestListingOfLongIDs(t *testing.T) {
	const count = 9000
	pad := strings.Repeat("x", 8000)
	var rows strings.Builder
	for n := range count {
		fmt.Fprintf(&rows, "%d %d%s\r\n", n+1, n+1, pad)
	}
	s := &server{answer: map[string]string{
		"STAT": fmt.Sprintf("+OK %d 1\r\n", count), "UIDL": "+OK\r\n" + rows.String() + ".\r\n", "LIST": "<cut>",
	}}
	var b box
	_, err := collect.Run(t.Context(), account(s, b.destination("box")), new(collect.Memory))
	if !errors.Is(err, pop3client.ErrLimit) {
		t.Errorf("%v", err)
	}
}

// Each session offers other messages, lets one pass and is cut, so that there is
// always reason for another one.
func TestLongIDsInEachSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 2000
		s := &server{answer: map[string]string{fmt.Sprint("RETR ", count): "<cut>"}}
		for n := 1; n < count-1; n++ {
			s.answer[fmt.Sprint("RETR ", n)] = "-ERR no\r\n"
		}
		pad := strings.Repeat("x", 8000)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var b box
		a := account(s, b.destination("box"))
		a.Dial = func(ctx context.Context, opt *pop3client.Options) (*pop3client.Client, error) {
			s.mu.Lock()
			s.mail = nil
			for n := range count {
				s.mail = append(s.mail, letter{uid: fmt.Sprint(s.sessions, "-", n, pad), text: text(s.sessions)})
			}
			if s.sessions > 10 {
				cancel()
			}
			s.mu.Unlock()
			return s.dial(ctx, opt)
		}
		if _, err := collect.Run(ctx, a, new(collect.Memory)); !errors.Is(err, pop3client.ErrLimit) {
			t.Errorf("%d sessions, %v", s.sessions, err)
		}
		s.wait.Wait()
	})
}

// What is kept of a refusal is bounded, and its code is kept all the same.
func TestManyLongRefusals(t *testing.T) {
	s := &server{mail: letters(1, 1000), answer: make(map[string]string)}
	long := "-ERR [SYS/PERM] " + strings.Repeat("x", 8000) + "\r\n"
	for n := range s.mail {
		s.answer[fmt.Sprint("RETR ", n+1)] = long
	}
	var b box
	r := run(t, account(s, b.destination("box")), new(collect.Memory))
	octets := 0
	for _, p := range r.Problems {
		octets += len(p.Err.Error())
		if !errors.Is(p.Err, pop3.CodeSysPerm) {
			t.Fatal(p.Err)
		}
	}
	if len(r.Problems) != 1000 || len(r.Problems[0].Err.Error()) < 8000 || octets > 2<<20 {
		t.Errorf("%d problems of %d octets", len(r.Problems), octets)
	}
}

// Each silence costs a whole Timeout.
func TestSilentServerIsGivenUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{mail: letters(1, 30), answer: make(map[string]string)}
		for n := range 30 {
			s.answer[fmt.Sprint("RETR ", n+1)] = "+OK\r\n"
		}
		var b box
		if _, err := collect.Run(t.Context(), account(s, b.destination("box")), new(collect.Memory)); err == nil || s.sessions > 5 {
			t.Errorf("%d sessions, %v", s.sessions, err)
		}
		s.wait.Wait()
	})
}

// What waits for a slow destination is bounded in octets as well.
func TestLargeMessagesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		large := "A: b\r\n\r\n" + strings.Repeat("x", 20<<20) + "\r\n"
		for n := range 10 {
			s.mail = append(s.mail, letter{uid: fmt.Sprint(n), text: large})
		}
		slow := make(chan struct{})
		handled := 0
		d := collect.HandlerFunc("slow", func(context.Context, collect.Message, io.ReadSeeker) error {
			<-slow
			handled++
			return nil
		})
		done := make(chan *collect.Report)
		go func() {
			r, err := collect.Run(t.Context(), account(s, d), new(collect.Memory))
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		time.Sleep(time.Second) // until all wait for the handler
		// Three that wait, one that has come, and what was asked for meanwhile.
		if n := s.commands("RETR"); n > 5 {
			t.Errorf("%d retrieved", n)
		}
		close(slow)
		if r := <-done; !r.Complete() || handled != 10 {
			t.Errorf("%d, %+v", handled, r)
		}
		s.wait.Wait()
	})
}

// A journal that fails ends the run, by name.
func TestJournalFails(t *testing.T) {
	s := &server{mail: letters(1, 3)}
	var b box
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	for n := range 4 {
		if _, err := collect.Run(t.Context(), a, &failing{after: n}); !errors.Is(err, collect.ErrJournal) {
			t.Errorf("after %d: %v", n, err)
		}
	}
	if len(s.mail) != 3 {
		t.Errorf("left: %v", s.mail)
	}
}

// failing is a journal that fails at some time.
type failing struct {
	collect.Memory
	after int
}

func (f *failing) Apply(ctx context.Context, c collect.Changes) error {
	if f.after--; f.after < 0 {
		return errors.New("disk full")
	}
	return f.Memory.Apply(ctx, c)
}
