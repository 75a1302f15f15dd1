// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"path/filepath"
	"testing"

	"restante.example/internal/peers"
)

// TestDevicesWithWindows: three programs that people look at, each a device of
// its own that deletes what it has collected. Each collects everything, by STLS,
// and the last one takes it from the disk.
func TestDevicesWithWindows(t *testing.T) {
	t.Parallel()
	thunderbird, claws, sylpheed, display := peers.Need(t, "thunderbird"), peers.Need(t, "claws-mail"), peers.Need(t, "sylpheed"), openDisplay(t)
	mh := func(t *testing.T, dir string) []string { return readMH(t, filepath.Join(dir, "Mail", "inbox")) }
	programs := []*collector{
		{name: "Thunderbird", stored: unix,
			once:  func(t *testing.T, r run) { runThunderbird(t, thunderbird, r).must(t, 0) },
			filed: readThunderbird},
		{name: "Claws", stored: unix, filed: mh,
			once: func(t *testing.T, r run) { runClaws(t, display, claws, r) }},
		{name: "Sylpheed", stored: unix, filed: mh,
			once: func(t *testing.T, r run) { runSylpheed(t, display, sylpheed, r) }},
	}
	o := openOffice(t)
	user := "ana@example.org"
	o.add(t, user, "stls")
	o.equip(t, user, "stls", programs)
	o.run(t, "", "device", "main", user, "refused")
	letters := deviceLetters()
	for _, l := range letters {
		o.deliver(t, l.text, user)
	}
	for _, p := range programs {
		p.r.out = p.r.home
		if got := len(o.held(t, user)); got != len(letters) {
			t.Errorf("%d messages are on the disk before %s, want %d", got, p.name, len(letters))
		}
		p.once(t, p.r)
	}
	checkCollected(t, programs, user, letters, 1)
	waitFor(t, "three sessions", func() bool { return len(o.sessions(t, user)) == len(programs) })
	for i, s := range o.sessions(t, user) {
		if i == 0 && s.Mechanism != "PLAIN" || s.TLS == "" || s.Retrieved != len(letters) || s.Deleted != len(letters) {
			t.Errorf("the session: %+v", s)
		}
	}
	if left := o.held(t, user); len(left) != 0 {
		t.Errorf("%d messages are on the disk after the last one", len(left))
	}
}
