// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"restante.example/collect"
)

// mail-safety.md, Collecting 6.
func TestAllUIDsChanged(t *testing.T) {
	s := &server{mail: letters(1, 30)}
	s.mail = append(s.mail, letter{uid: "twin", text: text(5)})
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	for i := range s.mail {
		s.mail[i].uid = "new-" + s.mail[i].uid
	}
	s.mail = append(s.mail, letters(40, 41)...)
	// The same mail put in once more, while its own id is there: a message.
	s.mail = append(s.mail, letter{uid: "again", text: text(6)})
	r := run(t, a, &j)
	if r.Recognised != 31 || r.Filed != 3 || !r.Complete() {
		t.Errorf("%+v", r)
	}
	b.expect(t, append(upTo(30), 5, 6, 40, 41)...)
	if r := run(t, a, &j); r.Filed+r.Recognised != 0 {
		t.Errorf("third: %+v", r)
	}
}

// Servers whose ids are positions give each message that of the one before it
// when one in front has been deleted.
func TestIDsThatMove(t *testing.T) {
	for _, differ := range []bool{true, false} { // sizes
		s := &server{}
		for n := 10; n < 40; n++ {
			l := letter{text: text(n)}
			if differ {
				l.text += strings.Repeat("x", n) + "\r\n"
			}
			s.mail = append(s.mail, l)
		}
		number := func() {
			for i := range s.mail {
				s.mail[i].uid = fmt.Sprint(i + 1)
			}
		}
		number()
		var b box
		var j collect.Memory
		a := account(s, b.destination("box"))
		run(t, a, &j)
		// Two go at the front and one comes.
		s.mail = append(s.mail[2:], letter{text: text(77)})
		number()
		for i := range s.mail {
			if !differ {
				s.mail[i].uid = fmt.Sprint(i + 4) // the first three ids vanish, three are new
			}
		}
		r := run(t, a, &j)
		if r.Filed != 1 || !r.Complete() {
			t.Errorf("sizes differ %t: %+v", differ, r)
		}
		for text, n := range b.counts() {
			if n != 1 {
				t.Errorf("sizes differ %t: %d times %q", differ, n, text)
			}
		}
	}
}

func TestMigrationCutInTheMiddle(t *testing.T) {
	s := &server{mail: letters(1, 30)}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	for i := range s.mail {
		s.mail[i].uid = "new-" + s.mail[i].uid
	}
	s.answer = map[string]string{"RETR 15": "-ERR later\r\n"}
	if r := run(t, a, &j); r.Left != 1 {
		t.Errorf("%+v", r)
	}
	s.answer = nil
	run(t, a, &j)
	b.expect(t, upTo(30)...)
}

func TestUIDNamesAnotherMessage(t *testing.T) {
	for _, policy := range []collect.Keep{{}, {Delete: true}} {
		s := &server{mail: letters(1, 9), quit: "<cut>"}
		var b box
		var j collect.Memory
		a := account(s, b.destination("box"))
		a.Keep = policy
		run(t, a, &j)
		s.quit = ""
		// Of the same size, so that only the content tells. Without deletion
		// nobody looks; with it, nothing may be lost.
		s.mail[3].text = strings.ReplaceAll(text(4), "4", "7")
		for range 2 {
			run(t, a, &j)
		}
		if policy.Delete {
			b.expect(t, append(upTo(9), 7)...)
			if len(s.mail) != 0 {
				t.Errorf("left: %v", s.mail)
			}
		} else if len(s.mail) != 9 {
			t.Errorf("deleted without being asked to")
		}
	}
}

func TestDoubledUIDs(t *testing.T) {
	s := &server{mail: letters(1, 6)}
	for i := range s.mail {
		s.mail[i].uid = "same"
	}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	for range 3 {
		if r := run(t, a, &j); !r.Complete() {
			t.Errorf("%+v", r)
		}
	}
	b.expect(t, upTo(6)...)
	a.Keep.Delete = true
	run(t, a, &j)
	if len(s.mail) != 0 {
		run(t, a, &j)
	}
	b.expect(t, upTo(6)...)
}

func TestServerWithoutUIDL(t *testing.T) {
	for _, top := range []bool{true, false} {
		s := &server{mail: letters(1, 8), noUIDL: true, noTop: !top}
		s.mail = append(s.mail, letter{text: text(3)}) // a twin
		var b box
		var j collect.Memory
		a := account(s, b.destination("box"))
		for range 3 {
			if r := run(t, a, &j); !r.Complete() {
				t.Errorf("TOP %t: %+v", top, r)
			}
		}
		b.expect(t, append(upTo(8), 3)...)
		if top && s.commands("RETR") != 9 {
			t.Errorf("%d RETR although headers tell the messages apart", s.commands("RETR"))
		}
		s.quit = "<cut>"
		a.Keep.Delete = true
		run(t, a, &j)
		s.quit = ""
		run(t, a, &j)
		b.expect(t, append(upTo(8), 3)...)
		if len(s.mail) != 0 {
			t.Fatalf("left: %v", s.mail)
		}
		s.mail = letters(3, 3) // put back: a message
		run(t, a, &j)
		b.expect(t, append(upTo(8), 3, 3)...)
	}
}

// mail-safety.md, Collecting 7.
func TestEmptyOnceForgetsNothing(t *testing.T) {
	s := &server{mail: letters(1, 5)}
	var b box
	var j collect.Memory
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := account(s, b.destination("box"))
	a.Now = func() time.Time { return now }
	run(t, a, &j)
	mail := s.mail
	s.mail = nil
	run(t, a, &j)
	now = now.Add(29 * 24 * time.Hour)
	run(t, a, &j)
	s.mail = mail
	run(t, a, &j)
	b.expect(t, upTo(5)...)
	s.mail = nil
	run(t, a, &j)
	now = now.Add(30 * 24 * time.Hour)
	run(t, a, &j)
	if list, _ := j.Entries(t.Context()); len(list) != 0 {
		t.Errorf("%d entries after thirty days of absence", len(list))
	}
}

// A message that a destination or the server refuses for ever does not keep the
// journal from forgetting others.
func TestForgetsBesideARefusedMessage(t *testing.T) {
	for _, by := range []string{"destination", "server"} {
		for _, remove := range []bool{true, false} {
			if by == "server" && !remove {
				continue // it may be any of those that vanished
			}
			s := &server{mail: []letter{{uid: "poison", text: text(0)}}}
			b := box{fail: func(_ collect.Message, data string) error {
				if data == text(0) {
					return errors.New("no")
				}
				return nil
			}}
			if by == "server" {
				s.answer = map[string]string{"RETR 1": "-ERR [SYS/PERM] damaged\r\n"}
			}
			var j collect.Memory
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			a := account(s, b.destination("box"))
			a.Keep.Delete = remove
			a.Now = func() time.Time { return now }
			for day := range 100 {
				s.mail = append(s.mail[:1:1], letters(10*day+1, 10*day+2)...)
				run(t, a, &j)
				now = now.Add(24 * time.Hour)
			}
			list, _ := j.Entries(t.Context())
			if len(list) > 2*33+1 {
				t.Errorf("%s, delete %t: %d entries after a hundred days of two messages", by, remove, len(list))
			}
			if remove && len(s.mail) != 1 {
				t.Errorf("left: %v", s.mail)
			}
			for text, n := range b.counts() {
				if n != 1 {
					t.Errorf("%d times %q", n, text)
				}
			}
		}
	}
}

// What is shown again after its deletion is no new mail, however long a refused
// message has been there, and days on which it shows are no days of absence.
func TestDeletedIsRememberedBesideARefusedMessage(t *testing.T) {
	s := &server{mail: letters(1, 6), answer: map[string]string{"RETR 1": "-ERR no\r\n"}}
	all := s.mail
	var b box
	var j collect.Memory
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := account(s, b.destination("box"))
	a.Now = func() time.Time { return now }
	a.Keep.Delete = true
	for range 4 {
		run(t, a, &j)
		if len(s.mail) != 1 {
			t.Fatalf("left: %v", s.mail)
		}
		for range 2 {
			now = now.Add(14 * 24 * time.Hour)
			run(t, a, &j)
		}
		s.mail = all
	}
	b.expect(t, upTo(6)[1:]...)
}

// A row that could not be looked at may be what was deleted, with another size.
func TestDeletedMayBeTheRefusedMessage(t *testing.T) {
	s := &server{mail: letters(1, 3)}
	all := letters(1, 3)
	var b box
	var j collect.Memory
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := account(s, b.destination("box"))
	a.Now = func() time.Time { return now }
	a.Keep.Delete = true
	run(t, a, &j)
	run(t, a, &j) // they are absent
	for i := range all {
		all[i].size = 9999
	}
	s.mail = all
	s.answer = map[string]string{"RETR 1": "-ERR no\r\n", "RETR 2": "-ERR no\r\n", "RETR 3": "-ERR no\r\n"}
	for range 5 {
		now = now.Add(20 * 24 * time.Hour)
		run(t, a, &j)
	}
	s.answer = nil
	run(t, a, &j)
	b.expect(t, upTo(3)...)
}

// Nor is a message forgotten that vanished while one could not be looked at:
// that may be the one, under another id.
func TestVanishedMayBeTheRefusedMessage(t *testing.T) {
	s := &server{mail: letters(1, 5)}
	var b box
	var j collect.Memory
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := account(s, b.destination("box"))
	a.Now = func() time.Time { return now }
	run(t, a, &j)
	for i := range s.mail {
		s.mail[i].uid = "new-" + s.mail[i].uid
	}
	s.answer = map[string]string{"RETR 3": "-ERR later\r\n"}
	for range 5 {
		run(t, a, &j)
		now = now.Add(20 * 24 * time.Hour)
	}
	s.answer = nil
	run(t, a, &j)
	b.expect(t, upTo(5)...)
}

// The id of a message that somebody deleted is given to another one, whose own
// vanishes, and that shows only when they are compared for deletion: in the session
// after one in which a destination refused a message.
func TestIDMovesBesideARefusedMessage(t *testing.T) {
	s := &server{mail: letters(1, 3)}
	b := box{fail: func(_ collect.Message, data string) error {
		if data == text(1) {
			return errors.New("no")
		}
		return nil
	}}
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	s.mail = append(letters(1, 1), letter{uid: "uid-2", text: text(3)})
	a.Keep.Delete = true
	run(t, a, &j)
	b.expect(t, 2, 3)
	if len(s.mail) != 1 {
		t.Errorf("left: %v", s.mail)
	}
}

// The same, where mail is kept at first: then the message has been absent for a while
// when it turns out that the id names it.
func TestIDMovesWhileMailIsKept(t *testing.T) {
	for _, swap := range []bool{false, true} {
		s := &server{mail: letters(1, 3)}
		var b box
		var j collect.Memory
		a := account(s, b.destination("box"))
		run(t, a, &j)
		if swap {
			s.mail[1].text, s.mail[2].text = s.mail[2].text, s.mail[1].text
		} else {
			s.mail = []letter{s.mail[0], {uid: "uid-2", text: text(3)}}
		}
		run(t, a, &j)
		// So that the session that compares is the last of its run.
		s.caps = []string{"LOGIN-DELAY 900"}
		a.Keep.Delete = true
		for range 3 {
			run(t, a, &j)
		}
		b.expect(t, upTo(3)...)
		if len(s.mail) != 0 {
			t.Errorf("swapped %t, left: %v", swap, s.mail)
		}
		// What we have deleted is new when it is put back.
		s.mail = []letter{{uid: "uid-2", text: text(1)}}
		run(t, a, &j)
		run(t, a, &j)
		b.expect(t, 1, 1, 2, 3)
	}
}

func TestFlagsInTheHeaderMakeNoNewMessage(t *testing.T) {
	s := &server{mail: letters(1, 5)}
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	run(t, a, &j)
	for i := range s.mail { // as servers over mbox files do after RETR
		s.mail[i].text = "Status: RO\r\n" + s.mail[i].text
	}
	if r := run(t, a, &j); r.Recognised != 5 || r.Filed != 0 {
		t.Errorf("%+v", r)
	}
	b.expect(t, upTo(5)...)
}
