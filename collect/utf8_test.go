// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"errors"
	"testing"

	"restante.example/collect"
	"restante.example/pop3"
)

// Where a server announces UTF8 it is said before sign-in, so that what was sent
// with SMTPUTF8 is collected like all other mail. RFC 6856 section 2.1.
func TestUTF8IsSaid(t *testing.T) {
	s := &server{mail: letters(1, 5), caps: []string{"UTF8"}}
	s.mail[1].utf8, s.mail[4].utf8 = true, true
	var b box
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	if r := run(t, a, new(collect.Memory)); r.Filed != 5 || r.Deleted != 5 || !r.Complete() {
		t.Errorf("%+v", r)
	}
	b.expect(t, upTo(5)...)
	if len(s.mail) != 0 || s.commands("UTF8") != 1 {
		t.Errorf("%d messages left; %q", len(s.mail), s.log)
	}
}

// A message that needs UTF8 where there is none stays and is reported, and the
// others come; it is collected once the server can send it.
func TestRefusedForWantOfUTF8(t *testing.T) {
	s := &server{mail: letters(1, 5)}
	s.mail[1].utf8 = true
	var b box
	var j collect.Memory
	a := account(s, b.destination("box"))
	a.Keep.Delete = true
	for range 2 {
		r := run(t, a, &j)
		if r.Left != 1 || len(r.Problems) != 1 || !errors.Is(r.Problems[0].Err, pop3.CodeUTF8) || r.Problems[0].UID != "uid-2" {
			t.Errorf("%+v", r)
		}
	}
	if len(s.mail) != 1 || s.mail[0].uid != "uid-2" || s.commands("UTF8") != 0 {
		t.Errorf("left on the server: %+v; %q", s.mail, s.log)
	}
	s.caps = []string{"UTF8"}
	if r := run(t, a, &j); r.Filed != 1 || r.Deleted != 1 || !r.Complete() {
		t.Errorf("at last: %+v", r)
	}
	b.expect(t, upTo(5)...)
}
