// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// TestLargeLetters: 10 MB in one line, and 100 MB of lines, of which every third
// begins with a dot.
func TestLargeLetters(t *testing.T) {
	if testing.Short() {
		t.Skip("a message of 100 MB: go test without -short, or ./check")
	}
	t.Parallel()
	curl, mpop := peers.Need(t, "curl"), peers.Need(t, "mpop")
	letters := []string{
		header("one line") + "\r\n" + strings.Repeat("ten million", 10<<20/11),
		header("many lines") + "\r\n" + strings.Repeat("a line\r\n.a line with a dot\r\n\r\n", 100<<20/30),
	}
	o := openOffice(t)
	a := o.add(t, "ana@example.org", "implicit")
	var whole, unixEnds []string
	for _, l := range letters {
		o.deliver(t, l, a.user)
		m := wire(a.user, l)
		whole, unixEnds = append(whole, m), append(unixEnds, unix(a, m))
	}
	r := run{account: a, home: newDir(t), out: newDir(t)}
	if n := curlAll(t, r); len(n) != len(letters) {
		t.Fatalf("%s lists %q", curl, n)
	}
	same(t, "curl", readDir(t, r.out), whole)
	r.out, r.remove = newDir(t), true
	runMpop(t, mpop, r).must(t, 0)
	same(t, "mpop", readMaildir(t, r.out), unixEnds)
	same(t, "on the server", o.held(t, a.user), nil)
}
