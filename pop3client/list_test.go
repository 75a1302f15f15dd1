// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseRows(t *testing.T) {
	for _, test := range []struct {
		row  string
		list Row
		uid  string
	}{
		{"1 120", Row{1, 120, ""}, "120"},
		{"  2 \t  300   junk ", Row{2, 300, ""}, "300   junk"},
		{"3", Row{3, -1, ""}, ""},
		{"4 -5", Row{4, -1, ""}, "-5"},
		{"5 99999999999999999999", Row{5, -1, ""}, "99999999999999999999"},
		{"6 +7", Row{6, -1, ""}, "+7"},
		{"7 0", Row{7, 0, ""}, "0"},
		{"008 1", Row{8, 1, ""}, "1"},
		{"9 a b", Row{9, -1, ""}, "a b"},
		{"10 \xff\x00\x1b", Row{10, -1, ""}, "\xff\x00\x1b"},
		{"0 1", Row{0, 1, ""}, "1"},
		{"-1 1", Row{0, -1, ""}, ""},
		{"1234567890 1", Row{0, -1, ""}, ""},
		{"x 1", Row{0, -1, ""}, ""},
		{"", Row{0, -1, ""}, ""},
		{" ", Row{0, -1, ""}, ""},
	} {
		if got := parseListRow([]byte(test.row)); got != test.list {
			t.Errorf("LIST %q: %+v", test.row, got)
		}
		if got := parseUIDLRow([]byte(test.row)); got != (Row{test.list.Number, -1, test.uid}) {
			t.Errorf("UIDL %q: %+v", test.row, got)
		}
	}
}

// TestStat: numbers that are not understood are -1 and harm nothing.
func TestStat(t *testing.T) {
	for text, want := range map[string]string{
		"+OK 2 320": "2 320", "+OK 2 320 more": "2 320", "+OK  2   320": "2 320", "+OK": "-1 -1", "+OK 3": "3 -1",
		"+OK -1 -1": "-1 -1", "+OK two 5": "-1 5", "+OK 99999999999 1": "-1 1", "+OK 1 99999999999999999999": "1 -1",
		"+ok 0 0": "0 0",
	} {
		c := scripted(t, clear, "C: STAT\nS: "+text+"\nC: NOOP\nS: +OK")
		n, octets, err := c.Stat(t.Context())
		if got := fmt.Sprint(n, " ", octets); got != want || err != nil {
			t.Errorf("%q: %s, %v", text, got, err)
		}
		if err := c.Noop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestLongRow: a row of more than 8 KiB is passed over, not the mail behind it.
func TestLongRow(t *testing.T) {
	long := strings.Repeat("x", maxRow)
	c := scripted(t, clear, "C: UIDL\nS: +OK\nS: 1 a\nS: 2 "+long+"\nS: 3 c\nS: ..5\nS: .")
	var got []Row
	for row, err := range c.UIDL(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row)
	}
	if fmt.Sprint(got) != "[{1 -1 a} {0 -1 } {3 -1 c} {0 -1 }]" {
		t.Error(got)
	}
}

func TestTooManyRows(t *testing.T) {
	for rows, want := range map[int]error{3: nil, 4: ErrLimit} {
		opt := *clear
		opt.MaxRows = 3
		end := "\nS: ."
		if want != nil {
			end = "\nX: the client leaves"
		}
		c := scripted(t, &opt, "C: LIST\nS: +OK"+strings.Repeat("\nS: 1 1", rows)+end)
		n, last := 0, error(nil)
		for _, err := range c.List(t.Context()) {
			if last = err; err == nil {
				n++
			}
		}
		if n != 3 || !errors.Is(last, want) {
			t.Errorf("%d rows: %d, %v", rows, n, last)
		}
	}
}

// TestListingCut: the end of the connection never ends a listing.
func TestListingCut(t *testing.T) {
	for _, end := range []string{"", `s: .`, `s: 2 b`} {
		c := scripted(t, clear, "C: UIDL\nS: +OK\nS: 1 a\n"+end)
		var last error
		for _, err := range c.UIDL(t.Context()) {
			last = err
		}
		if last == nil || c.Err() == nil {
			t.Errorf("%q ended the listing", end)
		}
	}
}

// TestOtherNumber: a reply about another message is no answer.
func TestOtherNumber(t *testing.T) {
	c := scripted(t, clear, "C: UIDL 2\nS: +OK 1 a\nC: NOOP\nS: +OK")
	if _, err := c.UIDLOne(t.Context(), 2); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Error(err)
	}
}
