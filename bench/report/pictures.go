// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"strings"

	"restante.example/bench/plot"
)

// drawing is a plot of a section.
type drawing struct {
	title, file string
	svg         []byte
}

// colors of the subjects in their order; ours comes first. They differ in
// lightness too.
var colors = []string{"#0550ae", "#bc4c00", "#e8a33d", "#57853a", "#a475f9", "#8c959f"}

func (r *Results) plots() map[string][]byte {
	drawn := map[string][]byte{}
	for _, s := range r.Sections {
		for _, p := range r.pictures(s) {
			drawn[p.file] = p.svg
		}
	}
	return drawn
}

// pictures returns the plots of a section: one of bars, or one of lines for each
// series of which there is a figure.
func (r *Results) pictures(s Section) []drawing {
	if s.Growth == "" {
		return []drawing{{s.Title, s.ID + ".svg", r.bars(s)}}
	}
	var list []drawing
	var seen []string
	for _, row := range s.Rows {
		if row.Series == "" || slices.Contains(seen, row.Series) {
			continue
		}
		seen = append(seen, row.Series)
		if picture := r.lines(s, row.Series); picture != nil {
			list = append(list, drawing{row.Series, fileName(row.Series), picture})
		}
	}
	return list
}

// fileName makes a name of words.
func fileName(words string) string {
	words = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r == ' ', r == '-':
			return '-'
		}
		return -1
	}, strings.ToLower(words))
	return words + ".svg"
}

func (r *Results) bars(s Section) []byte {
	var panels []plot.Panel
	quantity := s.Rows[0].Shows[0]
	common := unit(s.Rows)
	for _, row := range s.Rows {
		p := plot.Panel{Title: row.Title}
		if common == "" {
			p.Title += ": " + row.Unit
		}
		for i, subject := range r.side(s.Side) {
			c := r.Cell(row.ID, subject.Name, quantity)
			b := plot.Bar{Label: subject.Name, Color: colors[i%len(colors)], Text: r.outcome(c)}
			if len(c.Values) > 0 {
				b.Value, b.Low, b.High = Median(c.Values), slices.Min(c.Values), slices.Max(c.Values)
				b.Text = Number(b.Value)
			}
			p.Bars = append(p.Bars, b)
		}
		panels = append(panels, p)
	}
	if common == "" {
		common = "what is named"
	}
	return plot.Bars(s.Title, named(quantity, common), panels)
}

// unit is that of all rows, or empty where they differ.
func unit(rows []Row) string {
	for _, row := range rows {
		if row.Unit != rows[0].Unit {
			return ""
		}
	}
	return rows[0].Unit
}

func (r *Results) lines(s Section, series string) []byte {
	var lines []plot.Line
	var quantity, unit string
	for i, subject := range r.side(s.Side) {
		l := plot.Line{Name: subject.Name, Color: colors[i%len(colors)], Strong: subject.Kind == Ours, Dashed: subject.Kind == Floor}
		for _, row := range s.Rows {
			if row.Series != series {
				continue
			}
			quantity, unit = row.Shows[0], row.Unit
			// What is zero has no place on a logarithmic scale.
			if c := r.Cell(row.ID, subject.Name, quantity); len(c.Values) > 0 && slices.Min(c.Values) > 0 {
				l.Points = append(l.Points, plot.Point{X: row.X, Y: Median(c.Values), Low: slices.Min(c.Values), High: slices.Max(c.Values)})
			}
		}
		lines = append(lines, l)
	}
	return plot.Lines(series, s.Growth, named(quantity, unit), lines)
}
