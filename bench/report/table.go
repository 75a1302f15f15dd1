// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
)

// table writes a section as a table: a line for each quantity of each row, with
// the median of each subject and its spread. Behind it come the reasons for
// what is not there.
func (r *Results) table(s Section) string {
	subjects := r.side(s.Side)
	hasFloor := slices.ContainsFunc(subjects, func(s Subject) bool { return s.Kind == Floor })
	ours := ""
	var b strings.Builder
	b.WriteString("| | |")
	for _, subject := range subjects {
		fmt.Fprintf(&b, " %s |", subject.Name)
		if subject.Kind == Ours {
			ours = subject.Name
		}
	}
	fmt.Fprintf(&b, " best other ÷ %s |", ours)
	columns := len(subjects) + 3
	if hasFloor {
		fmt.Fprintf(&b, " %s ÷ floor |", ours)
		columns++
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", columns) + "\n")
	notes := &notes{}
	for _, row := range s.Rows {
		for i, quantity := range row.Shows {
			title := row.Title
			if i > 0 {
				title = ""
			}
			fmt.Fprintf(&b, "| %s | %s |", title, named(quantity, row.Unit))
			for _, subject := range subjects {
				c := r.Cell(row.ID, subject.Name, quantity)
				fmt.Fprintf(&b, " %s |", r.cellText(c, notes, subject.Name))
			}
			fmt.Fprintf(&b, " %s |", ratio(r.best(row, quantity, Peer, subjects), r.best(row, quantity, Ours, subjects)))
			if hasFloor {
				fmt.Fprintf(&b, " %s |", ratio(r.best(row, quantity, Ours, subjects), r.best(row, quantity, Floor, subjects)))
			}
			b.WriteByte('\n')
		}
	}
	return b.String() + notes.text()
}

// named says what a number is.
func named(quantity, unit string) string {
	switch quantity {
	case CPU, Wall, Each:
		return quantity + " per " + unit
	}
	return quantity
}

// best returns the least median of the subjects of a kind, or -1.
func (r *Results) best(row Row, quantity, kind string, subjects []Subject) float64 {
	best := -1.0
	for _, s := range subjects {
		if s.Kind != kind {
			continue
		}
		if c := r.Cell(row.ID, s.Name, quantity); len(c.Values) > 0 {
			if m := Median(c.Values); best < 0 || m < best {
				best = m
			}
		}
	}
	return best
}

// ratio writes a / b, where both are there.
func ratio(a, b float64) string {
	if a < 0 || b <= 0 {
		return "–"
	}
	return Number(a / b)
}

// cellText writes a cell.
func (r *Results) cellText(c Cell, n *notes, subject string) string {
	if len(c.Values) == 0 {
		if c.Outcome == "" {
			return "–"
		}
		return r.outcome(c) + n.mark(subject+": "+c.Reason)
	}
	s := Number(Median(c.Values))
	if len(c.Values) > 1 {
		s += fmt.Sprintf(" (%s–%s)", Number(slices.Min(c.Values)), Number(slices.Max(c.Values)))
	}
	if len(c.Values) < r.Rounds {
		s += fmt.Sprintf(" [%d×]", len(c.Values))
	}
	return s
}

// outcome writes what stands for values that are not there.
func (r *Results) outcome(c Cell) string {
	if c.Outcome == Over {
		return fmt.Sprintf("over %g s", r.Limit)
	}
	return string(c.Outcome)
}

// notes are the reasons below a table.
type notes struct{ list []string }

// mark returns the mark of a note, the same for the same words.
func (n *notes) mark(text string) string {
	i := slices.Index(n.list, text)
	if i < 0 {
		i = len(n.list)
		n.list = append(n.list, text)
	}
	return fmt.Sprintf("<sup>%d</sup>", i+1)
}

func (n *notes) text() string {
	var b strings.Builder
	for i, text := range n.list {
		// A reason may quote what a program has printed.
		text = strings.Join(strings.Fields(text), " ")
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%d. %s\n", i+1, strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text))
	}
	return b.String()
}
