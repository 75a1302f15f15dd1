// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// tap stands between a mail program and the server. What the program was handed,
// what it deleted and what QUIT was answered is read off the line, so that the
// ledger does not depend on what a program makes of a message.
type tap struct {
	listener net.Listener
	to       string
	ledger   *ledger
	report   *report
	running  sync.WaitGroup
}

func newTap(to string, l *ledger, r *report) (*tap, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{listener: listener, to: to, ledger: l, report: r}
	t.running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			t.running.Go(func() { t.serve(c) })
		}
	})
	return t, nil
}

func (t *tap) port() string {
	_, port, _ := net.SplitHostPort(t.listener.Addr().String()) // it has both
	return port
}

func (t *tap) close() {
	_ = t.listener.Close()
	t.running.Wait()
}

// tapped is one session on the line.
type tapped struct {
	*tap
	mu      sync.Mutex
	pending []string // commands without an answer yet
	deleted []int    // DELE, answered +OK

	sizes map[int]int
	uids  map[int]string
	sums  map[int]sum
}

func (t *tap) serve(client net.Conn) {
	server, err := net.Dial("tcp", t.to)
	if err != nil {
		_ = client.Close() // the server is down
		return
	}
	x := &tapped{tap: t, sizes: map[int]int{}, uids: map[int]string{}, sums: map[int]sum{}}
	var both sync.WaitGroup
	ends := func() {
		_ = client.Close()
		_ = server.Close()
	}
	both.Go(func() { defer ends(); x.commands(client, server) })
	both.Go(func() {
		defer ends()
		passed := &behind{to: client}
		err := x.answers(bufio.NewReaderSize(io.TeeReader(server, passed), 16<<10), passed)
		_ = passed.release() // the program may be gone
		if errors.Is(err, errNonsense) {
			t.report.broken("%s: %v", t.ledger.user, err)
		}
	})
	both.Wait()
}

// behind passes on what was written to it one Write later, or at release: a
// program has the end of an answer only when the tap has understood it, and what
// it says because of it is never noted first.
type behind struct {
	to   io.Writer
	held []byte
}

func (b *behind) Write(p []byte) (int, error) {
	if err := b.release(); err != nil {
		return 0, err
	}
	b.held = append(b.held, p...)
	return len(p), nil
}

func (b *behind) release() error {
	_, err := b.to.Write(b.held)
	b.held = b.held[:0]
	return err
}

// commands passes on what the program says, line by line.
func (x *tapped) commands(client io.Reader, server io.Writer) {
	in := bufio.NewReader(client)
	for {
		line, err := in.ReadString('\n')
		if err == nil {
			x.said(strings.ToUpper(strings.TrimSpace(line)))
		}
		if _, e := io.WriteString(server, line); err != nil || e != nil {
			return
		}
	}
}

// said notes a command. A QUIT may remove all for which DELE was said, answered
// or not.
func (x *tapped) said(line string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if line == "QUIT" {
		marked := append([]int(nil), x.deleted...)
		for _, p := range x.pending {
			if n := argument(p, "DELE"); n > 0 {
				marked = append(marked, n)
			}
		}
		x.ledger.asked(x.names(marked, true))
	}
	x.pending = append(x.pending, line)
}

// names returns what message numbers stand for.
func (x *tapped) names(numbers []int, tell bool) (list []sum) {
	for _, n := range numbers {
		s, known := x.sums[n]
		if !known && x.uids[n] != "" {
			s, known = x.ledger.listed(x.uids[n])
		}
		switch {
		case known:
			list = append(list, s)
		case tell:
			x.ledger.askedBlindly()
			x.report.note("%s: message %d is deleted by a program that has not retrieved it", x.ledger.user, n)
		}
	}
	return list
}

// argument returns the number behind a command, or 0.
func argument(line, command string) int {
	rest, found := strings.CutPrefix(line, command+" ")
	n, err := strconv.Atoi(strings.TrimSpace(rest))
	if !found || err != nil {
		return 0
	}
	return n
}

// answers reads what the server says, and lets the program have what is understood.
func (x *tapped) answers(in *bufio.Reader, passed *behind) error {
	if _, err := (&conn{in: in}).expect("+OK"); err != nil {
		return err
	}
	for {
		if in.Buffered() == 0 {
			if err := passed.release(); err != nil {
				return err
			}
		}
		answer, err := (&conn{in: in}).line()
		if err != nil {
			return err
		}
		accepted := strings.HasPrefix(answer, "+OK")
		x.mu.Lock()
		if len(x.pending) == 0 {
			x.mu.Unlock()
			if strings.HasPrefix(answer, "-ERR") {
				continue // a last word before the server hangs up
			}
			return fmt.Errorf("%w: an answer without a command: %q", errNonsense, answer)
		}
		line := x.pending[0]
		x.pending = x.pending[1:]
		if accepted {
			x.settled(line)
		}
		x.mu.Unlock()
		if accepted {
			if err := x.read(line, in); err != nil {
				return err
			}
		} else if !strings.HasPrefix(answer, "-ERR") && !strings.HasPrefix(answer, "+ ") {
			return fmt.Errorf("%w: %.80q", errNonsense, answer)
		}
	}
}

// settled notes what an answer of +OK means for removals. It happens while x is
// locked, together with the taking of the command from those pending: a QUIT that
// passes meanwhile finds each DELE in one place or the other.
func (x *tapped) settled(line string) {
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "DELE":
		x.deleted = append(x.deleted, argument(line, "DELE"))
	case "RSET":
		x.deleted = nil
	case "QUIT":
		x.ledger.gone(x.names(x.deleted, false))
	}
}

// read reads the lines that follow +OK, and notes what they tell.
func (x *tapped) read(line string, in *bufio.Reader) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch {
	case verb == "RETR":
		h := sha256.New()
		octets, err := unstuff(h, in)
		if err != nil {
			return err
		}
		n, s := argument(line, "RETR"), sum(h.Sum(nil))
		x.mu.Lock()
		defer x.mu.Unlock()
		announced, listed := x.sizes[n]
		if !listed {
			announced = -1
		}
		x.sums[n] = s
		x.ledger.retrieved(x.uids[n], s, announced, octets)
		x.report.count("messages handed to programs", 1)
	case verb == "TOP", verb == "CAPA", verb == "AUTH" && rest == "":
		_, err := unstuff(io.Discard, in)
		return err
	case (verb == "LIST" || verb == "UIDL") && rest == "":
		var text bytes.Buffer
		if _, err := unstuff(&text, in); err != nil {
			return err
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		for line := range strings.Lines(text.String()) {
			number, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			n, err := strconv.Atoi(number)
			if err != nil {
				return fmt.Errorf("%w: %s: %q", errNonsense, verb, line)
			}
			if verb == "UIDL" {
				x.uids[n] = value
				continue
			}
			if x.sizes[n], err = strconv.Atoi(value); err != nil {
				return fmt.Errorf("%w: %s: %q", errNonsense, verb, line)
			}
		}
	}
	return nil
}
