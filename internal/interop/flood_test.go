// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Floods: what somebody can send at every limit of the server, while honest
// people sign in, each time with success. How long they waited is told and not
// judged; what the server may take of memory is.

// visitor is one connection of a person or of a flood.
type visitor struct {
	net.Conn
	in *bufio.Reader
}

// call connects from an address of this machine and reads the greeting. With an
// address of another machine it does so as a proxy would for that one.
func call(address, from string) (*visitor, error) {
	d := net.Dialer{Timeout: patience}
	header := ""
	if strings.HasPrefix(from, "127.") {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	} else {
		header = "PROXY TCP4 " + from + " 127.0.0.1 50000 110\r\n"
	}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &visitor{conn, bufio.NewReaderSize(conn, 512)}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err = io.WriteString(c, header); err == nil {
		_, err = c.line()
	}
	if err != nil {
		_ = c.Close() // it was refused
		return nil, err
	}
	return c, nil
}

// line reads a reply, which is an error unless it is +OK.
func (c *visitor) line() (string, error) {
	line, err := c.in.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+") {
		err = fmt.Errorf("answered %q", line)
	}
	return line, err
}

// say sends a line and reads the reply.
func (c *visitor) say(line string) (string, error) {
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return "", err
	}
	return c.line()
}

// signIn is a whole session as mail programs poll.
func signIn(address, from, user, secret string) error {
	c, err := call(address, from)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, line := range []string{"USER " + user, "PASS " + secret, "STAT", "QUIT"} {
		if _, err := c.say(line); err != nil {
			return fmt.Errorf("%.4s: %w", line, err)
		}
	}
	return nil
}

// elsewhere is one of very many addresses of this machine.
func elsewhere() string {
	return fmt.Sprintf("127.%d.%d.%d", 16+rand.IntN(200), rand.IntN(256), 1+rand.IntN(254))
}

// flooded runs a flood until it returns, while an honest user signs in five times a
// second and another one, who has been signed in all the time, asks for something
// as often. Both must always be served.
func flooded(t *testing.T, o *office, flood func(ctx context.Context)) {
	t.Helper()
	floodedFor(t, o, "127.0.0.9", flood)
}

// floodedFor is flooded with the address that both come from.
func floodedFor(t *testing.T, o *office, from string, flood func(ctx context.Context)) {
	t.Helper()
	const mine, there = "honest@example.org", "there@example.org"
	o.add(t, mine, "none")
	o.add(t, there, "none")
	if err := signIn(o.POP3, from, mine, password); err != nil {
		t.Fatal(err)
	}
	session, err := call(o.POP3, from)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, line := range []string{"USER " + there, "PASS " + password} {
		if _, err := session.say(line); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var people sync.WaitGroup
	again := func(what string, do func() error) {
		people.Go(func() {
			var waits []time.Duration
			for ctx.Err() == nil {
				began := time.Now()
				if err := do(); err != nil {
					t.Errorf("%s was kept out by the flood: %v", what, err)
					break
				}
				waits = append(waits, time.Since(began))
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
			slices.Sort(waits)
			if n := len(waits); n > 0 {
				t.Logf("%s: %d times, median %v, slowest %v", what, n, waits[n/2].Round(10*time.Microsecond), waits[n-1].Round(10*time.Microsecond))
			}
		})
	}
	again("who signs in", func() error { return signIn(o.POP3, from, mine, password) })
	again("who is signed in", func() error {
		if err := session.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		_, err := session.say("NOOP")
		return err
	})
	flood(ctx)
	stop()
	people.Wait()
}

// peak returns the most memory that the server has had, in MiB.
func (o *office) peak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb >> 10
		}
	}
	t.Fatal("the system does not say how much memory the server has had")
	return 0
}

// atMost fails the test when the server has had more memory than that, in MiB.
func (o *office) atMost(t *testing.T, mib int) {
	t.Helper()
	got := o.peak(t)
	t.Logf("the server had %d MiB at most", got)
	if got > mib {
		t.Errorf("the server had %d MiB, more than %d", got, mib)
	}
}

// ended waits until the server or the end of the test closes a connection.
func (c *visitor) ended() { _, _ = io.Copy(io.Discard, c) }

// crowd opens n connections with open, several at once, and returns those that
// there are.
func crowd(ctx context.Context, n int, open func(i int) *visitor) []*visitor {
	var mu sync.Mutex
	var list []*visitor
	var work sync.WaitGroup
	next := make(chan int)
	for range 32 {
		work.Go(func() {
			for i := range next {
				if c := open(i); c != nil {
					mu.Lock()
					list = append(list, c)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	work.Wait()
	return list
}

func hangUp(list []*visitor) {
	for _, c := range list {
		_ = c.Close() // the server may have done so before
	}
}

// addMany adds users whose passwords are all the same, at the cost of as many hashes.
func (o *office) addMany(t *testing.T, users []string) {
	t.Helper()
	var work sync.WaitGroup
	next := make(chan string)
	for range 4 {
		work.Go(func() {
			for user := range next {
				o.run(t, password+"\n", "user", "add", user, "--password-stdin")
			}
		})
	}
	for _, user := range users {
		next <- user
	}
	close(next)
	work.Wait()
}
