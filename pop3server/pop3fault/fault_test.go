// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// converse sends all lines at once and returns all that the server says until
// it closes the connection, or until most octets have come.
func converse(t *testing.T, s *Server, most int64, lines ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if _, err := io.Copy(&said, io.LimitReader(conn, most)); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("after %d octets: %v", said.Len(), err)
	}
	return said.String()
}

func start(t *testing.T, opt *Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// signedIn is what comes in front of each conversation.
func signedIn(lines ...string) []string {
	return append([]string{"USER u1", "PASS secret"}, lines...)
}

const welcome = "+OK ready\r\n+OK \r\n+OK welcome\r\n"

func TestWithoutFaults(t *testing.T) {
	s := start(t, &Options{Messages: []Message{Text("a", "Subject: x\r\n\r\n.\r\n..\r\nend\r\n"), Text("b", "y\r\n")}})
	got := converse(t, s, 1<<20, signedIn("STAT", "LIST", "UIDL", "LIST 2", "UIDL 2", "LIST 3", "RETR 1", "TOP 1 1", "TOP 1 0",
		"DELE 2", "STAT", "LIST 2", "RSET", "DELE 1", "NOOP", "XYZZY", "QUIT")...)
	want := welcome + "+OK 2 29\r\n+OK listing\r\n1 26\r\n2 3\r\n.\r\n+OK listing\r\n1 a\r\n2 b\r\n.\r\n" +
		"+OK 2 3\r\n+OK 2 b\r\n-ERR no such message\r\n" +
		"+OK message follows\r\nSubject: x\r\n\r\n..\r\n...\r\nend\r\n.\r\n" +
		"+OK top follows\r\nSubject: x\r\n\r\n..\r\n.\r\n+OK top follows\r\nSubject: x\r\n\r\n.\r\n" +
		"+OK marked\r\n+OK 1 26\r\n-ERR no such message\r\n+OK \r\n+OK marked\r\n+OK \r\n-ERR unknown command\r\n+OK bye\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if r := s.Records(); r[0] != (Record{UID: "a", Retrieved: 1, Deleted: true}) || r[1] != (Record{UID: "b"}) {
		t.Error(r)
	}
	if got := converse(t, s, 1<<20, signedIn("STAT", "QUIT")...); got != welcome+"+OK 1 3\r\n+OK bye\r\n" {
		t.Errorf("in the second session %q", got)
	}
	if got := converse(t, s, 1<<20, "USER u1", "PASS wrong", "AUTH PLAIN", "AHUxAHNlY3JldA==", "QUIT"); got !=
		"+OK ready\r\n+OK \r\n-ERR [AUTH] wrong name or password\r\n+ \r\n+OK welcome\r\n+OK bye\r\n" {
		t.Errorf("AUTH: %q", got)
	}
	if s.Sessions() != 3 || s.SignIns() != 4 || s.Commands() != 28 {
		t.Error(s.Sessions(), s.SignIns(), s.Commands())
	}
}

// TestGenerated: a message is as long as announced and the same each time.
func TestGenerated(t *testing.T) {
	for _, size := range []int64{0, 200, 1000, 100_000} {
		m := Generated(7, size)
		text, err := io.ReadAll(m.Open())
		if err != nil || int64(len(text)) != m.Size || m.Size != max(size, 200) || !bytes.HasSuffix(text, []byte("\r\nend\r\n")) {
			t.Errorf("%d octets: %d, %d, %v", size, len(text), m.Size, err)
		}
		if m.Sum() != Generated(7, size).Sum() || m.Sum() == Generated(8, size).Sum() {
			t.Errorf("sums")
		}
	}
}

// stuffed is a message as it travels, without its dot.
func stuffed(t *testing.T, m Message) string {
	t.Helper()
	text, err := io.ReadAll(m.Open())
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("\r\n."), []byte("\r\n.."))
	return string(text)
}

// TestFaults shows each fault to a raw client.
func TestFaults(t *testing.T) {
	three := Numbered(3, 300)
	whole := "+OK message follows\r\n" + stuffed(t, three[0]) + ".\r\n"
	second := "+OK message follows\r\n" + stuffed(t, three[1])
	for _, test := range []struct {
		fault Fault
		say   []string
		want  string // behind the welcome
	}{
		{CutInMessage(2), signedIn("RETR 1", "RETR 2", "QUIT"), whole + half(t, three[1])},
		{NoFinalDot(2), signedIn("RETR 1", "RETR 2", "QUIT"), whole + second},
		{RefuseMessage(2), signedIn("RETR 2", "RETR 1", "QUIT"), "-ERR this message cannot be retrieved\r\n" + whole + "+OK bye\r\n"},
		{EmptyMessage(2), signedIn("LIST 2", "RETR 2", "QUIT"), "+OK 2 300\r\n+OK message follows\r\n.\r\n+OK bye\r\n"},
		{GoneMessage(2), signedIn("UIDL 2", "RETR 2", "RETR 2", "QUIT"),
			"+OK 2 uid-2\r\n-ERR no such message\r\n-ERR no such message\r\n+OK bye\r\n"},
		{WrongSizes(), signedIn("LIST", "QUIT"), rows("101", "101", "101")},
		{AbsurdSizes(), signedIn("LIST", "QUIT"), rows("many", "0x10", "1e9")},
		{NegativeSizes(), signedIn("LIST", "QUIT"), rows("-300", "-300", "-300")},
		{MissingRows(), signedIn("LIST", "QUIT"), "+OK listing\r\n1 300\r\n3 300\r\n.\r\n+OK bye\r\n"},
		{ShuffledRows(), signedIn("UIDL", "QUIT"), "+OK listing\r\n3 uid-3\r\n2 uid-2\r\n1 uid-1\r\n3 uid-3\r\n.\r\n+OK bye\r\n"},
		{NoUIDL(), signedIn("UIDL", "QUIT"), "-ERR unknown command\r\n+OK bye\r\n"},
		{NoTOP(), signedIn("TOP 1 1", "QUIT"), "-ERR unknown command\r\n+OK bye\r\n"},
		{DoubledUIDs(), signedIn("UIDL", "QUIT"), rows("twin-1", "twin-1", "twin-2")},
		{UIDsWithBlanks(), signedIn("UIDL", "QUIT"), rows("  a b\tuid-1  c ", "  a b\tuid-2  c ", "  a b\tuid-3  c ")},
		{LongUIDs(), signedIn("UIDL 1", "QUIT"), "+OK 1 " + strings.Repeat("x", 195) + "uid-1\r\n+OK bye\r\n"},
		{EightBitUIDs(), signedIn("UIDL 1", "QUIT"), "+OK 1 \xe9\xff\x80uid-1\r\n+OK bye\r\n"},
		{ChangedUIDs(), signedIn("UIDL 1", "QUIT"), "+OK 1 1-uid-1\r\n+OK bye\r\n"},
		{NoCAPA(), signedIn("CAPA", "QUIT"), "-ERR unknown command\r\n+OK bye\r\n"},
		{LyingCAPA(), signedIn("CAPA", "TOP 1 1", "UIDL", "QUIT"),
			"+OK capabilities\r\nUSER\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nSASL SCRAM-SHA-256 PLAIN\r\nUIDL\r\nTOP\r\n.\r\n" +
				"-ERR unknown command\r\n-ERR unknown command\r\n+OK bye\r\n"},
		{LFDotLF(2), signedIn("RETR 2", "QUIT"),
			"+OK message follows\r\nSubject: letter 2\r\n\r\nbefore\n.\nafter\n.\r\nand\r.\nthe end\r\n.\r\n+OK bye\r\n"},
		{QUITReplyLost(), signedIn("DELE 1", "QUIT"), "+OK marked\r\n"},
		{QUITDropped(), signedIn("DELE 1", "QUIT"), "+OK marked\r\n"},
		{QUITRefused(), signedIn("DELE 1", "QUIT"), "+OK marked\r\n-ERR [SYS/TEMP] some messages were not removed\r\n"},
		{IgnoredDELE(), signedIn("DELE 1", "QUIT"), "+OK marked\r\n+OK bye\r\n"},
		{HideRetrieved(), signedIn("RETR 1", "QUIT"), whole + "+OK bye\r\n"},
	} {
		t.Run(test.fault.Name, func(t *testing.T) {
			s := start(t, &Options{Faults: []Fault{test.fault}, Messages: three})
			got, ok := strings.CutPrefix(converse(t, s, 1<<20, test.say...), welcome)
			if !ok || got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// half is the first half of a message, stuffed, behind its status line.
func half(t *testing.T, m Message) string {
	t.Helper()
	text, err := io.ReadAll(io.LimitReader(m.Open(), m.Size/2))
	if err != nil {
		t.Fatal(err)
	}
	return "+OK message follows\r\n" + string(bytes.ReplaceAll(text, []byte("\r\n."), []byte("\r\n..")))
}

func rows(values ...string) string {
	var b strings.Builder
	b.WriteString("+OK listing\r\n")
	for i, v := range values {
		fmt.Fprintf(&b, "%d %s\r\n", i+1, v)
	}
	return b.String() + ".\r\n+OK bye\r\n"
}

// TestWhatStays shows what the faults around QUIT leave in the maildrop.
func TestWhatStays(t *testing.T) {
	for _, test := range []struct {
		fault Fault
		want  Record
		left  string
	}{
		{QUITReplyLost(), Record{UID: "uid-1", Retrieved: 1, Deleted: true}, "2"},
		{QUITDropped(), Record{UID: "uid-1", Retrieved: 1}, "3"},
		{QUITRefused(), Record{UID: "uid-1", Retrieved: 1}, "3"},
		{IgnoredDELE(), Record{UID: "uid-1", Retrieved: 1}, "3"},
		{HideRetrieved(), Record{UID: "uid-1", Retrieved: 1, Deleted: true, Hidden: true}, "2"},
	} {
		t.Run(test.fault.Name, func(t *testing.T) {
			s := start(t, &Options{Faults: []Fault{test.fault}, Messages: Numbered(3, 300)})
			converse(t, s, 1<<20, signedIn("RETR 1", "DELE 1", "QUIT")...)
			if got := s.Records()[0]; got != test.want {
				t.Errorf("%+v", got)
			}
			if got := converse(t, s, 1<<20, signedIn("STAT", "QUIT")...); !strings.HasPrefix(got, welcome+"+OK "+test.left+" ") {
				t.Errorf("next session: %q", got)
			}
		})
	}
}

func TestMuch(t *testing.T) {
	for _, test := range []struct {
		fault Fault
		say   []string
		most  int64
		check func(said string) bool
	}{
		{HugeGreeting(), []string{"QUIT"}, 4 << 20, func(s string) bool {
			return strings.IndexByte(s, '\n') > 1<<20-10 && strings.HasSuffix(s, "\r\n+OK bye\r\n")
		}},
		{ManyMessages(20_000), signedIn("STAT", "UIDL", "QUIT"), 4 << 20, func(s string) bool {
			return strings.Contains(s, "+OK 20000 6000000\r\n") && strings.Contains(s, "\r\n20000 uid-20000\r\n.\r\n")
		}},
		{EndlessUIDL(), signedIn("UIDL"), 3 << 20, func(s string) bool { return strings.Contains(s, "\r\n200000 200000\r\n") }},
		{EndlessLIST(), signedIn("LIST"), 3 << 20, func(s string) bool { return strings.Contains(s, "\r\n200000 200000\r\n") }},
		{EndlessMessage(2), signedIn("RETR 2"), 3 << 20, func(s string) bool { return len(s) == 3<<20 && !strings.Contains(s, "\r\n.\r\n") }},
		{HugeLine(2), signedIn("RETR 2", "QUIT"), 200 << 20, func(s string) bool {
			head, tail := strings.Index(s, "\r\n\r\n")+4, strings.LastIndex(s, "\r\n-- \r\nend\r\n.\r\n+OK bye")
			return tail-head > 100<<20-200 && strings.IndexByte(s[head:tail], '\n') < 0
		}},
	} {
		t.Run(test.fault.Name, func(t *testing.T) {
			s := start(t, &Options{Faults: []Fault{test.fault}})
			if said := converse(t, s, test.most, test.say...); !test.check(said) {
				t.Errorf("%d octets: %.300q", len(said), said)
			}
		})
	}
	m := HugeMessage(1)
	s := start(t, &Options{Faults: []Fault{m}})
	if got := converse(t, s, 1<<20, signedIn("LIST 1", "QUIT")...); !strings.Contains(got, "+OK 1 1073741824\r\n") {
		t.Errorf("%q", got)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, &Options{Faults: []Fault{RefuseSignIn(2, "IN-USE"), RefuseSignIn(1, "SYS/TEMP")}})
	for _, want := range []string{"-ERR [IN-USE] ", "-ERR [IN-USE] ", "-ERR [SYS/TEMP] ", "+OK welcome"} {
		if got := converse(t, s, 1<<20, signedIn("QUIT")...); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestSessions: a restricted fault passes, and mail may come in between.
func TestSessions(t *testing.T) {
	s := start(t, &Options{Faults: []Fault{NoFinalDot(1).Sessions(1), MovedUIDs()}, Messages: Numbered(1, 300)})
	first := "+OK message follows\r\n" + stuffed(t, s.Messages()[0])
	if got := converse(t, s, 1<<20, signedIn("UIDL 1", "RETR 1", "QUIT")...); got != welcome+"+OK 1 moved-1\r\n"+first {
		t.Errorf("%q", got)
	}
	s.Deliver(Text("new", "new\r\n"))
	got := converse(t, s, 1<<20, signedIn("UIDL 1", "RETR 1", "RETR 2", "QUIT")...)
	if got != welcome+"+OK 1 moved-2\r\n"+first+".\r\n+OK message follows\r\nnew\r\n.\r\n+OK bye\r\n" {
		t.Errorf("%q", got)
	}
	if r := s.Records(); len(r) != 2 || r[0].Retrieved != 1 || r[1].Retrieved != 1 {
		t.Error(r)
	}
}

func TestEscapes(t *testing.T) {
	s := start(t, &Options{Faults: []Fault{TerminalEscapes()}})
	got := converse(t, s, 1<<20, signedIn("CAPA", "UIDL", "RETR 1", "RETR 9", "QUIT")...)
	for line := range strings.SplitSeq(got, "\r\n") {
		if strings.HasPrefix(line, "+OK") || strings.HasPrefix(line, "-ERR") || strings.Contains(line, "uid-") {
			if !strings.Contains(line, "\x1b") {
				t.Errorf("tame line %q", line)
			}
		}
	}
	if !strings.Contains(got, "X-Escapes: \x1b") {
		t.Error("tame header")
	}
}

func TestNoSuchMessageToSpoil(t *testing.T) {
	if _, err := New(t.Context(), &Options{Faults: []Fault{HugeLine(6)}}); err == nil {
		t.Error("message 6 of 5")
	}
}

func TestAllIsAll(t *testing.T) {
	names := map[string]bool{}
	for _, f := range All() {
		if names[f.Name] {
			t.Errorf("%s twice", f.Name)
		}
		names[f.Name] = true
		if _, err := New(t.Context(), &Options{Faults: []Fault{f}}); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	source, err := os.ReadFile("fault.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(source), "\n") {
		name, ok := strings.CutPrefix(line, "func ")
		if name, _, _ = strings.Cut(name, "("); !ok || name == "" || !strings.Contains(line, ") Fault {") || name == strings.ToLower(name[:1])+name[1:] {
			continue
		}
		found := false
		for n := range names {
			found = found || strings.HasPrefix(n+"(", name+"(")
		}
		if !found {
			t.Errorf("All lacks %s", name)
		}
	}
}
