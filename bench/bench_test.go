// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/bench/report"
	"restante.example/internal/peers"
)

// TestMain lets this program be the keeper that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == keeperCommand {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestQuick runs every kind of load once, small, on every program, and writes
// the pages. What a program of others lacks to be run is a skip, as in every test.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("takes up to a minute; run without -short")
	}
	out := t.TempDir()
	var stdout, stderr bytes.Buffer
	args := []string{"-all", "-quick", "-out", out, "-collect-limit", "10s", "-only", "signin,retr,remove,poll-first-20,poll-sized-20,idle-plain-10,idle-tls-5,lmtp,slow,far,again"}
	if status := run(t.Context(), args, &stdout, &stderr); status != 0 {
		t.Fatalf("status %d\n%s", status, &stderr)
	}
	absent, measured := map[string]string{}, map[string]bool{}
	for _, name := range []string{"servers.json", "collectors.json"} {
		r, err := report.Load(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Samples {
			kind, _, _ := strings.Cut(s.Row, "/")
			measured[kind] = true
		}
		for _, section := range r.Sections {
			for _, row := range section.Rows {
				if !slices.ContainsFunc(r.Samples, func(s report.Sample) bool { return s.Row == row.ID }) {
					continue // left out here
				}
				for _, subject := range r.Subjects {
					checkCells(t, r, row, subject, absent)
				}
			}
		}
	}
	for _, kind := range []string{"signin", "retr", "remove", "poll", "idle", "beside", "lmtp", "slow", "collect", "again"} {
		if !measured[kind] {
			t.Errorf("nothing was measured of %s", kind)
		}
	}
	for _, page := range []string{"README.md", "servers.md", "growth.md", "collectors.md", "settings.md", "plots/signin.svg"} {
		if _, err := os.Stat(filepath.Join(out, page)); err != nil {
			t.Error(err)
		}
	}
	for name, reason := range absent {
		t.Run(name, func(t *testing.T) { peers.Missing(t, "%s %s", name, reason) })
	}
}

// checkCells checks that a row shows figures of a subject, or why it cannot.
func checkCells(t *testing.T, r *report.Results, row report.Row, subject report.Subject, absent map[string]string) {
	t.Helper()
	c := r.Cell(row.ID, subject.Name, report.Wall)
	if slices.Contains(row.Shows, report.Each) {
		c = r.Cell(row.ID, subject.Name, report.Each)
	}
	switch {
	case len(c.Values) == 1:
	case c.Outcome == report.NotRun && subject.Kind == report.Peer:
		absent[subject.Name] = c.Reason
	case c.Outcome == report.Over && subject.Side == "collector" && subject.Kind == report.Peer:
		t.Logf("%s, %s: %s", row.ID, subject.Name, c.Reason) // getmail waits for a minute at times
	case c.Outcome == report.Impossible && c.Reason != "" && subject.Kind != report.Ours:
	default:
		t.Errorf("%s, %s: %v %s: %s", row.ID, subject.Name, c.Values, c.Outcome, c.Reason)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-side", "nobody"}, {"more"}, {"-rounds", "0"}, {"-nonsense"}} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: status %d, %q", args, status, &stderr)
		}
	}
}

// What a process and its children have used is counted, those that have ended
// included.
func TestCPUOf(t *testing.T) {
	// The inner shell works and ends; the outer one works and stays.
	const work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
	cmd := exec.Command("sh", "-c", "sh -c '"+work+"'; "+work+"; echo done; read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	all, err := cpuOf([]int{cmd.Process.Pid}, 0)
	if err != nil {
		t.Fatal(err)
	}
	children, err := cpuOf([]int{cmd.Process.Pid}, cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	octets, processes, err := memoryOf([]int{cmd.Process.Pid}, 0)
	if err != nil || octets == 0 || processes != 1 {
		t.Errorf("memory: %d octets, %d processes, %v", octets, processes, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait() // read fails at the end of its input
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if all > used+tick || all < used-3*tick {
		t.Errorf("counted %v, the system says %v (%v)", all, used, err)
	}
	if children <= 0 || children >= all {
		t.Errorf("of %v, children used %v", all, children)
	}
}

func TestStock(t *testing.T) {
	dir := t.TempDir()
	s := newStock(filepath.Join(dir, "stock"), flat(500))
	maildir := &instance{uid: os.Getuid(), box: func(int) string { return filepath.Join(dir, "Maildir") }}
	for _, sizes := range []bool{false, true} {
		if err := s.fill(maildir, 0, 20, sizes); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(filepath.Join(dir, "Maildir", "cur"))
		if err != nil || len(files) != 20 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(dir, "Maildir", "cur", f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if want := sizesIn(text); strings.Contains(f.Name(), want) != sizes {
				t.Errorf("%s, with sizes %v: its are %s", f.Name(), sizes, want)
			}
		}
	}
	if err := newMail().arrive(maildir, 0, 500); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(filepath.Join(dir, "Maildir", "new")); err != nil || len(files) != 1 {
		t.Errorf("new/ has %d files, %v", len(files), err)
	}
	mbox := &instance{uid: os.Getuid(), mbox: true, box: func(int) string { return filepath.Join(dir, "mbox") }}
	if err := s.fill(mbox, 0, 20, false); err != nil {
		t.Fatal(err)
	}
	if err := newMail().arrive(mbox, 0, 500); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "mbox"))
	if n := strings.Count("\n"+string(text), "\nFrom "); err != nil || n != 21 {
		t.Errorf("the mbox has %d messages, %v", n, err)
	}
}

// What is to be repeated is repeated for a while, and not what takes too long;
// each round begins elsewhere, and none that would end too late.
func TestRounds(t *testing.T) {
	for within, want := range map[time.Duration]string{
		0:                "a slow c c a c a",
		17 * time.Second: "a slow c c a", // a third round would end after 18 seconds
	} {
		synctest.Test(t, func(t *testing.T) {
			var ran []string
			takes := func(name string, seconds time.Duration) step {
				return step{name, func(_ context.Context, round int) ([]report.Sample, error) {
					ran = append(ran, name)
					time.Sleep(seconds * time.Second)
					return []report.Sample{{Row: name, Round: round}}, nil
				}}
			}
			kept, saved := 0, 0
			o := options{rounds: 3, patience: 8 * time.Second, within: within}
			finished, err := rounds(t.Context(), o, []step{takes("a", 1), takes("slow", 9), takes("c", 2)},
				func(samples []report.Sample, finished int) error { kept, saved = len(samples), finished; return nil }, &bytes.Buffer{})
			if err != nil || finished != saved || kept != len(ran) {
				t.Errorf("%d rounds, %d saved, %d of %d samples, %v", finished, saved, kept, len(ran), err)
			}
			if got := strings.Join(ran, " "); got != want {
				t.Errorf("within %v it ran %s, want %s", within, got, want)
			}
		})
	}
}

// What fewer sessions took says how many are too many.
func TestTooMany(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := &serverBench{limit: time.Minute, machine: machine{memory: 10 << 30, processes: 30_000}}
	hundred := idlers{trial: &trial{ctx: ctx, bench: b}, clients: make([]*client, 100), after: 100 << 20, processes: 100, spent: time.Second}
	for _, c := range []struct {
		n      int
		change func(*idlers)
		want   string
	}{
		{n: 2000, want: ""},
		{n: 10_000, want: "10 GB of memory"},
		{n: 2000, change: func(i *idlers) { i.processes = 2000 }, want: "40,000 processes"},
		{n: 2000, change: func(i *idlers) { i.spent = 4 * time.Second }, want: "not be done within 1m0s"},
		{n: 2000, change: func(i *idlers) { i.clients = nil }, want: ""},
	} {
		i := hundred
		if c.change != nil {
			c.change(&i)
		}
		if got := i.tooMany(c.n); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%d more than %d: %q, want %q", c.n, len(i.clients), got, c.want)
		}
	}
}
