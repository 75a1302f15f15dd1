// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"restante.example/internal/peers"
)

// TestFloodWithEveryProgram: every program there is collects once, and deletes,
// while three thousand connections say nothing and three thousand an octet a
// second. Without limits, all of them stay.
func TestFloodWithEveryProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute; run without -short")
	}
	o := startOffice(t, peers.Dir(t), "[limits]\nunauthenticated = 0\n[timeouts]\nsign_in = \"10m\"\n")
	names := slices.Sorted(maps.Keys(programs))
	accounts := map[string]account{}
	for i, name := range names {
		a := o.add(t, string(rune('a'+i))+"@example.org", "implicit")
		o.deliver(t, corpus()[0].text, a.user)
		accounts[name] = a
	}
	flooded(t, o, func(ctx context.Context) {
		list := crowd(ctx, 6000, func(int) *visitor {
			c, err := call(o.POP3, elsewhere())
			if err != nil {
				t.Error(err)
				return nil
			}
			return c
		})
		defer hangUp(list)
		dripping, stop := context.WithCancel(ctx)
		var drip sync.WaitGroup
		drip.Go(func() {
			for dripping.Err() == nil {
				for _, c := range list[:len(list)/2] {
					_, _ = c.Write([]byte("C"))
				}
				time.Sleep(time.Second)
			}
		})
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				once := programs[name](t)
				began := time.Now()
				got := once(t, run{account: accounts[name], home: newDir(t), out: newDir(t), remove: true})
				if got.code != 0 {
					t.Errorf("exit code %d\n%s", got.code, got.output)
				}
				waitFor(t, "the end of the session", func() bool { return len(o.sessions(t, accounts[name].user)) > 0 })
				if s := o.sessions(t, accounts[name].user)[0]; s.End != "quit" || s.Retrieved != 1 {
					t.Errorf("the session: %+v", s)
				}
				t.Logf("collected in %v", time.Since(began).Round(time.Millisecond))
			})
		}
		stop()
		drip.Wait()
		for _, end := range []string{"made room", "sign-in too slow"} {
			if n := strings.Count(o.log.String(), `"end":"`+end+`"`); n > 0 {
				t.Errorf("%d connections have ended meanwhile: %s", n, end)
			}
		}
	})
	o.atMost(t, 256)
}
