// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// table gathers measures and writes them down as medians.
type table struct {
	servers []server
	notes   []string
	values  map[string][]float64 // by scenario and server
	errors  map[string]error
}

func newTable(servers []server, notes []string) *table {
	return &table{servers: servers, notes: notes, values: map[string][]float64{}, errors: map[string]error{}}
}

func cell(s scenario, srv server) string { return s.name + "\x00" + srv.name }

func (t *table) fail(s scenario, srv server, err error) { t.errors[cell(s, srv)] = err }

func (t *table) add(s scenario, srv server, m measure) {
	var v float64
	switch s.what {
	case "cpu ms":
		v = m.cpu.Seconds() * 1000 / m.units
	case "cpu s":
		v = m.cpu.Seconds() / m.units
	case "rate":
		v = m.units / m.wall.Seconds()
	case "KB":
		v = float64(m.memory) / 1024 / m.units
	}
	t.values[cell(s, srv)] = append(t.values[cell(s, srv)], v)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

var whatNames = map[string]string{
	"cpu ms": "CPU ms per", "cpu s": "CPU s per", "rate": "a second:", "KB": "KB of memory per",
}

// markdown writes the table: per scenario the median of each server, with the
// least and the greatest value, and how many times ours is better than the best
// of the others.
func (t *table) markdown(chosen []scenario, rounds int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds (least–greatest), on %d cores, %s, %s.", rounds, runtime.NumCPU(), runtime.Version(), kernel())
	for _, n := range t.notes {
		fmt.Fprintf(&b, " %s.", n)
	}
	b.WriteString("\n\n| scenario | what |")
	for _, srv := range t.servers {
		fmt.Fprintf(&b, " %s |", srv.name)
	}
	b.WriteString(" ratio to the best other |\n| --- | --- |")
	b.WriteString(strings.Repeat(" --- |", len(t.servers)+1))
	b.WriteByte('\n')
	for _, s := range chosen {
		fmt.Fprintf(&b, "| %s | %s %s |", s.name, whatNames[s.what], s.unit)
		var ours, best float64
		for i, srv := range t.servers {
			v := t.values[cell(s, srv)]
			if len(v) == 0 {
				text := "–"
				if err := t.errors[cell(s, srv)]; err != nil && err != errNoLMTP {
					text = "failed"
				}
				fmt.Fprintf(&b, " %s |", text)
				continue
			}
			m := median(v)
			fmt.Fprintf(&b, " %s (%s–%s) |", number(m), number(slices.Min(v)), number(slices.Max(v)))
			switch better := s.what == "rate"; {
			case i == 0:
				ours = m
			case best == 0, better && m > best, !better && m < best:
				best = m
			}
		}
		switch {
		case ours == 0 || best == 0:
			b.WriteString(" – |\n")
		case s.what == "rate":
			fmt.Fprintf(&b, " %.1f |\n", ours/best)
		default:
			fmt.Fprintf(&b, " %.1f |\n", best/ours)
		}
	}
	return b.String()
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown kernel"
	}
	return "Linux " + strings.TrimSpace(string(text))
}
