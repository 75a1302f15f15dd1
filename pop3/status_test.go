// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3_test

import (
	"errors"
	"strings"
	"testing"

	"restante.example/pop3"
)

func TestParseStatus(t *testing.T) {
	for line, want := range map[string]pop3.Status{
		"+OK":                           {OK: true},
		"+ok ready":                     {OK: true, Text: "ready"},
		"+OK  2 320":                    {OK: true, Text: "2 320"},
		"-ERR":                          {},
		"-ERR [IN-USE] locked":          {Code: pop3.CodeInUse, Text: "locked"},
		"-err [sys/temp]busy":           {Code: pop3.CodeSysTemp, Text: "busy"},
		"-ERR [SYS/TEMP/DISK] full":     {Code: "SYS/TEMP/DISK", Text: "full"},
		"-ERR [no such user]":           {Text: "[no such user]"},
		"-ERR [] x":                     {Text: "[] x"},
		"-ERR [AUTH":                    {Text: "[AUTH"},
		"-ERR [/x] y":                   {Text: "[/x] y"},
		"-ERR [SYS/] y":                 {Text: "[SYS/] y"},
		"-ERR no [AUTH] here":           {Text: "no [AUTH] here"},
		"+OK [LOGIN-DELAY] as of today": {OK: true, Code: pop3.CodeLoginDelay, Text: "as of today"},
	} {
		got, err := pop3.ParseStatus(line)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{"", "+", "+OKAY", "OK", " +OK", "-ERRx", "-ERR\tx", "* OK", "220 ready", "+ "} {
		if got, err := pop3.ParseStatus(line); !errors.Is(err, pop3.ErrStatus) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
}

func TestStatusErr(t *testing.T) {
	ok, err := pop3.ParseStatus("+OK fine")
	if err != nil || ok.Err("STAT") != nil {
		t.Errorf("+OK is %v, %v", ok.Err("STAT"), err)
	}
	s, err := pop3.ParseStatus("-ERR [SYS/TEMP/DISK] full \x1b[31mred\u202e")
	if err != nil {
		t.Fatal(err)
	}
	refusal := s.Err("RETR")
	if got := refusal.Error(); got != "pop3: RETR refused: [SYS/TEMP/DISK] full ?[31mred?" {
		t.Errorf("got %q", got)
	}
	e, is := errors.AsType[*pop3.Error](refusal)
	if !is || !errors.Is(refusal, pop3.CodeSysTemp) || errors.Is(refusal, pop3.CodeAuth) || !e.Temporary() {
		t.Errorf("%v is not what it is", refusal)
	}
	if got := (&pop3.Error{}).Error(); got != "pop3: no reason given" {
		t.Errorf("the empty refusal is %q", got)
	}
	if errors.Is(&pop3.Error{}, pop3.Code("")) {
		t.Error("no code is a code")
	}
}

func TestTemporary(t *testing.T) {
	for code, want := range map[pop3.Code]bool{
		pop3.CodeSysTemp: true, pop3.CodeInUse: true, pop3.CodeLoginDelay: true, "SYS/TEMP/DISK": true,
		pop3.CodeSysPerm: false, pop3.CodeAuth: false, pop3.CodeUTF8: false, "": false, "X-OTHER": false,
	} {
		if got := code.Temporary(); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ñ 漢": "plain ñ 漢", "a\r\nb\x00\x7f": "a??b??", "\u0085\u009b": "??", "\xff": "?", "\u2067x": "?x",
	} {
		if got := pop3.Printable(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestState(t *testing.T) {
	for state, want := range map[pop3.State]string{
		pop3.Authorization: "AUTHORIZATION", pop3.Transaction: "TRANSACTION", pop3.Update: "UPDATE", 9: "unknown state",
	} {
		if state.String() != want {
			t.Errorf("%d is %s", state, state)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, seed := range []string{"", "+OK", "-ERR [IN-USE] x", "-ERR [a[b] c", "+OK [", "+ok\x00", "-ERR []", "+OK  [A]  "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := pop3.ParseStatus(line)
		if err != nil {
			if s != (pop3.Status{}) {
				t.Fatalf("an error and %+v", s)
			}
			return
		}
		if strings.HasPrefix(s.Text, " ") || string(s.Code) != strings.ToUpper(string(s.Code)) || strings.ContainsAny(string(s.Code), " []") {
			t.Fatalf("%q: %+v", line, s)
		}
		if refusal := s.Err("X"); (refusal == nil) != s.OK {
			t.Fatalf("%q: %v", line, refusal)
		} else if refusal != nil && strings.ContainsAny(refusal.Error(), "\x00\r\n\x1b\x7f") {
			t.Fatalf("%q: control characters in %q", line, refusal)
		}
		word := "-ERR "
		if s.OK {
			word = "+OK "
		}
		if s.Code != "" {
			word += s.Code.Error() + " "
		}
		if again, err := pop3.ParseStatus(word + s.Text); s.Code != "" && (err != nil || again != s) {
			t.Fatalf("%q does not come back: %+v, %v", line, again, err)
		}
	})
}
