// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"restante.example/internal/peers"
)

// collector is a mail program on a device of its own, with its default: what it
// has collected it deletes.
type collector struct {
	name string
	// stored is what it makes of a message, as in program.
	stored func(a account, message string) string
	// once collects and deletes what is there.
	once func(t *testing.T, r run)
	// filed reads what it has filed.
	filed func(t *testing.T, dir string) []string
	r     run
}

// deviceCollectors are the four programs that people collect with. Each works
// in its own way of connecting.
func deviceCollectors(t *testing.T) []*collector {
	mpop, fetchmail, getmail, curl := peers.Need(t, "mpop"), peers.Need(t, "fetchmail"), peers.Need(t, "getmail"), peers.Need(t, "curl")
	return []*collector{
		{name: "mpop", stored: unix, filed: readMaildir,
			once: func(t *testing.T, r run) { runMpop(t, mpop, r).must(t, 0) }},
		{name: "fetchmail", filed: readDir,
			stored: func(_ account, message string) string { return strings.ReplaceAll(message, "\r", "") },
			once:   func(t *testing.T, r run) { fetch(t, fetchmail, r).must(t, 0, 1) }}, // 1 is: no new mail
		{name: "getmail", filed: readDir,
			stored: func(_ account, message string) string { return getmailEnds.ReplaceAllString(message, "\n") },
			once:   func(t *testing.T, r run) { runGetmail(t, getmail, r).must(t, 0) }},
		{name: "curl", stored: asIs, filed: readDir,
			once: func(t *testing.T, r run) { curlAndDelete(t, curl, r) }},
	}
}

// curlAndDelete collects with curl, which knows no more than commands: the
// numbers, each message, and then the deletion of those.
func curlAndDelete(t *testing.T, curl string, r run) {
	t.Helper()
	before := len(readDir(t, r.out))
	into := r
	into.out = newDir(t)
	numbers := curlAll(t, into)
	// A deletion is a session of its own, in which the numbers are those of the
	// first session: nothing leaves this view but by this device, and what comes
	// meanwhile comes behind.
	var urls strings.Builder
	for i, n := range numbers {
		if err := os.Rename(filepath.Join(into.out, n), filepath.Join(r.out, fmt.Sprint(before+i))); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&urls, "next\n%shead\nrequest = \"DELE %s\"\nurl = %q\n", curlConfig(r.account), n, r.url(""))
	}
	if len(numbers) > 0 {
		execute(t, r.home, strings.TrimPrefix(urls.String(), "next\n"), curl, "-K", "-").must(t, 0)
	}
}

var appPassword = regexp.MustCompile(`(?:[a-z2-9]{4}-){7}[a-z2-9]{4}`)

// equip gives each program a device of the user with a password of its own.
func (o *office) equip(t *testing.T, user, tls string, programs []*collector) {
	t.Helper()
	address := o.POP3S
	if tls == "stls" {
		address = o.POP3
	}
	for _, p := range programs {
		password := appPassword.FindString(o.run(t, "", "device", "add", user, p.name))
		if password == "" {
			t.Fatalf("no password was shown for %s", p.name)
		}
		_, port, _ := strings.Cut(address, ":")
		p.r = run{home: newDir(t), out: newDir(t), remove: true,
			account: account{user: user, password: password, tls: tls, port: port, ca: o.CAFile}}
	}
}

// TestDevicesOneAfterAnother: each program collects everything, whatever the
// ones before it have deleted, and the last one takes it from the disk.
func TestDevicesOneAfterAnother(t *testing.T) {
	t.Parallel()
	programs := deviceCollectors(t)
	o := openOffice(t)
	user := "ana@example.org"
	o.add(t, user, "implicit")
	letters := deviceLetters()
	// Each order has another one last.
	for turn := range programs {
		if turn == 0 {
			o.equip(t, user, "implicit", programs)
			o.run(t, "", "device", "main", user, "refused")
		}
		for _, l := range letters {
			o.deliver(t, l.text, user)
		}
		for i := range programs {
			if got := len(o.held(t, user)); got != len(letters) {
				t.Errorf("turn %d: %d messages are on the disk before program %d, want %d", turn, got, i, len(letters))
			}
			p := programs[(turn+i)%len(programs)]
			p.once(t, p.r)
			p.once(t, p.r) // there is nothing more
			if t.Failed() {
				t.Fatalf("turn %d, %s", turn, p.name)
			}
		}
		if left := o.held(t, user); len(left) != 0 {
			t.Errorf("turn %d: %d messages are on the disk after the last one", turn, len(left))
		}
	}
	checkCollected(t, programs, user, letters, len(programs))
}

// TestDevicesInterleaved: all collect at the same time, again and again, while
// mail comes in.
func TestDevicesInterleaved(t *testing.T) {
	t.Parallel()
	programs := deviceCollectors(t)
	o := openOffice(t)
	user := "ana@example.org"
	main := o.add(t, user, "implicit")
	o.equip(t, user, "implicit", programs)
	letters := deviceLetters()
	var wg sync.WaitGroup
	for _, p := range programs {
		wg.Go(func() {
			for range 4 {
				p.once(t, p.r)
			}
		})
	}
	const rounds = 3
	for range rounds {
		for _, l := range letters {
			o.deliver(t, l.text, user)
		}
	}
	wg.Wait()
	// The user's own password is one more device, which has collected nothing.
	if got := len(o.held(t, user)); got != rounds*len(letters) {
		t.Errorf("%d messages are on the disk, want %d", got, rounds*len(letters))
	}
	for _, p := range programs {
		p.once(t, p.r)
	}
	checkCollected(t, programs, user, letters, rounds)
	curlAndDelete(t, peers.Need(t, "curl"), run{account: main, home: newDir(t), out: newDir(t), remove: true})
	if left := o.held(t, user); len(left) != 0 {
		t.Errorf("%d messages are on the disk after the last one", len(left))
	}
}

// deviceLetters are letters that every program takes as they are, but for the
// ends of lines.
func deviceLetters() []letter {
	var list []letter
	for _, l := range corpus() {
		if l.name != "no body" {
			list = append(list, l)
		}
	}
	return list
}

// checkCollected checks that each program has filed every letter as often as it
// was delivered.
func checkCollected(t *testing.T, programs []*collector, user string, letters []letter, times int) {
	t.Helper()
	for _, p := range programs {
		var want []string
		for range times {
			for _, l := range letters {
				want = append(want, p.stored(p.r.account, wire(user, l.text)))
			}
		}
		same(t, p.name, p.filed(t, p.r.out), want)
	}
}
