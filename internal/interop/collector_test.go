// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// collectorCommand builds restante once in this run, beside restanted.
var collectorCommand = sync.OnceValues(func() (collectorBuild, error) {
	b := collectorBuild{path: filepath.Join(filepath.Dir(restanted), "restante")}
	if out, err := exec.Command("go", "build", "-o", b.path, "restante.example/cmd/restante").CombinedOutput(); err != nil {
		return b, fmt.Errorf("building restante: %v\n%s", err, out)
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.Dir}}{{end}}{{end}}",
		"restante.example/cmd/restante").Output()
	b.sources = strings.Fields(string(out))
	return b, err
})

type collectorBuild struct {
	path    string
	sources []string
}

// restante returns the path of the command, and makes go test see that the test
// depends on its sources, as lookAtSources does.
func restante(t *testing.T) string {
	t.Helper()
	b, err := collectorCommand()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range b.sources {
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	return b.path
}

// caller is a person who collects with restante: the home directory holds the
// journal, the password and what was collected.
type caller struct {
	path, home string
	flags      []string // that name the server
}

// newCaller returns somebody who collects from address. The certificate is in ca
// where TLS is used.
func newCaller(t *testing.T, home, address, tls, ca, user, password string) *caller {
	t.Helper()
	c := &caller{path: restante(t), home: home}
	file := filepath.Join(c.home, "password")
	writeFile(t, file, password+"\n")
	c.flags = []string{"--server", address, "--tls", tls, "--user", user, "--password-file", file}
	if tls != "none" {
		c.flags = append(c.flags, "--ca", ca)
	}
	return c
}

// callerAt is the person at home who has an account of restanted.
func callerAt(t *testing.T, home string, a account) *caller {
	t.Helper()
	return newCaller(t, home, net.JoinHostPort("localhost", a.port), a.tls, a.ca, a.user, a.password)
}

// fetch collects, which must end with status 0 and say nothing of trouble.
func (c *caller) fetch(t *testing.T, args ...string) string {
	t.Helper()
	cmd := append(append([]string{"fetch"}, c.flags...), args...)
	out := execute(t, c.home, "", c.path, cmd...).must(t, 0).output
	if strings.Contains(out, "note:") || strings.Contains(out, "left on the server:") {
		t.Errorf("restante %q says:\n%s", args, out)
	}
	return out
}

// place is a place of the caller's home, as a destination and as a path.
func (c *caller) place(kind, name string) (destination, path string) {
	path = filepath.Join(c.home, name)
	return kind + ":" + path, path
}

// says checks what a run has told the person who started it.
func says(t *testing.T, output, want string) {
	t.Helper()
	if !strings.Contains(output, want) {
		t.Errorf("restante says %q, want %q in it", output, want)
	}
}

// unixAll is unix for many messages.
func unixAll(messages []string) []string {
	list := make([]string, len(messages))
	for i, m := range messages {
		list[i] = unix(account{}, m)
	}
	return list
}

// TestRestante: from restanted, in the order in which programs of others collect
// from it.
func TestRestante(t *testing.T) {
	restante(t)
	program{
		stored: unix, remembers: true,
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			c := callerAt(t, r.home, r.account)
			to, path := c.place("maildir", "Mail")
			c.fetch(t, onOff(r.remove, "--delete", "--keep"), "--to", to)
			filed := readMaildir(t, path)
			// Somebody reads the mail and throws it away, which does not make it new.
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			return filed
		},
	}.collects(t)
}
