// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package plot

import (
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

// Lines draws lines on two logarithmic scales, with their names at their ends.
// It returns nil where there is no point.
func Lines(title, x, y string, lines []Line) []byte {
	const (
		left, right, top, bottom = 84.0, 150.0, 62.0, 52.0
		height                   = 430.0
	)
	lowX, highX, lowY, highY := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, l := range lines {
		for _, p := range l.Points {
			lowX, highX = min(lowX, p.X), max(highX, p.X)
			lowY, highY = min(lowY, p.Low), max(highY, p.High)
		}
	}
	if highX == 0 {
		return nil
	}
	fromX, toX := decades(lowX, highX)
	fromY, toY := decades(lowY, highY)
	atX := func(v float64) float64 {
		return left + (math.Log10(v)-float64(fromX))/float64(toX-fromX)*(width-left-right)
	}
	atY := func(v float64) float64 {
		return height - bottom - (math.Log10(v)-float64(fromY))/float64(toY-fromY)*(height-top-bottom)
	}
	var c canvas
	c.text(margin, 30, start, titleSize, bold, title)
	c.text(margin, 50, start, textSize, "", y+"; lower is better; upright lines span all rounds; both scales are logarithmic")
	for e := fromX; e <= toX; e++ {
		at := atX(math.Pow10(e))
		c.line(at, top, at, height-bottom, pale, 1)
		c.text(at, height-bottom+18, middle, textSize, "", power(e))
	}
	for e := fromY; e <= toY; e++ {
		at := atY(math.Pow10(e))
		c.line(left, at, width-right, at, pale, 1)
		c.text(left-8, at+4, end, textSize, "", power(e))
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
		last := l.Points[len(l.Points)-1]
		names = append(names, name{atY(last.Y), l, last})
	}
	// Names that would lie upon each other are moved apart, downwards and then,
	// where there is no room left, upwards.
	const apart = textSize + 5.0
	slices.SortStableFunc(names, func(a, b name) int { return int(math.Copysign(1, a.at-b.at)) })
	for i := 1; i < len(names); i++ {
		names[i].at = max(names[i].at, names[i-1].at+apart)
	}
	for i, floor := len(names)-1, height-bottom; i >= 0; i-- {
		names[i].at = min(names[i].at, floor)
		floor = names[i].at - apart
	}
	for _, n := range names {
		if n.last.X == highX {
			c.line(atX(n.last.X)+5, atY(n.last.Y), width-right+12, n.at, n.line.Color, 1)
		}
		style := ""
		if n.line.Strong {
			style = bold
		}
		c.rect(width-right+14, n.at-6, 12, 12, n.line.Color)
		c.text(width-right+32, n.at+4, start, textSize, style, n.line.Name)
	}
	return c.svg(title, height)
}
