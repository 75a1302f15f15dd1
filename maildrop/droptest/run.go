// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A check shows one thing that the contract says.
type check struct {
	name string
	run  func(t testing.TB, cfg Config)
}

// Run runs the whole suite, a subtest per check.
func Run(t *testing.T, cfg Config) {
	for _, c := range checks() {
		if cfg.runs(c.name) {
			t.Run(c.name, func(t *testing.T) { c.run(t, cfg) })
		}
	}
}

// Names returns the names of all checks, in the order in which they run.
func Names() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// Failures runs the suite without failing t and returns what the checks that
// failed said, by their names. It is for stores that are wrong on purpose:
// they show that the checks can fail.
func Failures(t testing.TB, cfg Config) map[string]string {
	t.Helper()
	failures := make(map[string]string)
	for _, c := range checks() {
		if !cfg.runs(c.name) {
			continue
		}
		r := &recorder{TB: t}
		r.do(func() { c.run(r, cfg) })
		if r.Failed() {
			failures[c.name] = r.said()
		}
	}
	return failures
}

func (cfg Config) runs(name string) bool {
	return len(cfg.Only) == 0 || slices.Contains(cfg.Only, name)
}

// recorder is a testing.TB that writes down what a check says instead of
// failing the test.
type recorder struct {
	testing.TB
	mu      sync.Mutex
	failed  bool
	skipped bool
	lines   []string
	cleanup []func()
}

// do runs f as a test is run: in a goroutine of its own, which FailNow ends.
func (r *recorder) do(f func()) {
	for _, f := range append([]func(){f}, func() { r.cleanUp() }) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				// A wrong store may well panic; that is caught too.
				if p := recover(); p != nil {
					r.Errorf("panic: %v", p)
				}
			}()
			f()
		}()
		<-done
	}
}

func (r *recorder) cleanUp() {
	for {
		r.mu.Lock()
		if len(r.cleanup) == 0 {
			r.mu.Unlock()
			return
		}
		f := r.cleanup[len(r.cleanup)-1]
		r.cleanup = r.cleanup[:len(r.cleanup)-1]
		r.mu.Unlock()
		f()
	}
}

func (r *recorder) say(s string, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, s)
	r.failed = r.failed || failed
}

func (r *recorder) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanup = append(r.cleanup, f)
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Skipped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.skipped
}

func (r *recorder) skip(s string) {
	r.say(s, false)
	r.mu.Lock()
	r.skipped = true
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) fatal(s string) {
	r.say(s, true)
	runtime.Goexit()
}

func (r *recorder) Helper()                    {}
func (r *recorder) Log(args ...any)            { r.say(fmt.Sprint(args...), false) }
func (r *recorder) Logf(f string, args ...any) { r.say(fmt.Sprintf(f, args...), false) }
func (r *recorder) Error(args ...any)          { r.say(fmt.Sprint(args...), true) }
func (r *recorder) Errorf(f string, args ...any) {
	r.say(fmt.Sprintf(f, args...), true)
}
func (r *recorder) Fail()                        { r.say("failed", true) }
func (r *recorder) FailNow()                     { r.fatal("failed") }
func (r *recorder) Fatal(args ...any)            { r.fatal(fmt.Sprint(args...)) }
func (r *recorder) Fatalf(f string, args ...any) { r.fatal(fmt.Sprintf(f, args...)) }
func (r *recorder) Skip(args ...any)             { r.skip(fmt.Sprint(args...)) }
func (r *recorder) Skipf(f string, args ...any)  { r.skip(fmt.Sprintf(f, args...)) }
func (r *recorder) SkipNow()                     { r.skip("skipped") }
