// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"strings"
	"testing"
)

// TestWrongPasswordIsSaid: each program tells the person, most of them in the
// words of the server. Some end with exit code 0 all the same.
func TestWrongPasswordIsSaid(t *testing.T) {
	const said = "[AUTH] wrong name or password"
	for _, p := range []struct {
		program string
		code    int
		says    string
		tries   int // how often it tries the password
	}{
		{"curl", 67, "Login denied", 1},
		{"mpop", 77, "authentication failed (method PLAIN)", 1},
		{"fetchmail", 3, "Authorization failure", 1},
		{"getmail", 127, said, 1},
		{"mutt", 0, "Login failed", 2},
		{"s-nail", 0, said, 1},
		{"Python", 1, said, 1},
		{"Perl", 255, said, 1},
		{"Ruby", 1, said, 1},
		{"Mail", 1, said, 1},
		{"Java", 1, said, 1},
		{"Thunderbird", 1, "Login to server localhost with username ana@example.org failed", 3},
		{"Sylpheed", 0, said, 1},
		{"Claws Mail", 0, said, 1},
	} {
		t.Run(p.program, func(t *testing.T) {
			t.Parallel()
			once := programs[p.program](t)
			// Each has its own, since what is wrong again is answered later and later.
			o := openOffice(t)
			right := o.add(t, "ana@example.org", "implicit")
			o.deliver(t, corpus()[0].text, right.user)
			r := run{account: right, home: newDir(t), out: newDir(t), remove: true}
			r.password = "not the password"
			got := once(t, r)
			if got.code != p.code || !strings.Contains(got.output, p.says) {
				t.Errorf("exit code %d\n%s", got.code, got.output)
			}
			waitFor(t, "the end of the session", func() bool { return strings.Contains(o.log.String(), `"msg":"session ended"`) })
			if n := strings.Count(o.log.String(), `"msg":"sign-in refused"`); n != p.tries {
				t.Errorf("the server refused %d sign-ins\n%s", n, o.log)
			}
			same(t, "on the server", o.held(t, right.user), []string{wire(right.user, corpus()[0].text)})
		})
	}
}
