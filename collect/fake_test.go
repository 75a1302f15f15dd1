// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"restante.example/collect"
	"restante.example/pop3client"
)

// letter is a message on the fake server.
type letter struct {
	uid  string
	text string // wire form
	size int    // announced; 0 is the true one
	utf8 bool   // refused to who has not said UTF8
}

// server is a POP3 server whose every answer a test can spoil. It shares no
// code with the real one.
type server struct {
	mu       sync.Mutex
	mail     []letter
	noUIDL   bool
	noTop    bool
	noPipe   bool
	hangs    bool // at CAPA after sign-in
	caps     []string
	quit     string            // answer to QUIT; empty is +OK
	quitDoes bool              // a refused QUIT deletes all the same
	answer   map[string]string // by command line: sent instead, and then closed if it ends in "<cut>"
	log      []string
	sessions int
	login    string // answer to PASS; empty is +OK
	wait     sync.WaitGroup
}

func (s *server) dial(ctx context.Context, opt *pop3client.Options) (*pop3client.Client, error) {
	ours, theirs := net.Pipe()
	s.wait.Go(func() { s.serve(ours) })
	opt.InsecurePassword = true
	return pop3client.New(ctx, theirs, opt)
}

func (s *server) commands(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.log {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

func stuff(text string) string {
	return strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n..")[2:]
}

func top(text string) string {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	return head + "\r\n\r\n"
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	in := make(chan string, 10000)
	go func() {
		defer close(in)
		for scan := bufio.NewScanner(conn); scan.Scan(); {
			in <- scan.Text()
		}
	}()
	s.mu.Lock()
	mail := slices.Clone(s.mail)
	s.sessions++
	s.mu.Unlock()
	gone := make(map[int]bool)
	utf8, signedIn := false, false
	say := func(format string, args ...any) { fmt.Fprintf(conn, format, args...) }
	say("+OK fake\r\n")
	for line := range in {
		s.mu.Lock()
		s.log = append(s.log, line)
		answer, spoiled := s.answer[line]
		s.mu.Unlock()
		if spoiled {
			text, cut := strings.CutSuffix(answer, "<cut>")
			say("%s", text)
			if cut {
				return
			}
			continue
		}
		word, arg, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(strings.Fields(arg + " 0")[0])
		if (word == "RETR" || word == "TOP" || word == "DELE") && (n < 1 || n > len(mail) || gone[n]) {
			say("-ERR no such message\r\n")
			continue
		}
		if (word == "RETR" || word == "TOP") && mail[n-1].utf8 && !utf8 {
			say("-ERR [UTF8] say UTF8 first\r\n")
			continue
		}
		switch word {
		case "UTF8":
			utf8 = slices.Contains(s.caps, "UTF8")
			if !utf8 {
				say("-ERR what?\r\n")
				continue
			}
			say("+OK\r\n")
		case "CAPA":
			if s.hangs && signedIn {
				for range in { // until the client gives up
				}
				return
			}
			say("+OK\r\nUSER\r\n")
			if !s.noPipe {
				say("PIPELINING\r\n")
			}
			for _, c := range s.caps {
				say("%s\r\n", c)
			}
			say(".\r\n")
		case "PASS":
			if s.login != "" {
				say("%s\r\n", s.login)
				continue
			}
			signedIn = true
			say("+OK\r\n")
		case "USER", "NOOP":
			say("+OK\r\n")
		case "STAT":
			sum := 0
			for _, l := range mail {
				sum += len(l.text)
			}
			say("+OK %d %d\r\n", len(mail), sum)
		case "UIDL":
			if s.noUIDL {
				say("-ERR what?\r\n")
				continue
			}
			say("+OK\r\n")
			for i, l := range mail {
				say("%d %s\r\n", i+1, l.uid)
			}
			say(".\r\n")
		case "LIST":
			say("+OK\r\n")
			for i, l := range mail {
				size := l.size
				if size == 0 {
					size = len(l.text)
				}
				say("%d %d\r\n", i+1, size)
			}
			say(".\r\n")
		case "RETR":
			say("+OK\r\n%s.\r\n", stuff(mail[n-1].text))
		case "TOP":
			if s.noTop {
				say("-ERR what?\r\n")
				continue
			}
			say("+OK\r\n%s.\r\n", stuff(top(mail[n-1].text)))
		case "DELE":
			gone[n] = true
			say("+OK\r\n")
		case "QUIT":
			s.mu.Lock()
			if s.quit == "" || s.quitDoes {
				var left []letter
				for i, l := range s.mail { // more may have come meanwhile
					if !gone[i+1] {
						left = append(left, l)
					}
				}
				s.mail = left
			}
			text := s.quit
			s.mu.Unlock()
			if text == "" {
				text = "+OK bye\r\n"
			}
			say("%s", strings.TrimSuffix(text, "<cut>"))
			return
		default:
			say("-ERR what?\r\n")
		}
	}
}

// text makes a message; the same n gives the same text.
func text(n int) string {
	return fmt.Sprintf("From: a@example.org\r\nMessage-ID: <%d@example.org>\r\n\r\n.first line\r\nbody %d\r\n", n, n)
}

func letters(from, to int) (list []letter) {
	for n := from; n <= to; n++ {
		list = append(list, letter{uid: fmt.Sprintf("uid-%d", n), text: text(n)})
	}
	return list
}

// box is a destination that remembers.
type box struct {
	mu    sync.Mutex
	texts []string
	keys  []string
	fail  func(collect.Message, string) error
}

func (b *box) destination(id string) collect.Destination {
	return collect.HandlerFunc(id, b.handle)
}

func (b *box) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := make(map[string]int)
	for _, s := range b.texts {
		m[s]++
	}
	return m
}

// expect checks that exactly the letters of these numbers are there, each once
// for each time that it is named.
func (b *box) expect(t *testing.T, numbers ...int) {
	t.Helper()
	want := make(map[string]int)
	for _, n := range numbers {
		want[text(n)]++
	}
	got := b.counts()
	for s, n := range want {
		if got[s] != n {
			t.Errorf("%d times instead of %d: %q", got[s], n, s)
		}
	}
	for s, n := range got {
		if want[s] == 0 {
			t.Errorf("unexpected, %d times: %q", n, s)
		}
	}
}

func upTo(n int) (list []int) {
	for i := 1; i <= n; i++ {
		list = append(list, i)
	}
	return list
}
