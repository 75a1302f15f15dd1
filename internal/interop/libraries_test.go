// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// TestNetPOP: Ruby's. It knows no STLS.
func TestNetPOP(t *testing.T) {
	ruby := peers.Need(t, "ruby")
	program{
		stored: asIs, transports: []string{"none", "implicit"},
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string { return script(t, r, ruby, "collect.rb") },
	}.collects(t)
}

// TestRubyMail: the library Mail, which signs in by net/pop.
func TestRubyMail(t *testing.T) {
	ruby := peers.Need(t, "ruby")
	program{
		stored: asIs, transports: []string{"none", "implicit"},
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string { return script(t, r, ruby, "mail.rb") },
	}.collects(t)
}

// javaMail is one of the two names that Java's mail library goes by.
type javaMail struct {
	name, jar, activation string
}

var (
	javaxMail   = javaMail{"javax.mail", "javax.mail.jar", "javax.activation.jar"}
	jakartaMail = javaMail{"jakarta.mail", "jakarta-mail.jar", "jakarta-activation.jar"}
)

// compiled compiles the program against the library and returns what java is
// started with.
func (j javaMail) compiled(t *testing.T) []string {
	t.Helper()
	compiler := peers.Need(t, "ecj")
	var path []string
	for _, jar := range []string{j.jar, j.activation} {
		path = append(path, filepath.Join("/usr/share/java", jar))
		if _, err := os.Stat(path[len(path)-1]); err != nil {
			peers.Missing(t, "%v: apt-get install libmail-java libjakarta-mail-java, or ./check", err)
		}
	}
	text, err := os.ReadFile("testdata/Collect.java")
	if err != nil {
		t.Fatal(err)
	}
	dir := newDir(t)
	source := filepath.Join(dir, "Collect.java")
	writeFile(t, source, strings.ReplaceAll(string(text), "jakarta.mail", j.name))
	classpath := strings.Join(path, ":")
	execute(t, dir, "", compiler, "-17", "-nowarn", "-proc:none", "-cp", classpath, "-d", dir, source).must(t, 0)
	return []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", dir + ":" + classpath, "Collect"}
}

// runJava runs the program once.
func runJava(t *testing.T, java string, command []string, r run) result {
	t.Helper()
	args := append(slices.Clone(command), scriptArgs(t, r, "")[1:]...)
	return execute(t, r.home, r.password, java, args...)
}

// TestJavaMail: under its two names, which share the code that collects.
func TestJavaMail(t *testing.T) {
	java := peers.Need(t, "java")
	transports := map[javaMail][]string{javaxMail: {"stls"}, jakartaMail: {"none", "implicit"}}
	for j, known := range transports {
		t.Run(j.name, func(t *testing.T) {
			command := j.compiled(t)
			program{
				stored: asIs, transports: known,
				letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
				collect: func(t *testing.T, r run) []string {
					runJava(t, java, command, r).must(t, 0)
					return readDir(t, r.out)
				},
			}.collects(t)
		})
	}
}
