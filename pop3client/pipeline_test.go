// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/pop3"
	"restante.example/pop3server/pop3fault"
)

// farAway is a dialer whose connections take time in each direction.
type farAway struct {
	Dialer
	delay time.Duration
}

func (f farAway) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	far, err := f.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	near, relay := net.Pipe()
	go f.carry(relay, far)
	go f.carry(far, relay)
	return near, nil
}

// carry copies what comes after the delay, as a line does that holds any
// number of octets.
func (f farAway) carry(dst, src net.Conn) {
	type parcel struct {
		octets []byte
		due    time.Time
	}
	line := make(chan parcel, 1<<16)
	go func() {
		defer close(line)
		for {
			buf := make([]byte, 4096)
			n, err := src.Read(buf)
			if n > 0 {
				line <- parcel{buf[:n], time.Now().Add(f.delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	defer dst.Close()
	for p := range line {
		time.Sleep(time.Until(p.due))
		if _, err := dst.Write(p.octets); err != nil {
			_ = src.Close()
		}
	}
}

// TestRoundTrips: what is asked ahead hides the distance.
func TestRoundTrips(t *testing.T) {
	for _, test := range []struct {
		name        string
		opt         Options
		least, most time.Duration
	}{
		{"pipelined", Options{}, 0, 500 * time.Millisecond},
		{"singly", Options{NoPipelining: true}, 40 * time.Second, time.Minute},
		{"window of octets", Options{WindowOctets: 20_000}, time.Second, 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: pop3fault.Numbered(1000, 1000)})
				if err != nil {
					t.Fatal(err)
				}
				test.opt.InsecurePassword = true
				c, err := New(t.Context(), dialed(t, farAway{server, 10 * time.Millisecond}), &test.opt)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.SignIn(t.Context(), u1); err != nil {
					t.Fatal(err)
				}
				var wants []Want
				for row, err := range c.List(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					wants = append(wants, Want{row.Number, row.Size})
				}
				begin := time.Now()
				for m, err := range c.RetrAll(t.Context(), slices.Values(wants)) {
					if err != nil {
						t.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, m); n != 1000 || err != nil {
						t.Fatal(n, err)
					}
				}
				for _, err := range c.DeleAll(t.Context(), numbers(1, 1000)) {
					if err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(begin); took < test.least || took > test.most {
					t.Errorf("took %v", took)
				}
				if err := errors.Join(c.Quit(t.Context()), server.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func numbers(from, to int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for n := from; n <= to && yield(n); n++ {
		}
	}
}

const pipelining = `
	C: CAPA
	S: +OK
	S: PIPELINING
	S: .
	`

// TestWindow: as many commands are under way as the window allows, at each
// moment and never more, and the replies are matched in order, refusals among
// them.
func TestWindow(t *testing.T) {
	synctest.Test(t, testWindow)
}

func testWindow(t *testing.T) {
	client, server := net.Pipe()
	t.Cleanup(func() { _ = server.Close() })
	type bounds struct{ least, most int }
	ahead := make(chan bounds, 1)
	go func() {
		least, most := countAhead(server, 100)
		ahead <- bounds{least, most}
	}()
	c, err := New(t.Context(), client, &Options{InsecurePassword: true, Window: 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	next := 1
	for n, err := range c.DeleAll(t.Context(), numbers(1, 100)) {
		if n != next {
			t.Fatalf("%d in place of %d", n, next)
		}
		if _, refused := errors.AsType[*pop3.Error](err); refused != (n%10 == 0) {
			t.Fatalf("%d: %v", n, err)
		}
		next++
	}
	if next != 101 {
		t.Errorf("ended before %d", next)
	}
	if got := <-ahead; got != (bounds{4, 4}) {
		t.Errorf("%+v commands were under way", got)
	}
}

// countAhead is a server that answers a command only when no further one comes
// within some time, and returns how many waited at least, but for the last
// ones, and at most.
func countAhead(conn net.Conn, last int) (least, most int) {
	least = last
	lines := make(chan string)
	go func() {
		defer close(lines)
		for r := bufio.NewScanner(conn); r.Scan(); {
			lines <- r.Text()
		}
	}()
	_, _ = io.WriteString(conn, "+OK\r\n")
	var waiting []string
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return least, most
			}
			waiting = append(waiting, line)
			most = max(most, len(waiting))
			continue
		case <-time.After(5 * time.Millisecond):
		}
		if len(waiting) == 0 {
			continue
		}
		reply, n := "+OK\r\n", 0
		if waiting[0] == "CAPA" {
			reply = "+OK\r\nPIPELINING\r\nUSER\r\n.\r\n"
		}
		if _, err := fmt.Sscanf(waiting[0], "DELE %d", &n); err == nil && n%10 == 0 {
			reply = "-ERR no such message\r\n"
		}
		if n > 0 && n <= last-4 {
			least = min(least, len(waiting))
		}
		_, _ = io.WriteString(conn, reply)
		waiting = waiting[1:]
		if n == last {
			return least, most
		}
	}
}

// TestNoDeadlock: a server that reads a command only when its last reply was
// taken, over a connection that buffers nothing, is no trouble.
func TestNoDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: pop3fault.Numbered(300, 5000)})
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(t.Context(), dialed(t, server), &Options{InsecurePassword: true, BufferSize: 16})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), u1); err != nil {
			t.Fatal(err)
		}
		begin, count := time.Now(), 0
		for m, err := range c.TopAll(t.Context(), numbers(1, 300), 10) {
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, m); n < 300 || n > 600 || err != nil {
				t.Fatal(n, err)
			}
			count++
		}
		if took := time.Since(begin); count != 300 || took != 0 {
			t.Errorf("%d messages took %v", count, took)
		}
		if err := errors.Join(c.Quit(t.Context()), server.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestNotAnnounced: without PIPELINING one command waits for the other; the
// script would not take a second one early, since net.Pipe buffers nothing.
func TestNotAnnounced(t *testing.T) {
	conn := script(t, `
		S: +OK
		C: CAPA
		S: -ERR
		C: USER u1
		S: +OK
		C: PASS secret
		S: +OK
		C: CAPA
		S: +OK
		S: TOP
		S: .
		C: RETR 1
		S: +OK
		S: a
		S: .
		C: RETR 2
		S: -ERR [SYS/PERM] damaged
		C: RETR 3
		S: +OK
		S: c
		S: .`)
	c, err := New(t.Context(), conn, &Options{InsecurePassword: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	var got []string
	for m, err := range c.RetrAll(t.Context(), slices.Values([]Want{{Number: 1}, {Number: 2}, {Number: 3}})) {
		if err != nil {
			if _, readErr := m.Read(make([]byte, 1)); !errors.Is(err, pop3.CodeSysPerm) || readErr != err {
				t.Fatal(err, readErr)
			}
			got = append(got, "refused")
			continue
		}
		text, err := io.ReadAll(m)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
	}
	if fmt.Sprint(got) != "[a\r\n refused c\r\n]" {
		t.Errorf("%q", got)
	}
}

// TestBreakOff: what was asked for ahead is passed over, and the conversation
// goes on.
func TestBreakOff(t *testing.T) {
	c := scripted(t, &Options{InsecurePassword: true, SkipCapabilities: true}, pipelining+`
		C: RETR 1
		C: RETR 2
		C: RETR 3
		S: +OK
		S: one
		S: .
		S: -ERR
		S: +OK
		S: three
		S: .
		C: UIDL
		S: +OK
		S: 1 a
		S: 2 b
		S: 3 c
		S: .
		C: NOOP
		S: +OK`)
	c.opt.SkipCapabilities = false
	for m, err := range c.RetrAll(t.Context(), slices.Values([]Want{{Number: 1}, {Number: 2}, {Number: 3}})) {
		if m.Number != 1 || err != nil {
			t.Fatal(m.Number, err)
		}
		break
	}
	for row, err := range c.UIDL(t.Context()) {
		if row.UID != "a" || err != nil {
			t.Fatal(row, err)
		}
		break
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestBreakOffTooMuch: what is too much to be passed over ends the connection.
func TestBreakOffTooMuch(t *testing.T) {
	for _, fault := range []pop3fault.Fault{pop3fault.EndlessMessage(1), pop3fault.EndlessUIDL()} {
		server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{fault}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(t.Context(), dialed(t, server), clear)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), u1); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(fault.Name, "EndlessUIDL") {
			for _, err := range c.UIDL(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
		} else {
			m, err := c.Retr(t.Context(), Want{Number: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); !errors.Is(err, errAbandoned) {
				t.Errorf("%s: %v", fault.Name, err)
			}
		}
		if got := c.Received(); !errors.Is(c.Err(), errAbandoned) || got < maxDrain || got > maxDrain+1<<20 {
			t.Errorf("%s: %v after %d octets", fault.Name, c.Err(), got)
		}
		if err := c.Noop(t.Context()); !errors.Is(err, ErrBroken) || !errors.Is(err, errAbandoned) {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBreakOffAhead: the same for what was asked for ahead.
func TestBreakOffAhead(t *testing.T) {
	server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{pop3fault.EndlessMessage(2)}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := New(t.Context(), dialed(t, server), &Options{InsecurePassword: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	for m, err := range c.RetrAll(t.Context(), slices.Values([]Want{{1, 0}, {2, 0}})) {
		if m.Number != 1 || err != nil {
			t.Fatal(m.Number, err)
		}
		break
	}
	if got := c.Received(); !errors.Is(c.Err(), errAbandoned) || got < maxDrain || got > maxDrain+1<<20 {
		t.Errorf("%v after %d octets", c.Err(), got)
	}
}

// TestPanicInLoop: a client whose caller panicked in the middle of a reply is
// never used again.
func TestPanicInLoop(t *testing.T) {
	server, err := pop3fault.New(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	loops := map[string]func(*Client){
		"LIST": func(c *Client) {
			for range c.List(t.Context()) {
				panic("caller")
			}
		},
		"RETR": func(c *Client) {
			for range c.RetrAll(t.Context(), slices.Values([]Want{{Number: 1}, {Number: 2}})) {
				panic("caller")
			}
		},
	}
	for name, loop := range loops {
		c, err := New(t.Context(), dialed(t, server), clear)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SignIn(t.Context(), u1); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if r := recover(); r != "caller" {
					t.Errorf("%s: %v", name, r)
				}
			}()
			loop(c)
		}()
		if err := c.Noop(t.Context()); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongNumbers(t *testing.T) {
	c := scripted(t, clear, `
		C: DELE 1
		S: +OK`)
	var errs []error
	for _, err := range c.DeleAll(t.Context(), slices.Values([]int{1, 0, 2})) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], ErrArgument) || c.Err() != nil {
		t.Error(errs)
	}
}
