// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	attacker = netip.MustParseAddr("192.0.2.66")
	home     = netip.MustParseAddr("198.51.100.7")
)

// try is one sign-in; it returns how long it had to wait.
func try(t *testing.T, g *Guard, remote netip.Addr, account string, success bool) time.Duration {
	t.Helper()
	start := time.Now()
	if err := g.Before(t.Context(), remote, account); err != nil {
		t.Fatalf("%v for %q after %v: %v", remote, account, time.Since(start), err)
	}
	waited := time.Since(start)
	g.After(remote, account, success)
	return waited
}

func TestDelayDoubles(t *testing.T) {
	for name, step := range map[string]func(i int) (netip.Addr, string){
		"address": func(i int) (netip.Addr, string) { return attacker, fmt.Sprintf("u%d", i) },
		"account": func(i int) (netip.Addr, string) { return netip.AddrFrom4([4]byte{10, byte(i), 0, 1}), "u1" },
		"both":    func(int) (netip.Addr, string) { return attacker, "u1" },
		"IPv6 /64": func(i int) (netip.Addr, string) {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%x", i+1)), fmt.Sprintf("u%d", i)
		},
		"no address": func(int) (netip.Addr, string) { return netip.Addr{}, "u1" },
		"letter case": func(i int) (netip.Addr, string) {
			return netip.Addr{}, strings.ToUpper("u1"[:i%2]) + "u1"[i%2:]
		},
		"IPv4 in IPv6": func(i int) (netip.Addr, string) {
			if i%2 == 0 {
				return attacker, fmt.Sprintf("u%d", i)
			}
			return netip.AddrFrom16(attacker.As16()), fmt.Sprintf("u%d", i)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := New(nil)
			for i, want := range []time.Duration{0, 1, 2, 4, 8, 15, 15, 15} {
				remote, account := step(i)
				if got := try(t, g, remote, account, false); got != want*time.Second {
					t.Errorf("%s: try %d waited %v, want %d s", name, i+1, got, want)
				}
			}
			// What a person does meanwhile counts as waiting.
			time.Sleep(10 * time.Second)
			remote, account := step(8)
			if got := try(t, g, remote, account, false); got != 5*time.Second {
				t.Errorf("%s: waited %v after a pause of 10 s", name, got)
			}
			time.Sleep(forget + time.Second)
			remote, account = step(9)
			if got := try(t, g, remote, account, false); got != 0 {
				t.Errorf("%s: waited %v after %v", name, got, forget)
			}
			if got := try(t, g, remote, account, false); got != time.Second {
				t.Errorf("%s: waited %v, want the first delay again", name, got)
			}
		})
	}
}

func TestOthersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil)
		for range 6 {
			try(t, g, attacker, "u1", false)
		}
		for remote, account := range map[string]string{"192.0.2.67": "u2", "198.51.100.7": "u3", "2001:db8::1": "u4"} {
			if got := try(t, g, netip.MustParseAddr(remote), account, true); got != 0 {
				t.Errorf("%s waited %v", remote, got)
			}
		}
	})
}

// hammer runs connections that guess as fast as they are let until the context
// ends, each check taking a tenth of a second, and returns tries by minute.
func hammer(ctx context.Context, g *Guard, connections int, remote func(connection int) netip.Addr, account func(try int) string) func() []int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var minutes []int
	start, count := time.Now(), 0
	for c := range connections {
		wg.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				count++
				name := account(count)
				mu.Unlock()
				if g.Before(ctx, remote(c), name) != nil {
					// The server closes; the guesser connects again.
					time.Sleep(10 * time.Millisecond)
					continue
				}
				mu.Lock()
				minute := int(time.Since(start) / time.Minute)
				for len(minutes) <= minute {
					minutes = append(minutes, 0)
				}
				minutes[minute]++
				mu.Unlock()
				time.Sleep(100 * time.Millisecond)
				g.After(remote(c), name, false)
			}
		})
	}
	return func() []int {
		wg.Wait()
		return minutes
	}
}

// From the second minute on, 16 connections have 20 tries a minute at most, and
// the owner of the account, who is elsewhere, signs in without delay.
func TestSixteenConnections(t *testing.T) {
	for name, account := range map[string]func(int) string{
		"one account":   func(int) string { return "u1" },
		"many accounts": func(i int) string { return fmt.Sprintf("u%d", i) },
	} {
		synctest.Test(t, func(t *testing.T) {
			g := New(nil)
			try(t, g, home, "u1", true)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			wait := hammer(ctx, g, 16, func(int) netip.Addr { return attacker }, account)
			for range 15 {
				time.Sleep(time.Minute)
				if waited := try(t, g, home.Next(), "u1", true); waited != 0 {
					t.Errorf("%s: the owner waited %v", name, waited)
				}
			}
			minutes := wait()
			t.Logf("%s: tries by minute %v", name, minutes)
			if len(minutes) < 20 {
				t.Fatalf("%s: nothing was tried any more after %d minutes", name, len(minutes))
			}
			for i, n := range minutes[1:] {
				if n > 20 || n == 0 && i < 18 {
					t.Errorf("%s: %d tries in minute %d", name, n, i+2)
				}
			}
		})
	}
}

// Many addresses that guess at one account share its budget, and a whole
// network shares one too.
func TestManyAddresses(t *testing.T) {
	for _, test := range []struct {
		name    string
		remote  func(int) netip.Addr
		account func(int) string
		most    int
	}{
		{"an account", func(c int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(c), 0, 1}) }, func(int) string { return "u1" }, 20},
		{"a network", func(c int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(c)}) }, func(i int) string { return fmt.Sprint(i) }, 60},
		{"an IPv6 network", func(c int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", c)) }, func(i int) string { return fmt.Sprint(i) }, 60},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := New(nil)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			minutes := hammer(ctx, g, 100, test.remote, test.account)()
			t.Logf("%s: tries by minute %v", test.name, minutes)
			for i, n := range minutes[1:] {
				if n > test.most {
					t.Errorf("%s: %d tries in minute %d", test.name, n, i+2)
				}
			}
		})
	}
}

// A guesser beside the owner looks like the owner: he gets a few tries for
// that, and no more. In the same network the owner does not wait; at the very
// same address the two cannot be told apart, and share what there is.
func TestGuesserBesideTheOwner(t *testing.T) {
	for name, test := range map[string]struct {
		remote netip.Addr
		poll   time.Duration
	}{
		"same network":                         {home.Next(), time.Minute},
		"same network, of an owner in a hurry": {home.Next(), 200 * time.Millisecond},
		"same address":                         {home, time.Minute},
	} {
		remote := test.remote
		synctest.Test(t, func(t *testing.T) {
			g := New(nil)
			try(t, g, home, "u1", true)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			wait := hammer(ctx, g, 16, func(int) netip.Addr { return remote }, func(int) string { return "u1" })
			for ctx.Err() == nil {
				time.Sleep(test.poll)
				start := time.Now()
				err := g.Before(ctx, home, "u1")
				if err == nil {
					g.After(home, "u1", true)
				}
				if remote != home && ctx.Err() == nil && (err != nil || time.Since(start) != 0) {
					t.Errorf("%s: the owner waited %v, %v", name, time.Since(start), err)
				}
			}
			minutes := wait()
			t.Logf("%s: tries by minute %v", name, minutes)
			for i, n := range minutes[1:] {
				if n > 20 {
					t.Errorf("%s: %d tries in minute %d", name, n, i+2)
				}
			}
		})
	}
}

// An own account does not clean a guesser's slate.
func TestOwnAccountDoesNotHelpTheGuesser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		wait := hammer(ctx, g, 16, func(int) netip.Addr { return attacker }, func(i int) string { return fmt.Sprintf("u%d", i) })
		for ctx.Err() == nil {
			if g.Before(ctx, attacker, "own") == nil {
				g.After(attacker, "own", true)
			}
			time.Sleep(5 * time.Millisecond)
		}
		minutes := wait()
		t.Logf("tries by minute %v", minutes)
		for i, n := range minutes[1:] {
			if n > 20 {
				t.Errorf("%d tries in minute %d", n, i+2)
			}
		}
	})
}

// Behind one address, those who sign in with success do not pay for a device
// that keeps failing: who is known does not wait, and who is not waits once.
func TestManyHonestPeopleBehindOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 10 {
			try(t, g, home, "broken device", false)
		}
		wait := hammer(ctx, g, 1, func(int) netip.Addr { return home }, func(int) string { time.Sleep(time.Minute); return "broken device" })
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				account := fmt.Sprintf("honest %d", i)
				for {
					err := g.Before(ctx, home, account)
					if err == nil {
						break
					}
					if !errors.Is(err, ErrTooMany) {
						t.Error(err)
						return
					}
				}
				time.Sleep(20 * time.Millisecond) // the check of the password
				g.After(home, account, true)
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("200 people were in after %v", took)
		}
		for i := range 200 {
			if waited := try(t, g, home, fmt.Sprintf("honest %d", i), true); waited != 0 {
				t.Errorf("%d, who is known, waited %v", i, waited)
			}
		}
		cancel()
		wait()
	})
}

func TestKnownPairIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil)
		try(t, g, home, "u1", true)
		for _, test := range []struct {
			pause time.Duration
			want  time.Duration
		}{{29 * 24 * time.Hour, 0}, {31 * 24 * time.Hour, 15 * time.Second}} {
			time.Sleep(test.pause)
			for range 6 {
				try(t, g, attacker, "u1", false)
			}
			if got := try(t, g, home, "u1", true); got != test.want {
				t.Errorf("after %v: waited %v, want %v", test.pause, got, test.want)
			}
		}
	})
}

// A known device whose password has become wrong waits after a few tries.
func TestKnownPairHasFewTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil)
		try(t, g, home, "u1", true)
		for i := range knownTries {
			if got := try(t, g, home, "u1", false); got != 0 {
				t.Errorf("try %d waited %v", i+1, got)
			}
		}
		if got := try(t, g, home, "u1", false); got != 15*time.Second {
			t.Errorf("waited %v", got)
		}
		if got := try(t, g, home, "u1", true); got != 15*time.Second {
			t.Errorf("waited %v", got)
		}
		if got := try(t, g, home, "u1", true); got != 0 {
			t.Errorf("waited %v after a success", got)
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(&Options{MaxWait: 10 * time.Second})
		for range 5 {
			try(t, g, attacker, "u1", false)
		}
		start := time.Now()
		if err := g.Before(t.Context(), attacker, "u1"); !errors.Is(err, ErrTooMany) || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil)
		for range 5 {
			try(t, g, attacker, "u1", false)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := g.Before(ctx, attacker, "u1"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := g.Before(ctx, home, "u2"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that had ended: %v", err)
		}
	})
}

// A try whose answer never comes holds the next one back for a moment only.
func TestLostTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil)
		try(t, g, attacker, "u1", false)
		if err := g.Before(t.Context(), attacker, "u1"); err != nil {
			t.Fatal(err)
		}
		if got := try(t, g, attacker, "u1", true); got != 4*time.Second {
			t.Errorf("waited %v", got)
		}
	})
}

func TestOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := netip.MustParseAddr("127.0.0.1")
		g := New(&Options{ExemptLoopback: true, Account: func(name string) string { return name[:2] }})
		for i := range 6 {
			if got := try(t, g, local, fmt.Sprintf("%c-", 'a'+i), false); got != 0 {
				t.Errorf("loopback waited %v", got)
			}
		}
		try(t, g, home, "u1@example.org", false)
		if got := try(t, g, local, "u1@example.net", false); got != time.Second {
			t.Errorf("the same account by another name waited %v", got)
		}
		if got := try(t, New(nil), local, "u1", false); got != 0 {
			t.Errorf("the first try waited %v", got)
		}
		strict := New(nil)
		try(t, strict, local, "a", false)
		if got := try(t, strict, local, "b", false); got != time.Second {
			t.Errorf("loopback, not exempt, waited %v", got)
		}
	})
}

func BenchmarkKnownPair(b *testing.B) {
	g := New(nil)
	g.After(home, "u1", true)
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Before(b.Context(), home, "u1"); err != nil {
			b.Fatal(err)
		}
		g.After(home, "u1", true)
	}
}
