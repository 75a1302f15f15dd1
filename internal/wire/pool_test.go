// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"strings"
	"testing"
)

// lengths returns how long each write was.
func (w *writes) lengths() (list []int) {
	for _, p := range w.pieces {
		list = append(list, len(p))
	}
	return list
}

func TestLongBufferIsForFew(t *testing.T) {
	pool := NewGrowingPool(1024, 8192, 1)
	answer := strings.Repeat("x", 5000)
	longest := func(w *Writer, out *writes) (most int) {
		t.Helper()
		out.pieces = nil
		w.WriteString(answer)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(out.pieces, ""); got != answer {
			t.Fatalf("%d octets went out of %d", len(got), len(answer))
		}
		for _, n := range out.lengths() {
			most = max(most, n)
		}
		return most
	}
	var first, second writes
	a, b := NewWriter(&first, pool), NewWriter(&second, pool)
	a.WriteString(answer)
	if n := longest(b, &second); n > 1024 {
		t.Errorf("the second has written %d octets at once", n)
	}
	for name, end := range map[string]func(){
		"Flush":   func() { _ = a.Flush() },
		"Reset":   func() { a.Reset(&first) },
		"Release": a.Release,
	} {
		a.WriteString(answer)
		end()
		if n := longest(b, &second); n != len(answer) {
			t.Errorf("after %s of the first the second has written %d octets at once", name, n)
		}
	}
	if b.WriteString("short"); b.held.long {
		t.Error("a short answer has a long buffer")
	}
}

func TestPrepare(t *testing.T) {
	for _, c := range []struct {
		before, octets, sent int
	}{
		{0, 100, 0}, {1000, 100, 0}, // grows
		{3000, 5000, 0}, {3000, 5193, 3000}, // does not fit, and much is there
		{2000, 1 << 30, 0}, {2100, 1 << 30, 2100}, // whether it is worth a write of its own
	} {
		var out writes
		w := NewWriter(&out, NewGrowingPool(1024, 8192, 1))
		w.WriteString(strings.Repeat("x", c.before))
		if err := w.Prepare(int64(c.octets)); err != nil {
			t.Fatal(err)
		}
		if w.Sent() != int64(c.sent) {
			t.Errorf("%d octets in front of %d: %d were sent, want %d", c.before, c.octets, w.Sent(), c.sent)
		}
		mark, sent := w.Buffered(), w.Sent()
		w.WriteString(strings.Repeat("x", min(c.octets, 8192-2048)))
		if taken := w.Truncate(mark, sent); !taken && c.octets < 8192-2048 {
			t.Errorf("%d octets in front of %d: they cannot be taken back", c.before, c.octets)
		}
	}
}
