// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"path/filepath"
	"testing"

	"restante.example/internal/peers"
)

// collects is a program that is ready to collect once.
type collects func(t *testing.T, r run) result

// programs gets each program ready, by name, or skips the test of one that is
// not installed.
var programs = map[string]func(t *testing.T) collects{
	"curl": func(t *testing.T) collects { // which takes the first message
		curl := peers.Need(t, "curl")
		return func(t *testing.T, r run) result {
			config := curlConfig(r.account) + fmt.Sprintf("url = %q\noutput = %q\n", r.url("1"), filepath.Join(r.out, "1"))
			return execute(t, r.home, config, curl, "-K", "-")
		}
	},
	"mpop":        by("mpop", runMpop),
	"fetchmail":   by("fetchmail", fetch),
	"getmail":     by("getmail", runGetmail),
	"s-nail":      by("s-nail", runSNail),
	"Python":      byScript("python3", "collect.py"),
	"Perl":        byScript("perl", "collect.pl"),
	"Ruby":        byScript("ruby", "collect.rb"),
	"Mail":        byScript("ruby", "mail.rb"),
	"Thunderbird": by("thunderbird", runThunderbird),
	"Sylpheed":    onDisplay("sylpheed", runSylpheed),
	"Claws Mail":  onDisplay("claws-mail", runClaws),
	"mutt": func(t *testing.T) collects {
		mutt, pty := peers.Need(t, "mutt"), peers.Need(t, "script")
		return func(t *testing.T, r run) result { return runMutt(t, mutt, pty, r) }
	},
	"Java": func(t *testing.T) collects {
		java, command := peers.Need(t, "java"), jakartaMail.compiled(t)
		return func(t *testing.T, r run) result { return runJava(t, java, command, r) }
	},
}

func by(program string, once func(t *testing.T, path string, r run) result) func(t *testing.T) collects {
	return func(t *testing.T) collects {
		path := peers.Need(t, program)
		return func(t *testing.T, r run) result { return once(t, path, r) }
	}
}

func byScript(interpreter, name string) func(t *testing.T) collects {
	return by(interpreter, func(t *testing.T, path string, r run) result {
		return execute(t, r.home, r.password, path, scriptArgs(t, r, name)...)
	})
}

func onDisplay(program string, once func(t *testing.T, display, path string, r run) result) func(t *testing.T) collects {
	return func(t *testing.T) collects {
		path, display := peers.Need(t, program), openDisplay(t)
		return func(t *testing.T, r run) result { return once(t, display, path, r) }
	}
}
