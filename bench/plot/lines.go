// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Point is one place of a line, all above zero; Low and High are its spread.
type Point struct{ X, Y, Low, High float64 }

// Line is one line.
type Line struct {
	Name, Color string
	Strong      bool // drawn thicker
	Dashed      bool
	Points      []Point
}

// Lines draws lines on two logarithmic scales, with their names on the right. The
// lower scale has a mark at each place of a point and ends at the last of them.
// It returns nil where there is no point.
func Lines(title, x, y string, lines []Line) []byte {
	const (
		left, right, top, bottom = 84.0, 156.0, 72.0, 52.0
		height                   = 440.0
		crowded                  = 60.0 // marks nearer than that would lie upon each other
	)
	var places []float64
	lowY, highY := math.Inf(1), 0.0
	for _, l := range lines {
		for _, p := range l.Points {
			places = append(places, p.X)
			lowY, highY = min(lowY, p.Low), max(highY, p.High)
		}
	}
	if len(places) == 0 {
		return nil
	}
	slices.Sort(places)
	places = slices.Compact(places)
	fromX, toX := math.Log10(places[0]), math.Log10(places[len(places)-1])
	if len(places) == 1 {
		fromX--
	}
	fromY, toY := decades(lowY, highY)
	atX := func(v float64) float64 {
		return left + (math.Log10(v)-fromX)/(toX-fromX)*(width-left-right)
	}
	atY := func(v float64) float64 {
		return height - bottom - (math.Log10(v)-float64(fromY))/float64(toY-fromY)*(height-top-bottom)
	}
	var c canvas
	c.text(margin, 30, start, titleSize, bold, title)
	c.text(margin, 50, start, textSize, "", y+"; lower is better; upright lines span all rounds; both scales are logarithmic")
	marked := math.Inf(1)
	for _, v := range slices.Backward(places) {
		at := atX(v)
		c.line(at, top, at, height-bottom, pale, 1)
		if marked-at >= crowded {
			c.text(at, height-bottom+18, middle, textSize, "", number(v))
			marked = at
		}
	}
	c.line(left, top, left, height-bottom, pale, 1)
	for e := fromY; e <= toY; e++ {
		at := atY(math.Pow10(e))
		c.line(left, at, width-right, at, pale, 1)
		c.text(left-8, at+4, end, textSize, "", number(math.Pow10(e)))
	}
	c.text((left+width-right)/2, height-14, middle, textSize, "", x)
	c.text(22, (top+height-bottom)/2, middle, textSize, fmt.Sprintf(` transform="rotate(-90 22 %.1f)"`, (top+height-bottom)/2), y)

	type name struct {
		at   float64
		line Line
		last Point
	}
	var names []name
	for _, l := range lines {
		if len(l.Points) > 0 {
			last := l.Points[len(l.Points)-1]
			names = append(names, name{atY(last.Y), l, last})
		}
	}
	// Names that would lie upon each other are moved apart, both ways as long as
	// there is room, so that each stays near its line.
	const apart = textSize + 5.0
	slices.SortStableFunc(names, func(a, b name) int { return cmp.Compare(a.at, b.at) })
	for range 100 {
		for i := 1; i < len(names); i++ {
			if lack := names[i-1].at + apart - names[i].at; lack > 0 {
				names[i-1].at -= lack / 2
				names[i].at += lack / 2
			}
		}
	}
	names[0].at = max(names[0].at, top)
	for i := 1; i < len(names); i++ {
		names[i].at = max(names[i].at, names[i-1].at+apart)
	}
	for i, floor := len(names)-1, height-bottom; i >= 0; i-- {
		names[i].at = min(names[i].at, floor)
		floor = names[i].at - apart
	}
	// What leads to a name must not look like a line, and lies below all of them.
	for _, n := range names {
		c.leader(atX(n.last.X)+5, atY(n.last.Y), width-right+18, n.at)
	}
	for _, l := range lines {
		if len(l.Points) == 0 {
			continue
		}
		var way []string
		for _, p := range l.Points {
			way = append(way, fmt.Sprintf("%.1f,%.1f", atX(p.X), atY(p.Y)))
			if p.High > p.Low {
				c.line(atX(p.X), atY(p.Low), atX(p.X), atY(p.High), l.Color, 1.5)
			}
		}
		wide, dashes := 2.0, ""
		if l.Strong {
			wide = 3.5
		}
		if l.Dashed {
			dashes = ` stroke-dasharray="5 4"`
		}
		fmt.Fprintf(&c, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f"%s/>`+"\n", strings.Join(way, " "), l.Color, wide, dashes)
		for _, p := range l.Points {
			fmt.Fprintf(&c, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s"/>`+"\n", atX(p.X), atY(p.Y), wide+1, l.Color)
		}
	}
	for _, n := range names {
		style := ""
		if n.line.Strong {
			style = bold
		}
		c.rect(width-right+20, n.at-6, 12, 12, n.line.Color)
		c.text(width-right+38, n.at+4, start, textSize, style, n.line.Name)
	}
	return c.svg(title, height)
}
