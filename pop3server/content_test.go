// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

// nasty are messages that have broken somebody's server or client.
var nasty = []string{
	"", "\n", ".", ".\n", "..\n.\n", "no final newline", "a\r\n.\r\nb", "a\n.\nb\n", "lone\rcr\r", "a\r\r\nb\r\n",
	".first\n\n.body\n", "nul \x00 and 8-bit \xff\xfe\n", strings.Repeat("x", 1<<20), strings.Repeat(".\n", 40_000),
	"H: 1\n\n" + strings.Repeat("line\n", 50_000), strings.Repeat("\r", 5_000) + "\n",
}

var bareLF = regexp.MustCompile(`(^|[^\r])\n`)

// wireForm is the definition of what POP3 sends, before dot-stuffing.
func wireForm(s string) string {
	for bareLF.MatchString(s) {
		s = bareLF.ReplaceAllString(s, "$1\r\n")
	}
	if s != "" && !strings.HasSuffix(s, "\r\n") {
		s += "\r\n"
	}
	return s
}

// LIST and STAT announce exactly what RETR sends, and octets travel as they are.
func TestSizesAgree(t *testing.T) {
	c := dial(t, serve(t, options(office(t, nasty...))), "").signIn()
	var sum int
	for i, letter := range nasty {
		want := wireForm(letter)
		sum += len(want)
		n := i + 1
		c.ask(fmt.Sprint("LIST ", n), fmt.Sprintf("+OK %d %d", n, len(want)))
		c.ask(fmt.Sprint("RETR ", n), fmt.Sprintf("+OK %d octets", len(want)))
		if got := c.text(); got != want {
			t.Errorf("RETR %d: got %.60q of %d octets, want %.60q of %d", n, got, len(got), want, len(want))
		}
		c.ask(fmt.Sprintf("TOP %d 99999999", n), "+OK")
		if got := c.text(); got != want {
			t.Errorf("TOP %d, whole: got %.60q, want %.60q", n, got, want)
		}
	}
	c.ask("STAT", fmt.Sprintf("+OK %d %d", len(nasty), sum))
}

// huge is a snapshot whose sizes need 64 bits.
type huge struct{ maildrop.Snapshot }

func (huge) Len() int               { return 3 }
func (huge) Octets() int64          { return 3 * 3 << 31 }
func (huge) Info(int) maildrop.Info { return maildrop.Info{UID: "u", Size: 3 << 31} }

func TestStatSumsAre64Bit(t *testing.T) {
	o := office(t)
	opt := options(o)
	opt.Store = storeOf(o, func(s maildrop.Snapshot) maildrop.Snapshot { return huge{s} })
	c := dial(t, serve(t, opt), "").signIn()
	c.ask("STAT", "+OK 3 19327352832")
	c.ask("DELE 3", "+OK")
	c.ask("STAT", "+OK 2 12884901888")
	c.ask("LIST 1", "+OK 1 6442450944")
}

// writes notes each write to a connection.
type writes struct {
	net.Conn
	pieces chan string
}

func (w writes) Write(p []byte) (int, error) {
	w.pieces <- string(p)
	return w.Conn.Write(p)
}

// The terminating CRLF.CRLF is in one write with the end of the last line, and
// a short answer is one write.
func TestOneWritePerAnswer(t *testing.T) {
	s := serve(t, options(office(t, "a\n\n"+strings.Repeat("x", 40_000), "b\n\nshort\n")))
	mine, theirs := net.Pipe()
	pieces := make(chan string, 1000)
	go s.ServeConn(t.Context(), writes{theirs, pieces}, false)
	c := newClient(t, mine).signIn()
	for len(pieces) > 0 {
		<-pieces
	}
	c.ask("RETR 2", "+OK")
	c.text()
	if got := <-pieces; got != "+OK 12 octets\r\nb\r\n\r\nshort\r\n.\r\n" || len(pieces) > 0 {
		t.Errorf("a short message went out as %q and %d writes more", got, len(pieces))
	}
	c.ask("RETR 1", "+OK")
	c.text()
	last := ""
	for len(pieces) > 0 {
		last = <-pieces
	}
	if !strings.HasSuffix(last, "x\r\n.\r\n") {
		t.Errorf("the last write is %.80q", last)
	}
}

// A message that proves damaged before an octet of it was sent is refused; it
// cannot be deleted, and the session goes on.
func TestDamagedMessageIsRefused(t *testing.T) {
	o := office(t, "a\n\none\n", "b\n\ntwo\n")
	uid := o.Messages("ana")[0].UID
	o.Damage("ana", uid, true)
	var log lockedBuffer
	opt := options(o)
	opt.Logger = log.logger()
	c := dial(t, serve(t, opt), "").signIn()
	c.ask("RETR 1", "-ERR [SYS/PERM]")
	c.ask("DELE 1", "-ERR [SYS/PERM]")
	c.ask("TOP 1 9", "-ERR [SYS/PERM]")
	c.ask("RETR 2", "+OK")
	c.text()
	c.ask("QUIT", "+OK")
	c.ended()
	if len(o.Messages("ana")) != 2 {
		t.Error("something was deleted")
	}
	if !strings.Contains(log.String(), "uid="+uid) {
		t.Errorf("the log does not name the message: %s", &log)
	}
}

// A message that proves damaged after octets of it were sent is not ended with
// the dot: closing the connection is the only way to tell.
func TestDamagedMessageIsNeverEnded(t *testing.T) {
	for _, cut := range []bool{false, true} {
		o := office(t, "a\n\n"+strings.Repeat("0123456789\n", 100_000))
		o.Damage("ana", o.Messages("ana")[0].UID, cut)
		c := dial(t, serve(t, options(o)), "").signIn()
		c.ask("DELE 1", "+OK")
		c.ask("RSET", "+OK")
		c.raw("RETR 1\r\nDELE 1\r\nQUIT\r\n")
		c.want("+OK")
		if got := c.rest(); strings.Contains(got, "\r\n.\r\n") || strings.Contains(got, "-ERR") || len(got) < 32_000 {
			t.Errorf("cut %v: %d octets came, ending in %q", cut, len(got), got[max(0, len(got)-20):])
		}
		if len(o.Messages("ana")) != 1 {
			t.Error("a damaged message was deleted")
		}
	}
}

// A read that fails is [SYS/TEMP], and the message cannot be deleted either.
func TestReadFailure(t *testing.T) {
	var failing atomic.Bool
	o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
		if failing.Load() && (op == pop3mem.OpRead || op == pop3mem.OpMessage) {
			return errors.New("input/output error")
		}
		return nil
	}})
	o.AddUser("ana", "secret")
	put(t, o, "ana", "a\n\none\n")
	c := dial(t, serve(t, options(o)), "").signIn()
	failing.Store(true)
	c.ask("RETR 1", "-ERR [SYS/TEMP]")
	failing.Store(false)
	c.ask("DELE 1", "-ERR [SYS/PERM]")
	c.ask("RETR 1", "+OK")
}

// short is a store whose streams end well before their announced size: a bug
// of the store, which must not become a torn message.
type short struct{ maildrop.Snapshot }

func (s short) Info(n int) maildrop.Info {
	i := s.Snapshot.Info(n)
	i.Size++
	return i
}

func TestStreamThatEndsEarlyIsDamage(t *testing.T) {
	o := office(t, "a\n\none\n")
	opt := options(o)
	opt.Store = storeOf(o, func(s maildrop.Snapshot) maildrop.Snapshot { return short{s} })
	c := dial(t, serve(t, opt), "").signIn()
	c.ask("RETR 1", "-ERR [SYS/PERM]")
	c.ask("TOP 1 100", "-ERR [SYS/PERM]")
	c.ask("TOP 1 0", "+OK")
}

// counting counts the octets that are read of messages.
type counting struct {
	maildrop.Snapshot
	octets *atomic.Int64
}

type countingStream struct {
	io.ReadCloser
	octets *atomic.Int64
}

func (s counting) Message(ctx context.Context, n int) (io.ReadCloser, error) {
	r, err := s.Snapshot.Message(ctx, n)
	return countingStream{r, s.octets}, err
}

func (s countingStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.octets.Add(int64(n))
	return n, err
}

func TestTopDoesNotReadTheBody(t *testing.T) {
	o := office(t, "a: b\n\n"+strings.Repeat("line\n", 1_000_000))
	var octets atomic.Int64
	opt := options(o)
	opt.Store = storeOf(o, func(s maildrop.Snapshot) maildrop.Snapshot { return counting{s, &octets} })
	c := dial(t, serve(t, opt), "").signIn()
	c.ask("TOP 1 0", "+OK")
	if got := c.text(); got != "a: b\r\n\r\n" {
		t.Errorf("got %.60q", got)
	}
	if n := octets.Load(); n > 8192 {
		t.Errorf("%d octets were read", n)
	}
}

// The same mail twice has two UIDs, and a UID does not come back.
func TestUIDsAreNotUsedTwice(t *testing.T) {
	o := office(t, "same\n\n", "same\n\n")
	s := serve(t, options(o))
	c := dial(t, s, "").signIn()
	seen := map[string]bool{}
	for _, row := range c.multi("UIDL") {
		_, uid, _ := strings.Cut(row, " ")
		seen[uid] = true
	}
	c.ask("DELE 1", "+OK")
	c.ask("DELE 2", "+OK")
	c.ask("QUIT", "+OK")
	c.ended()
	put(t, o, "ana", "same\n\n")
	c = dial(t, s, "").signIn()
	_, uid, _ := strings.Cut(c.multi("UIDL")[0], " ")
	if len(seen) != 2 || seen[uid] {
		t.Errorf("UIDs %v, then %s", seen, uid)
	}
}

// QUIT answers +OK only when everything was removed.
func TestQuitTellsWhatStayed(t *testing.T) {
	o := office(t, "a\n\n1\n", "b\n\n2\n", "c\n\n3\n")
	var end pop3server.Summary
	opt := options(o)
	opt.OnEnd = func(s pop3server.Summary) { end = s }
	s := serve(t, opt)
	c := dial(t, s, "").signIn()
	for n := range 3 {
		c.ask(fmt.Sprint("DELE ", n+1), "+OK")
	}
	o.Damage("ana", o.Messages("ana")[1].UID, false)
	c.ask("QUIT", "-ERR [SYS/TEMP] 1 of 3 ")
	c.ended()
	s.Close()
	if n := len(o.Messages("ana")); n != 1 || end.Deleted != 2 || end.Left != 1 || end.End != pop3server.EndQuitFailed {
		t.Errorf("%d messages stayed, %+v", n, end)
	}
}

// A QUIT that was received whole counts even if its reply cannot be written.
func TestQuitCountsWithoutItsReply(t *testing.T) {
	o := office(t, "a\n\n1\n")
	s := serve(t, options(o))
	c := dial(t, s, "").signIn()
	c.raw("DELE 1\r\nQUIT\r\n")
	// The two answers come in one write, so that the QUIT is done by now.
	if _, err := c.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	c.close()
	s.Close()
	if n := len(o.Messages("ana")); n != 0 {
		t.Errorf("%d messages stayed", n)
	}
}

func TestDroppedConnectionDeletesNothing(t *testing.T) {
	o := office(t, "a\n\n1\n")
	s := serve(t, options(o))
	c := dial(t, s, "").signIn()
	c.ask("DELE 1", "+OK")
	c.raw("QUI")
	c.close()
	s.Close()
	if n := len(o.Messages("ana")); n != 1 {
		t.Error("a message was deleted without QUIT")
	}
}

// A listing of 10,000 rows costs no allocation per row.
func TestListingDoesNotAllocatePerRow(t *testing.T) {
	o := office(t)
	opt := options(o)
	opt.Store = storeOf(o, func(s maildrop.Snapshot) maildrop.Snapshot { return rows{s, 10_000} })
	c := dial(t, serve(t, opt), "").signIn()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, command := range []string{"LIST", "UIDL"} {
		c.send(command)
		for n := 0; ; n++ {
			line, err := c.r.ReadSlice('\n')
			if err != nil {
				t.Fatal(err)
			}
			if string(line) == ".\r\n" {
				if n != 10_001 {
					t.Errorf("%s: %d lines", command, n)
				}
				break
			}
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 2_000 {
		t.Errorf("%d allocations for 20,000 rows", n)
	}
}

// A refusal in the middle of pipelined answers takes back its own message only.
func TestDamageAmongPipelinedAnswers(t *testing.T) {
	for _, size := range []int{10, 3_000, 9_000, 20_000} {
		body := strings.Repeat("x", size) + "\r\n"
		o := office(t, body, body, body, body)
		o.Damage("ana", o.Messages("ana")[2].UID, false)
		c := dial(t, serve(t, options(o)), "").signIn()
		c.raw("RETR 1\r\nRETR 2\r\nRETR 3\r\nRETR 4\r\nNOOP\r\n")
		for n, want := range []string{"+OK", "+OK", "-ERR [SYS/PERM]", "+OK"} {
			c.want(want)
			if want == "+OK" && c.text() != body {
				t.Errorf("size %d: message %d differs", size, n+1)
			}
		}
		c.want("+OK")
	}
}
