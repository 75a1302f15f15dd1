// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Who crowds the server has mail that is no part of the promise.
const (
	crowdSize   = 3000 // connections, unless it is said otherwise
	crowdUsers  = 8
	crowdLetter = 3 << 20 // octets: more than the buffers of the network hold
)

func crowdUser(n int) string { return fmt.Sprintf("crowd%d@example.org", n%crowdUsers) }

// elsewhere is another address of this machine, so that limits by address are
// not what keeps a crowd away.
func elsewhere(rng *rand.Rand) string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rng.IntN(250), rng.IntN(256), 1+rng.IntN(254))
}

// A stand is what a slow connection does before it stops answering.
var stands = []struct {
	name string
	take func(t *torture, n int, from string) (*conn, error)
}{
	{"before the greeting", func(t *torture, _ int, from string) (*conn, error) { return dial(from, t.office.pop3, nil) }},
	{"in the middle of a line", func(t *torture, _ int, from string) (*conn, error) { return t.spoken(from, "US") }},
	{"after USER", func(t *torture, n int, from string) (*conn, error) {
		return t.spoken(from, "USER "+crowdUser(n)+"\r\n")
	}},
	{"within AUTH PLAIN", func(t *torture, _ int, from string) (*conn, error) { return t.spoken(from, "AUTH PLAIN\r\n") }},
	{"within AUTH LOGIN", func(t *torture, _ int, from string) (*conn, error) {
		return t.spoken(from, "AUTH LOGIN\r\nY3Jvd2Q=\r\n")
	}},
	{"after STLS", func(t *torture, _ int, from string) (*conn, error) { return t.spoken(from, "STLS\r\n") }},
	{"within a TLS handshake", func(t *torture, _ int, from string) (*conn, error) {
		c, err := dial(from, t.office.pop3s, nil)
		if err == nil {
			_, err = c.Write([]byte("\x16\x03\x01"))
		}
		return c, err
	}},
	{"after a TLS handshake", func(t *torture, _ int, from string) (*conn, error) {
		c, err := dial(from, t.office.pop3s, t.office.tls)
		if err == nil {
			err = c.Conn.(*tls.Conn).Handshake()
		}
		return c, err
	}},
	{"signed in", func(t *torture, n int, from string) (*conn, error) {
		return t.spoken(from, "USER "+crowdUser(n)+"\r\nPASS "+password+"\r\nSTAT\r\n")
	}},
	{"not reading a message", func(t *torture, n int, from string) (*conn, error) {
		return t.spoken(from, "USER "+crowdUser(n)+"\r\nPASS "+password+"\r\nRETR 1\r\nRETR 1\r\nRETR 1\r\n")
	}},
	{"LMTP before LHLO", func(t *torture, n int, from string) (*conn, error) {
		if n%3 != 0 {
			return nil, nil // who delivers is trusted; the server has room for 200
		}
		return dial(from, t.office.lmtp, nil)
	}},
	{"LMTP within a message", func(t *torture, n int, from string) (*conn, error) {
		if n%3 != 0 {
			return nil, nil
		}
		c, err := lmtpGreet(from, t.office.lmtp)
		if err == nil {
			_, err = c.opening([]string{t.people[n%len(t.people)].user})
		}
		if err == nil {
			_, err = c.Write([]byte("Subject: never to be seen\r\n\r\nhalf a mess"))
		}
		return c, err
	}},
}

// spoken connects and says something without waiting for an answer.
func (t *torture) spoken(from, text string) (*conn, error) {
	c, err := dial(from, t.office.pop3, nil)
	if err == nil {
		_, err = io.WriteString(c, text)
	}
	return c, err
}

// crowded opens many connections in every state, lets them say an octet now and
// then, and drops them.
func (t *torture) crowded(ctx context.Context, rng *rand.Rand) error {
	var mu sync.Mutex
	var open []*conn
	var next atomic.Int64
	var work sync.WaitGroup
	for range 32 {
		own := rand.New(rand.NewPCG(rng.Uint64(), 4))
		work.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= t.crowd {
					return
				}
				// LMTP is not to be crowded out, so a crowd has few of those.
				s := stands[n%len(stands)]
				c, err := s.take(t, n/len(stands), elsewhere(own))
				if c != nil {
					mu.Lock()
					open = append(open, c)
					mu.Unlock()
				}
				switch {
				case err != nil:
					t.report.count("slow connections that were refused or cut", 1)
				case c != nil:
					t.report.count("slow connections "+s.name, 1)
				}
			}
		})
	}
	work.Wait()
	for range 3 + rng.IntN(4) {
		if !pause(ctx, time.Second) {
			break
		}
		for i, c := range open {
			if i%7 == 0 {
				_ = c.SetDeadline(time.Now().Add(time.Second)) // the server may have hung up
				_, _ = c.Write([]byte("x"))
			}
		}
	}
	for _, c := range open {
		c.hangUp()
	}
	if rng.IntN(4) == 0 {
		return t.kill(ctx, rng)
	}
	return nil
}

// guessing tries passwords of people who use the server meanwhile, from many
// addresses and from our own.
func (t *torture) guessing(ctx context.Context, rng *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(3000+rng.IntN(4000))*time.Millisecond)
	defer cancel()
	names := []string{honestUser, "nobody@example.org", "root"}
	for _, l := range t.people {
		names = append(names, l.user)
	}
	var work sync.WaitGroup
	for i := range 64 {
		own := rand.New(rand.NewPCG(rng.Uint64(), 5))
		work.Go(func() {
			from := ""
			if i%8 != 0 {
				from = elsewhere(own)
			}
			for ctx.Err() == nil {
				c, err := dial(from, t.office.pop3, nil)
				if err != nil {
					if !pause(ctx, 50*time.Millisecond) {
						return
					}
					continue
				}
				end := context.AfterFunc(ctx, c.hangUp)
				_, err = c.expect("+OK")
				for err == nil {
					if _, err = c.say("USER "+names[own.IntN(len(names))], "+OK"); err == nil {
						_, err = c.say(fmt.Sprintf("PASS wrong%d", own.Uint64()), "+OK")
						var no refusal
						if err == nil {
							t.report.broken("a wrong password was taken")
						} else if errors.As(err, &no) {
							t.report.count("passwords guessed wrong", 1)
							err = nil
						}
					}
				}
				end()
				c.hangUp()
				pause(ctx, 10*time.Millisecond)
			}
		})
	}
	work.Wait()
	return nil
}

// corpora are the inputs that fuzzing has found, by the folder of their target.
func corpora() (map[string][][]byte, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(string(mod)), "*", "testdata", "fuzz", "*", "*"))
	if err != nil {
		return nil, err
	}
	more, err := filepath.Glob(filepath.Join(filepath.Dir(string(mod)), "*", "*", "testdata", "fuzz", "*", "*"))
	if err != nil {
		return nil, err
	}
	list := map[string][][]byte{}
	for _, name := range append(files, more...) {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		target := filepath.Base(filepath.Dir(name))
		for line := range strings.Lines(string(text)) {
			if input, ok := fuzzValue(strings.TrimSpace(line)); ok {
				list[target] = append(list[target], input)
			}
		}
	}
	return list, nil
}

// fuzzValue reads a line of a corpus file that holds octets.
func fuzzValue(line string) ([]byte, bool) {
	for _, kind := range []string{"[]byte(", "string("} {
		if rest, ok := strings.CutPrefix(line, kind); ok {
			s, err := strconv.Unquote(strings.TrimSuffix(rest, ")"))
			return []byte(s), err == nil
		}
	}
	return nil, false
}

// openings bring a conversation into a state before the nonsense comes.
var openings = []string{"", "USER " + hostileUser + "\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN\r\n",
	"USER " + hostileUser + "\r\nPASS " + password + "\r\n"}

// hostile says to each service, in each state, what fuzzing has found, and noise.
func (t *torture) hostile(ctx context.Context, rng *rand.Rand) error {
	inputs := t.inputs
	for range 50 {
		noise := make([]byte, rng.IntN(5000))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		inputs = append(inputs[:len(inputs):len(inputs)], noise)
	}
	var next atomic.Int64
	var work sync.WaitGroup
	for range 16 {
		own := rand.New(rand.NewPCG(rng.Uint64(), 6))
		work.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= 1500 {
					return
				}
				input := inputs[own.IntN(len(inputs))]
				address, opening := t.office.pop3, openings[own.IntN(len(openings))]
				switch own.IntN(4) {
				case 0:
					address, opening = t.office.lmtp, []string{"", "LHLO x\r\n", "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<" + hostileUser + ">\r\nDATA\r\n"}[own.IntN(3)]
				case 1:
					if own.IntN(3) == 0 {
						address, opening = t.office.pop3s, ""
					}
				}
				t.shout(address, opening+string(input), own)
			}
		})
	}
	work.Wait()
	return nil
}

// shout says something, listens for a moment, and hangs up.
func (t *torture) shout(address, text string, rng *rand.Rand) {
	c, err := dial(elsewhere(rng), address, nil)
	if err != nil {
		t.report.count("hostile connections that were refused", 1)
		return
	}
	defer c.hangUp()
	t.report.count("hostile inputs", 1)
	_ = c.SetDeadline(time.Now().Add(time.Duration(rng.IntN(50)) * time.Millisecond)) // a failure shows in what follows
	_, _ = io.WriteString(c, text)                                                    // it may hang up at any octet
	_, _ = io.Copy(io.Discard, io.LimitReader(c, int64(rng.IntN(20_000))))
}
