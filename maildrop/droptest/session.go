// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// session is an open snapshot with its model.
type session struct {
	maildrop.Snapshot
	w     *world
	d     *drop
	v     *view
	name  maildrop.View
	list  []*letter // what the snapshot holds: number n is list[n-1]
	infos []maildrop.Info
}

// expect holds the listing against the model and settles what was in doubt.
func (s *session) expect() {
	s.w.Helper()
	var octets int64
	for n := 1; n <= s.Len(); n++ {
		info := s.Info(n)
		octets += info.Size
		s.infos = append(s.infos, info)
		s.list = append(s.list, s.identify(n, info))
	}
	if s.Octets() != octets {
		s.w.Errorf("%s: Octets is %d, the sizes sum to %d", s, s.Octets(), octets)
	}
	s.settle()
	want := s.d.in(s.v)
	// A letter whose octets a fault kept from being read is known by its place.
	same := func(got, want *letter) bool { return got == want || got == nil }
	if !slices.EqualFunc(s.list, want, same) {
		s.w.Fatalf("%s lists\n\t%s\nwant\n\t%s", s, show(s.list), show(want))
	}
	s.list = want
}

// identify says which letter message n is. One that was seen before is known
// by its UID, a new one by its octets; it returns nil where a fault keeps them
// from being read.
func (s *session) identify(n int, info maildrop.Info) *letter {
	s.w.Helper()
	if !pop3.ValidUID(info.UID) {
		s.w.Errorf("%s: message %d has the UID %q, which POP3 cannot send", s, n, info.UID)
	}
	if l := s.d.byUID[info.UID]; l != nil {
		want := l.info
		if own := s.v.uids[l]; own != "" {
			want.UID = own
		}
		if !sameInfo(want, info) {
			s.w.Errorf("%s: message %d is listed as %+v, was %+v: is the UID used twice?", s, n, info, want)
		}
		if s.v.renew[l] {
			s.w.Errorf("%s: message %d came back under the UID that it had, %q", s, n, info.UID)
		}
		delete(s.v.renew, l)
		return l
	}
	data, err := readMessage(s.w.ctx, s, n)
	if err != nil && s.w.struck() {
		return nil
	}
	if err != nil {
		s.w.Fatalf("%s: message %d: %v", s, n, err)
	}
	l := s.d.byData[data]
	switch {
	case l == nil:
		s.w.Fatalf("%s: message %d was never delivered: %s", s, n, quote(data))
	case l.info.UID != "" && s.v.comesBack(l):
		s.v.uids[l] = info.UID
		delete(s.v.renew, l)
		s.d.byUID[info.UID] = l
		return l
	case l.info.UID != "":
		s.w.Fatalf("%s: message %d has the UID %q now, had %q", s, n, info.UID, l.info.UID)
	case info.SMTPUTF8 != l.utf8:
		s.w.Errorf("%s: message %d has SMTPUTF8 %t, was delivered with %t", s, n, info.SMTPUTF8, l.utf8)
	case info.Arrived.IsZero():
		s.w.Errorf("%s: message %d has no time of arrival", s, n)
	}
	l.info = info
	s.d.byUID[info.UID] = l
	return l
}

func sameInfo(a, b maildrop.Info) bool {
	return a.UID == b.UID && a.Size == b.Size && a.SMTPUTF8 == b.SMTPUTF8 && a.Arrived.Equal(b.Arrived)
}

// settle decides what was in doubt by what is listed.
func (s *session) settle() {
	for _, l := range s.d.letters {
		listed := slices.Contains(s.list, l)
		if l.doubt {
			l.doubt = false
			if !listed {
				s.d.show(l, false)
			}
		}
		if s.v.doubt[l] {
			s.v.removed[l] = !listed && !s.v.early[l]
			if !listed {
				delete(s.v.holds, l)
				delete(s.v.renew, l)
			}
		}
	}
	clear(s.v.doubt)
	clear(s.v.early)
}

// read reads message n and holds it against what was delivered.
func (s *session) read(n int) {
	s.w.Helper()
	l := s.list[n-1]
	data, err := readMessage(s.w.ctx, s, n)
	switch {
	case l.damaged && err == nil:
		s.w.Errorf("%s: message %d is damaged and was given to its end", s, n)
	case l.damaged, err != nil && s.w.struck():
	case err != nil:
		s.w.Errorf("%s: message %d: %v", s, n, err)
	case data != l.data:
		s.w.Errorf("%s: message %d has %s", s, n, differ(data, l.data))
	}
}

// readAll reads all messages and lists them once more: nothing may change.
func (s *session) readAll() {
	s.w.Helper()
	for n := range s.list {
		s.read(n + 1)
	}
	s.relist()
}

// relist checks that a listing says what it said when the session began.
func (s *session) relist() {
	s.w.Helper()
	if s.Len() != len(s.infos) {
		s.w.Fatalf("%s: %d messages, were %d when the session began", s, s.Len(), len(s.infos))
	}
	for i, was := range s.infos {
		if info := s.Info(i + 1); info != was {
			s.w.Errorf("%s: message %d is listed as %+v, was %+v when the session began", s, i+1, info, was)
		}
	}
}

// remove removes messages, all of which must go, and ends the session.
func (s *session) remove(numbers ...int) {
	s.w.Helper()
	if outcomes, err := s.tryRemove(numbers...); err != nil {
		s.w.Fatalf("%s: Remove %v: %v, %v", s, numbers, outcomes, err)
	}
	s.close()
}

// tryRemove removes messages and notes in the model what the answer says.
func (s *session) tryRemove(numbers ...int) ([]maildrop.Outcome, error) {
	s.w.Helper()
	outcomes, err := s.Remove(s.w.ctx, numbers)
	if problem := judge(numbers, outcomes, err); problem != "" {
		s.w.Fatalf("%s: %s", s, problem)
	}
	for i, o := range outcomes {
		l := s.list[numbers[i]-1]
		switch {
		case o == maildrop.Removed:
			delete(s.v.holds, l)
			s.v.removed[l] = true
		case o == maildrop.Unknown, s.w.lost():
			s.v.doubt[l] = true
		}
	}
	return outcomes, err
}

// judge says what is wrong with an answer of Remove by itself.
func judge(numbers []int, outcomes []maildrop.Outcome, err error) string {
	count := make(map[maildrop.Outcome]int)
	for _, o := range outcomes {
		count[o]++
	}
	wrong := ""
	switch n := len(numbers); {
	case len(outcomes) != n:
		wrong = "an outcome is wanted for each number"
	case err == nil && count[maildrop.Removed] != n:
		wrong = "no error, and not every message was removed"
	case err != nil && n > 0 && count[maildrop.Removed] == n:
		wrong = "every message was removed, so there should be no error"
	case errors.Is(err, maildrop.ErrRevoked) && count[maildrop.Kept] != n:
		wrong = "a stale token keeps everything"
	case err != nil && count[maildrop.Removed] > 0 && !errors.Is(err, maildrop.ErrPartial):
		wrong = "some were removed, so the error should be ErrPartial"
	default:
		return ""
	}
	return fmt.Sprintf("Remove %v answered %v and %v: %s", numbers, outcomes, err, wrong)
}

func (s *session) close() {
	s.w.Helper()
	if err := s.Close(); err != nil && !s.w.struck() {
		s.w.Errorf("%s: Close: %v", s, err)
	}
}

func (s *session) String() string { return fmt.Sprintf("view %q of %s", s.name, s.d.id) }

// numbers returns 1 to n.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// show lists letters for a failure.
func show(list []*letter) string {
	text := fmt.Sprintf("%d:", len(list))
	for _, l := range list {
		if l == nil {
			text += " unreadable"
			continue
		}
		first := l.data[:min(len(l.data), 16)]
		text += fmt.Sprintf(" %q(%s)", first, l.info.UID)
	}
	return text
}

// readMessage reads message n whole. It returns an error where the stream has
// another length than Info says, too.
func readMessage(ctx context.Context, s maildrop.Snapshot, n int) (string, error) {
	r, err := s.Message(ctx, n)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(r)
	if closing := r.Close(); err == nil {
		err = closing
	}
	if size := s.Info(n).Size; err == nil && int64(len(data)) != size {
		err = fmt.Errorf("the stream gave %d octets, the listing says %d", len(data), size)
	}
	return string(data), err
}
