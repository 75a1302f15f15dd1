// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// Three thousand that say nothing and three thousand that say an octet a second.
// With the limits as they are, the longest idle ones make room; without them, all
// of them stay.
func TestFloodOfSlowConnections(t *testing.T) {
	for name, more := range map[string]string{
		"as it is":       "",
		"without limits": "[limits]\nunauthenticated = 0\n[timeouts]\nsign_in = \"10m\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			o := startOffice(t, peers.Dir(t), more)
			flooded(t, o, func(ctx context.Context) {
				list := crowd(ctx, 6000, func(int) *visitor {
					c, err := call(o.POP3, elsewhere())
					if err != nil {
						return nil // it was the longest idle one before it had heard the greeting
					}
					return c
				})
				defer hangUp(list)
				if len(list) < 5000 {
					t.Errorf("%d connections were opened", len(list))
				}
				for _, octet := range "CAPA CA" { // one a second
					for _, c := range list[:len(list)/2] {
						_, _ = c.Write([]byte{byte(octet)}) // who was closed is told so
					}
					time.Sleep(time.Second)
				}
			})
			o.atMost(t, 256)
		})
	}
}

// Sixteen connections guess the password of the owner, who signs in from elsewhere.
// From the second minute on they get twenty tries a minute at most.
func TestFloodOfGuesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two minutes; run without -short")
	}
	t.Parallel()
	o := openOffice(t)
	const first, second = time.Minute, 2 * time.Minute
	var tries, inSecond atomic.Int64
	flooded(t, o, func(context.Context) {
		began := time.Now()
		var work sync.WaitGroup
		for i := range 16 {
			work.Go(func() {
				for time.Since(began) < second {
					c, err := call(o.POP3, "127.0.0.66")
					if err != nil {
						time.Sleep(50 * time.Millisecond)
						continue
					}
					end := time.AfterFunc(time.Until(began.Add(second)), func() { _ = c.Close() })
					for err == nil {
						if _, err = c.say("USER honest@example.org"); err != nil {
							break
						}
						_, err = c.say(fmt.Sprintf("PASS guess %d", i))
						if err == nil {
							t.Error("a guess was right")
						} else if strings.Contains(err.Error(), "[AUTH]") {
							tries.Add(1)
							if time.Since(began) > first {
								inSecond.Add(1)
							}
							err = nil
						}
					}
					end.Stop()
					_ = c.Close()
				}
			})
		}
		work.Wait()
	})
	t.Logf("%d guesses in two minutes, %d of them in the second", tries.Load(), inSecond.Load())
	if n := inSecond.Load(); n > 20 || tries.Load() == 0 {
		t.Errorf("%d guesses in two minutes, %d in the second; at most 20 are to be there", tries.Load(), n)
	}
}

// Five hundred at once whose passwords cost a slow hash each, as those of unknown
// names do. As many as there are slots are checked, as many as the queue holds wait,
// and the rest is told to come later.
func TestFloodOfHashes(t *testing.T) {
	o := openOffice(t)
	var wrong, later atomic.Int64
	flooded(t, o, func(ctx context.Context) {
		for range 2 {
			var work sync.WaitGroup
			for _, c := range crowd(ctx, 500, func(int) *visitor {
				c, err := call(o.POP3, elsewhere())
				if err != nil {
					t.Error(err)
					return nil
				}
				return c
			}) {
				work.Go(func() {
					defer c.Close()
					if _, err := c.say(fmt.Sprintf("USER %s", strings.ReplaceAll(c.LocalAddr().String(), ":", "."))); err != nil {
						t.Error(err)
						return
					}
					switch _, err := c.say("PASS whatever"); {
					case err == nil:
						t.Error("nobody was let in")
					case strings.Contains(err.Error(), "[AUTH]"):
						wrong.Add(1)
					case strings.Contains(err.Error(), "[SYS/TEMP]"):
						later.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			work.Wait()
		}
	})
	t.Logf("%d were told that the password is wrong, %d to come later", wrong.Load(), later.Load())
	if wrong.Load() == 0 || later.Load() == 0 {
		t.Errorf("%d were refused, %d told to come later", wrong.Load(), later.Load())
	}
	o.atMost(t, 256)
}

// Lines without end, SASL responses as long as they may be, and commands that are
// none, from hundreds at once.
func TestFloodOfLines(t *testing.T) {
	o := openOffice(t)
	token := strings.Repeat("QUJD", 4<<10)
	for name, text := range map[string]string{
		"a line without end": strings.Repeat("x", 1<<20),
		"SASL responses":     strings.Repeat("AUTH PLAIN\r\n"+token+"\r\n", 40),
		"wrong commands":     strings.Repeat("NONSENSE\r\n", 10_000),
		"many commands":      strings.Repeat("CAPA\r\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var work sync.WaitGroup
			for range 100 {
				work.Go(func() {
					c, err := call(o.POP3, elsewhere())
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
						t.Error(err)
					}
					_, _ = io.WriteString(c, text) // the server hangs up
					c.ended()
				})
			}
			work.Wait()
		})
	}
	t.Run("people", func(t *testing.T) {
		t.Parallel()
		flooded(t, o, func(ctx context.Context) { time.Sleep(5 * time.Second) })
	})
	t.Cleanup(func() { o.atMost(t, 128) })
}

// Users who ask for a large message again and again and take none of it.
func TestFloodOfUnreadMessages(t *testing.T) {
	o := openOffice(t)
	users := make([]string, 64)
	for i := range users {
		users[i] = fmt.Sprintf("u%d@example.org", i)
	}
	o.addMany(t, users)
	o.deliver(t, "Subject: large\n\n"+strings.Repeat("a line of a large message, sent to somebody who reads none of it\n", 64<<10), users...)
	flooded(t, o, func(ctx context.Context) {
		list := crowd(ctx, len(users), func(i int) *visitor {
			c, err := call(o.POP3, elsewhere())
			if err == nil {
				if _, err = c.say("USER " + users[i]); err == nil {
					_, err = c.say("PASS " + password)
				}
			}
			if err == nil {
				_, err = io.WriteString(c, strings.Repeat("RETR 1\r\n", 30))
			}
			if err != nil {
				t.Error(err)
				return nil
			}
			return c
		})
		defer hangUp(list)
		time.Sleep(3 * time.Second)
	})
	o.atMost(t, 192)
}

// TLS handshakes: half ones that go no further, and nonsense.
func TestFloodOfHandshakes(t *testing.T) {
	o := openOffice(t)
	flooded(t, o, func(ctx context.Context) {
		var list []net.Conn
		defer func() {
			for _, c := range list {
				_ = c.Close()
			}
		}()
		for i := range 2000 {
			d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere())}}
			c, err := d.Dial("tcp", o.POP3S)
			if err != nil {
				t.Error(err)
				return
			}
			list = append(list, c)
			// A record of 16 KB is announced, and does not come.
			_, _ = c.Write([]byte([]string{"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", "GET / HTTP/1.1\r\n\r\n", "\x16"}[i%3]))
		}
		time.Sleep(2 * time.Second)
	})
	o.atMost(t, 192)
}

// Who delivers is trusted more, and is bounded all the same.
func TestFloodOfDeliveries(t *testing.T) {
	o := startOffice(t, peers.Dir(t), "", "--lmtp", "127.0.0.1:0")
	o.add(t, "ana@example.org", "none")
	refused := atomic.Int64{}
	flooded(t, o, func(ctx context.Context) {
		list := crowd(ctx, 600, func(int) *visitor {
			conn, err := net.DialTimeout("tcp", o.LMTP, patience)
			if err != nil {
				t.Error(err)
				return nil
			}
			greeting := make([]byte, 3)
			if _, err := io.ReadFull(conn, greeting); err != nil || string(greeting) != "220" {
				refused.Add(1)
			}
			_, _ = io.WriteString(conn, "LHLO flood\r\nMAIL FROM:<x@example.net>\r\nRCPT TO:<ana@example.org>\r\nDATA\r\nSubject: never whole\r\n\r\n"+strings.Repeat("x", 100_000))
			return &visitor{Conn: conn}
		})
		defer hangUp(list)
		time.Sleep(2 * time.Second)
	})
	if refused.Load() < 300 {
		t.Errorf("%d of 600 were told to come later; 200 are served at once", refused.Load())
	}
	o.atMost(t, 256)
	if held := o.held(t, "ana@example.org"); len(held) != 0 {
		t.Errorf("%d messages that were never sent to their end were stored", len(held))
	}
}

// A thousand connections from one address, seen through a proxy since this machine's
// own addresses have no limit each: twenty of them stay.
func TestFloodFromOneAddress(t *testing.T) {
	o := startOffice(t, peers.Dir(t), `[[listener]]
service = "pop3"
address = "127.0.0.1:0"
proxies = ["127.0.0.1"]
clear_text = "i-accept-that-passwords-travel-in-clear-text"
`)
	floodedFor(t, o, "192.0.2.9", func(ctx context.Context) {
		list := crowd(ctx, 1000, func(int) *visitor {
			c, err := call(o.POP3, "192.0.2.66")
			if err != nil {
				return nil // it was the longest idle one before it had heard the greeting
			}
			return c
		})
		defer hangUp(list)
		stay := 0
		for _, c := range list {
			if err := c.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
				t.Error(err)
			}
			if _, err := c.Read(make([]byte, 512)); errors.Is(err, os.ErrDeadlineExceeded) {
				stay++
			}
		}
		if stay == 0 || stay > 20 {
			t.Errorf("%d of %d connections from one address stay, want 20", stay, len(list))
		}
	})
}

// One user opens sessions without end: the others have theirs.
func TestFloodOfOneUser(t *testing.T) {
	o := startOffice(t, peers.Dir(t), "[limits]\nsessions = 200\n")
	o.add(t, "greedy@example.org", "none")
	var in atomic.Int64
	flooded(t, o, func(ctx context.Context) {
		list := crowd(ctx, 1000, func(int) *visitor {
			c, err := call(o.POP3, elsewhere())
			if err != nil {
				return nil
			}
			if _, err := c.say("USER greedy@example.org"); err == nil {
				if _, err = c.say("PASS " + password); err == nil {
					in.Add(1)
					return c
				}
			}
			_ = c.Close()
			return nil
		})
		defer hangUp(list)
	})
	if n := in.Load(); n != 1 {
		t.Errorf("%d sessions of one view at once, want 1", n)
	}
}
