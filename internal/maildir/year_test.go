// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"fmt"
	"testing"
	"time"

	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

// A year with three devices, an undelete and a reset now and then: journal,
// trace and holding area do not grow without bound.
func TestYear(t *testing.T) {
	days := 365
	if testing.Short() {
		days = 60
	}
	sizes := year(t, days)
	t.Logf("%d octets of journal, %d of trace, %d held after %d days; at most %d, %d, %d", sizes.now[0], sizes.now[1], sizes.now[2], days, sizes.most[0], sizes.most[1], sizes.most[2])
	if sizes.most[0] > 4*compactAt || sizes.most[1] > maxTrace+maxTrace/8 || sizes.most[2] > 8*30 {
		t.Errorf("they grew too large: %d octets of journal, %d of trace, %d held", sizes.most[0], sizes.most[1], sizes.most[2])
	}
}

type yearly struct{ now, most [3]int64 }

func year(t testing.TB, days int) (y yearly) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := keepingOn(t, f, c.Now, &maildrop.Rules{KeepRemoved: 7 * 24 * time.Hour})
	views := []maildrop.View{"", "phone", "tablet"}
	for _, v := range views[1:] {
		addView(t, s, v, time.Time{})
	}
	for day := range days {
		for n := range 24 {
			deliver(t, s, fmt.Sprintf("%d %d", day, n))
			c.add(time.Hour)
		}
		for _, v := range views {
			sn := openView(t, s, v)
			var all []int
			for n := range sn.Len() {
				sn.(maildrop.Noter).NoteRetrieved(n + 1)
				all = append(all, n+1)
			}
			if _, err := sn.Remove(context.Background(), all); err != nil {
				t.Fatal(err)
			}
			if v == "phone" && day%10 == 0 {
				if err := s.ResetView(context.Background(), "u", v, time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			sn.Close()
		}
		if day%30 == 7 {
			undelete(t, s, maildrop.Selection{Since: c.Now().Add(-time.Hour)})
		}
		if err := s.Sweep(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"restante.journal", "restante.trace"} {
			info, err := f.Stat("mail/u/" + name)
			if err != nil {
				t.Fatal(err)
			}
			y.now[i] = info.Size
		}
		held, _, err := s.Held(context.Background(), "u")
		if err != nil {
			t.Fatal(err)
		}
		y.now[2] = int64(held)
		for i := range y.now {
			y.most[i] = max(y.most[i], y.now[i])
		}
	}
	return y
}
