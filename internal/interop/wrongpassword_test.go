// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// attempt is a program that collects once, to be told that the password is wrong.
type attempt struct {
	program string
	once    func(t *testing.T, r run) result
	// code is how it ends, and says is in what it tells the person.
	code int
	says string
	// tries is how often it tries the password; 0 means once.
	tries int
}

// attempts are the programs that have no place in TestRefusalsAreUnderstood.
func attempts(t *testing.T) []attempt {
	scripted := func(name, path string) func(t *testing.T, r run) result {
		interpreter := peers.Need(t, name)
		return func(t *testing.T, r run) result {
			return execute(t, r.home, r.password, interpreter, scriptArgs(t, r, path)...)
		}
	}
	curl, getmail, snail, java := peers.Need(t, "curl"), peers.Need(t, "getmail"), peers.Need(t, "s-nail"), peers.Need(t, "java")
	thunderbird := peers.Need(t, "thunderbird")
	sylpheed, claws, display := peers.Need(t, "sylpheed"), peers.Need(t, "claws-mail"), openDisplay(t)
	const said = `\[AUTH\] wrong name or password`
	class := jakartaMail.compiled(t)
	return []attempt{
		{program: "curl", code: 67, says: "Login denied", once: func(t *testing.T, r run) result {
			return execute(t, r.home, curlConfig(r.account)+fmt.Sprintf("url = %q\n", r.url("")), curl, "-K", "-")
		}},
		{program: "getmail", code: 127, says: said, once: func(t *testing.T, r run) result { return runGetmail(t, getmail, r) }},
		{program: "s-nail", says: said, once: func(t *testing.T, r run) result { return runSNail(t, snail, r) }},
		{program: "Python", code: 1, says: said, once: scripted("python3", "collect.py")},
		{program: "Perl", code: 255, says: said, once: scripted("perl", "collect.pl")},
		{program: "Ruby", code: 1, says: said, once: scripted("ruby", "collect.rb")},
		{program: "Mail", code: 1, says: said, once: scripted("ruby", "mail.rb")},
		{program: "Java", code: 1, says: said, once: func(t *testing.T, r run) result { return runJava(t, java, class, r) }},
		{program: "Thunderbird", code: 1, tries: 3, says: "Login to server localhost with username ana@example.org failed", once: func(t *testing.T, r run) result {
			return runThunderbird(t, thunderbird, r)
		}},
		{program: "Sylpheed", says: said, once: func(t *testing.T, r run) result {
			return result{output: runSylpheed(t, display, sylpheed, r)}
		}},
		{program: "Claws Mail", says: said, once: func(t *testing.T, r run) result {
			return result{output: runClaws(t, display, claws, r)}
		}},
	}
}

// TestWrongPasswordIsSaid: each program ends with a failure and shows what the
// server says.
func TestWrongPasswordIsSaid(t *testing.T) {
	for _, p := range attempts(t) {
		t.Run(p.program, func(t *testing.T) {
			t.Parallel()
			// Each has its own, since what is wrong again is answered later and later.
			o := openOffice(t)
			right := o.add(t, "ana@example.org", "implicit")
			o.deliver(t, corpus()[0].text, right.user)
			r := run{account: right, home: newDir(t), out: newDir(t), remove: true}
			r.password = "not the password"
			got := p.once(t, r)
			if got.code != p.code || !regexp.MustCompile(p.says).MatchString(got.output) {
				t.Errorf("exit code %d\n%s", got.code, got.output)
			}
			if n := strings.Count(o.log.String(), `"msg":"sign-in refused"`); n != cmp.Or(p.tries, 1) {
				t.Errorf("the server refused %d sign-ins\n%s", n, o.log)
			}
			same(t, "on the server", o.held(t, right.user), []string{wire(right.user, corpus()[0].text)})
		})
	}
}
