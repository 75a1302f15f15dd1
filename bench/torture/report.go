// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// mostBroken is how many broken promises are told; one is enough.
const mostBroken = 30

// report collects what happens.
type report struct {
	options
	began time.Time
	log   io.Writer

	mu       sync.Mutex
	counts   map[string]int
	left     []string // what was left out, and why
	notes    []string
	breaches []string
	trouble  string // what goes on
	waits    []wait
	starts   []time.Duration
	peak     int64
	peakIn   string
	troubles []string
	ledgers  []*ledger
	stop     func() // ends the run early
}

// wait is how long an honest user waited for a sign-in, and meanwhile what.
type wait struct {
	trouble string
	took    time.Duration
}

// count adds to a figure and returns it.
func (r *report) count(what string, n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what] += n
	return r.counts[what]
}

// leftOut says what was not done and why.
func (r *report) leftOut(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := fmt.Sprintf(format, args...); !slices.Contains(r.left, s) {
		r.left = append(r.left, s)
	}
}

// note tells of something that is worth knowing and breaks no promise.
func (r *report) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := fmt.Sprintf("%s, during %s: %s", time.Since(r.began).Round(time.Millisecond), r.during(), fmt.Sprintf(format, args...))
	if len(r.notes) < mostBroken {
		r.notes = append(r.notes, s)
	}
	fmt.Fprintln(r.log, "torture:", s)
}

// broken tells of a broken promise.
func (r *report) broken(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := fmt.Sprintf("%s, during %s: %s", time.Since(r.began).Round(time.Millisecond), r.during(), fmt.Sprintf(format, args...))
	r.breaches = append(r.breaches, s)
	if len(r.breaches) <= mostBroken {
		fmt.Fprintln(r.log, "torture: BROKEN:", s)
	}
	if r.first && r.stop != nil {
		r.stop()
	}
}

func (r *report) isBroken() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.breaches) > 0
}

// calm is what goes on when nothing is made to go wrong.
const calm = "calm"

// powerCutName names the trouble that can have a report of its own.
const powerCutName = "power cut"

// Names of troubles in which system calls fail.
const (
	failingName    = "failing "
	fewDescriptors = "few descriptors"
)

func (r *report) during() string { return cmp.Or(r.trouble, calm) }

// begin notes which trouble goes on from now; "" is none.
func (r *report) begin(trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
	if trouble != "" {
		r.troubles = append(r.troubles, trouble)
		fmt.Fprintf(r.log, "torture: %s: %s\n", time.Since(r.began).Round(time.Second), trouble)
	}
}

func (r *report) now() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.during()
}

// failing is true while system calls fail.
func (r *report) failing() bool {
	now := r.now()
	return strings.HasPrefix(now, failingName) || now == fewDescriptors
}

func (r *report) waited(trouble string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits = append(r.waits, wait{trouble, took})
}

func (r *report) restarted(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts = append(r.starts, took)
}

func (r *report) memory(octets int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if octets > r.peak {
		r.peak, r.peakIn = octets, r.during()
	}
}

func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

// command is what makes such a run again.
func (o *options) command() string {
	text := fmt.Sprintf("go run ./bench/torture -time %s -seed %d", o.time, o.seed)
	if o.only != "" {
		text += " -only '" + o.only + "'"
	}
	if o.fs != "ext4" {
		text += " -fs " + o.fs
	}
	if o.crowd != crowdSize {
		text += fmt.Sprintf(" -crowd %d", o.crowd)
	}
	return text
}

// title says what kind of a run it was.
func (o *options) title() string {
	for word := range strings.SplitSeq(o.only, ",") {
		if word = strings.TrimSpace(word); word == "" || !strings.HasPrefix(powerCutName, word) {
			return "Torture"
		}
	}
	return "Power cuts"
}

// markdown is the report as a text.
func (r *report) markdown() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# %s\n", r.title())
	p("    %s\n", r.command())
	p("%s/%s, %d processors, %s; %s in all.\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		time.Since(r.began).Round(time.Second))
	if r.faults != "" {
		p("The server was built wrong on purpose: %s.\n", r.faults)
	}
	p("## The promise\n")
	if len(r.breaches) == 0 {
		p("Kept. Nothing that was accepted is lost, nothing was deleted without QUIT, nothing that was removed or refused")
		p("came back, no part of a message was served, nothing is there twice, no UID named two messages, and STAT, LIST")
		p("and RETR agreed to the octet.\n")
	} else {
		p("**Broken, %d times:**\n", len(r.breaches))
		for _, s := range r.breaches[:min(len(r.breaches), mostBroken)] {
			p("- %s", strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  "))
		}
		p("")
	}
	r.mailTable(p)
	r.waitTable(p)
	if len(r.starts) > 0 {
		p("%d starts of the server: from the start of the process to its greeting %s ms (median), %s ms (most).\n",
			len(r.starts), ms(median(r.starts)), ms(slices.Max(r.starts)))
	}
	p("Most memory of the server: %.0f MB (during %s).\n", float64(r.peak)/(1<<20), r.peakIn)
	p("## What was tried\n")
	for _, name := range slices.Sorted(maps.Keys(r.counts)) {
		p("- %s: %d", name, r.counts[name])
	}
	r.list(p, "Left out", r.left)
	r.list(p, "Notes", r.notes)
	return b.String()
}

func (r *report) list(p func(string, ...any), title string, list []string) {
	if len(list) == 0 {
		return
	}
	p("\n## %s\n", title)
	for _, s := range list {
		p("- %s", strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  "))
	}
}

func (r *report) mailTable(p func(string, ...any)) {
	p("| mail of | sent | accepted | refused | no answer | handed out | removed by QUIT | QUIT without answer | refused and there |")
	p("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
	twice, blind := 0, 0
	for _, l := range r.ledgers {
		t := l.totals()
		twice, blind = twice+t.twice, blind+t.blind
		p("| %s | %d | %d | %d | %d | %d | %d | %d | %d |", l.user, t.sent, t.accepted, t.refused, t.unanswered, t.seen, t.removed, t.leaving, t.twice)
	}
	p("")
	p("Doubles: %d. They are messages that were refused while system calls were made to fail, the removal of what was not", twice)
	p("accepted among them, and that are there all the same: their sender tries again.\n")
	if blind > 0 {
		p("Programs deleted %d messages that they had not retrieved.\n", blind)
	}
}

func (r *report) waitTable(p func(string, ...any)) {
	by := map[string][]time.Duration{}
	for _, w := range r.waits {
		by[w.trouble] = append(by[w.trouble], w.took)
	}
	p("How long an honest user waited for a sign-in, from the first try to the reply to PASS, with all repetitions:\n")
	p("| meanwhile | times | sign-ins | median ms | most ms |")
	p("| --- | --: | --: | --: | --: |")
	for _, name := range slices.Sorted(maps.Keys(by)) {
		times := 0
		for _, t := range r.troubles {
			if t == name {
				times++
			}
		}
		p("| %s | %d | %d | %s | %s |", name, times, len(by[name]), ms(median(by[name])), ms(slices.Max(by[name])))
	}
	p("")
}
