// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
)

// verdict tells what a goal asks for, what is there, and whether it is met.
func (r *Results) verdict(g Goal) (asked, found, met string) {
	own := r.Cell(g.Row, g.Subject, g.Quantity)
	if g.AtMost > 0 {
		asked = fmt.Sprintf("at most %g %s", g.AtMost, g.Quantity)
	} else {
		asked = fmt.Sprintf("%g times less than %s", g.Times, g.Against)
	}
	if len(own.Values) == 0 {
		return asked, r.outcome(own), "not measured"
	}
	mine := Median(own.Values)
	if g.AtMost > 0 {
		return asked, Number(mine) + " " + g.Quantity, yes(mine <= g.AtMost)
	}
	theirs := r.Cell(g.Row, g.Against, g.Quantity)
	if len(theirs.Values) == 0 {
		return asked, fmt.Sprintf("%s %s; %s: %s", Number(mine), g.Quantity, g.Against, r.outcome(theirs)), "not measured"
	}
	other := Median(theirs.Values)
	times := other / mine
	return asked, fmt.Sprintf("%s times (%s, %s %s)", Number(times), Number(mine), Number(other), g.Quantity), yes(times >= g.Times)
}

func yes(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

// goals writes the table of goals.
func (r *Results) goals() string {
	var b strings.Builder
	b.WriteString("| | goal | measured | |\n| --- | --- | --- | --- |\n")
	for _, g := range r.Goals {
		asked, found, met := r.verdict(g)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", g.Title, asked, found, met)
	}
	return b.String()
}
