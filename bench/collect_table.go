// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// collectTable gathers what programs took and writes it down as medians.
type collectTable struct {
	programs []collectProgram
	notes    []string
	rows     []string
	values   map[string][]cost // by row and program
	errors   map[string]error
}

func newCollectTable(programs []collectProgram, notes []string) *collectTable {
	return &collectTable{programs: programs, notes: notes, values: map[string][]cost{}, errors: map[string]error{}}
}

func (t *collectTable) row(row string, p collectProgram) string {
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	return row + "\x00" + p.name
}

func (t *collectTable) fail(row string, p collectProgram, err error) { t.errors[t.row(row, p)] = err }

func (t *collectTable) add(row string, p collectProgram, c cost) {
	key := t.row(row, p)
	t.values[key] = append(t.values[key], c)
}

// quantities are what is told of each row.
var quantities = []struct {
	name string
	of   func(cost) float64
}{
	{"ms", func(c cost) float64 { return c.Wall.Seconds() * 1000 }},
	{"CPU ms", func(c cost) float64 { return c.CPU.Seconds() * 1000 }},
	{"MB at most", func(c cost) float64 { return float64(c.Memory) / 1e6 }},
}

// markdown writes the table: the median of each program, with the least and the
// greatest value, and how many times ours is better than the best of the others.
func (t *collectTable) markdown(rounds int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds (least–greatest), on %d cores, %s, %s. Messages of 2 KB.", rounds, runtime.NumCPU(),
		runtime.Version(), kernel())
	for _, n := range t.notes {
		fmt.Fprintf(&b, " %s.", n)
	}
	b.WriteString("\n\n| from | | what |")
	for _, p := range t.programs {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString(" ratio to the best other |\n| --- | --- | --- |")
	b.WriteString(strings.Repeat(" --- |", len(t.programs)+1))
	b.WriteByte('\n')
	for _, row := range t.rows {
		server, what, _ := strings.Cut(row, ": ")
		for _, q := range quantities {
			fmt.Fprintf(&b, "| %s | %s | %s |", server, what, q.name)
			var ours, best float64
			for i, p := range t.programs {
				key := t.row(row, p)
				var list []float64
				for _, c := range t.values[key] {
					list = append(list, q.of(c))
				}
				if len(list) == 0 {
					fmt.Fprintf(&b, " %s |", absence(t.errors[key]))
					continue
				}
				m := median(list)
				fmt.Fprintf(&b, " %s (%s–%s) |", number(m), number(slices.Min(list)), number(slices.Max(list)))
				if i == 0 {
					ours = m
				} else if best == 0 || m < best {
					best = m
				}
			}
			if ours == 0 || best == 0 {
				b.WriteString(" – |\n")
				continue
			}
			fmt.Fprintf(&b, " %.2f |\n", best/ours)
		}
	}
	return b.String()
}

// absence says why there is no number.
func absence(err error) string {
	switch {
	case err == nil:
		return "–"
	case errors.Is(err, errTooLong):
		_, limit, _ := strings.Cut(err.Error(), ": ")
		return limit
	}
	return "failed"
}
