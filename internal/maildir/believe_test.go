// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/fsx/memfs"
)

// A wrong W= beside a right S= is found out before anything is announced where
// the file is short, and W= is believed where the file is long and it can be true.
func TestBelievingOtherNames(t *testing.T) {
	both(t, func(t *testing.T, f fsx.FS, now func() time.Time) {
		short := "Subject: x\n\nthree lines\n"
		exact := strings.Repeat("0123456\n", chunk/8)
		long := exact + "and a little more"
		for name, text := range map[string]string{
			fmt.Sprintf("cur/100.a,S=%d,W=%d:2,S", len(short), len(short)+1):              short, // three bare LF
			fmt.Sprintf("cur/101.b,S=%d,W=%d:2,S", len(short), 2*len(short)):              short,
			fmt.Sprintf("cur/102.c,S=%d,W=%d:2,S", len(exact), len(exact)):                exact,
			fmt.Sprintf("cur/103.d,S=%d,W=%d:2,S", len(long), len(long)+chunk/8):          long,
			fmt.Sprintf("cur/104.e,S=%d,W=%d:2,S", len(long), 2*len(long)+1):              long,
			fmt.Sprintf("cur/105.f,S=%d,W=%d:2,S", len(long)+1, len(long)+1+chunk/8):      long,
			fmt.Sprintf("cur/106.g,S=%d,W=%d:2,S", len(long)+1, len(long)+2+chunk/8):      long + "\n",
			fmt.Sprintf("cur/107.h,S=%d,W=%d:2,S", 5*chunk, 5*chunk):                      short, // a lie that looks long
			fmt.Sprintf("cur/108.i,S=%d,W=%d:2,S", len(short), len(short)+1) + ",unknown": short,
		} {
			dropFile(t, f, name, text)
		}
		later(now)
		s := storeOn(t, f, now)
		sn := openView(t, s, "")
		defer sn.Close()
		if sn.Len() != 9 {
			t.Fatalf("%d messages", sn.Len())
		}
		for n := 1; n <= sn.Len(); n++ {
			text, err := readAll(sn, n)
			if err != nil || int64(len(text)) != sn.Info(n).Size {
				t.Errorf("%s: %d octets announced, %d read, %v", sn.Info(n).UID, sn.Info(n).Size, len(text), err)
			}
			e := sn.(*snapshot).at(n)
			if believed := !e.has(hasCRC); believed != (e.uid == "103.d" || e.uid == "106.g") {
				t.Errorf("%s: W= was believed: %v", e.uid, believed)
			}
		}
	})
}

// A short file that is changed between two looks, in the tick of the clock, is
// read once more in the way that notices.
func TestReadingWhatWasJustChanged(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	dropFile(t, f, "new/100.a", "first\n")
	s := storeOn(t, f, c.Now)
	sn := openView(t, s, "")
	if !sn.(*snapshot).at(1).has(isFresh | hasCRC) {
		t.Error("a file of this instant is not marked as one")
	}
	sn.Close()
	c.add(time.Second)
	s = storeOn(t, f, c.Now)
	sn = openView(t, s, "")
	defer sn.Close()
	if e := sn.(*snapshot).at(1); e.has(isFresh) || !e.has(hasCRC) {
		t.Error("a file that has come to rest is taken for a fresh one")
	}
}
