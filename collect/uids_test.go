// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
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
