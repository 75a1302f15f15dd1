// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package plot

import "strings"

// Bar is one bar.
type Bar struct {
	Label, Color string
	// Value is how long the bar is, between zero and the greatest High of its
	// panel; Low and High are its spread.
	Value, Low, High float64
	// Text is written behind the bar, or in its place where there is no value.
	Text string
}

// Panel is a group of bars with one linear scale, which begins at zero.
type Panel struct {
	Title string
	Bars  []Bar
}

const (
	barStep  = 21.0 // from one bar to the next
	barHigh  = 14.0
	labels   = 96.0  // for the names of bars
	numbers  = 104.0 // for what is written behind them
	panelTop = 26.0  // above the first bar, with one line of title
	lineStep = 18.0  // for each line more
	gap      = 24.0  // between panels
)

// Bars draws panels in two columns, the first half of them on the left.
func Bars(title, quantity string, panels []Panel) []byte {
	const wide = (width - 2*margin - gap) / 2
	var c canvas
	c.text(margin, 30, start, titleSize, bold, title)
	c.text(margin, 50, start, textSize, "", quantity+"; shorter is better; thin lines span all rounds; each group has its own scale from zero")
	y := 62.0
	rows := (len(panels) + 1) / 2
	for row := range rows {
		beside := []Panel{panels[row]}
		if rows+row < len(panels) {
			beside = append(beside, panels[rows+row])
		}
		// Bars beside each other begin at the same height.
		lines := 0
		for _, p := range beside {
			lines = max(lines, len(titleLines(p.Title)))
		}
		y += float64(lines-1) * lineStep
		tall := 0.0
		for i, p := range beside {
			tall = max(tall, c.panel(p, margin+float64(i)*(wide+gap), y, wide))
		}
		y += tall + gap
	}
	return c.svg(title, y)
}

// titleLong is how many letters of a title stay clear of the next column.
const titleLong = 42

// titleLines breaks a title that is too long for its column, behind a comma where
// there is one.
func titleLines(title string) []string {
	var list []string
	for len(title) > titleLong {
		at := strings.LastIndex(title[:titleLong], ", ") + 1
		if at == 0 {
			at = strings.LastIndex(title[:titleLong], " ")
		}
		if at <= 0 {
			break
		}
		list = append(list, title[:at])
		title = strings.TrimLeft(title[at:], " ")
	}
	return append(list, title)
}

// panel draws a panel and returns its height. It begins at the last line of its
// title; the others are above.
func (c *canvas) panel(p Panel, x, y, wide float64) float64 {
	lines := titleLines(p.Title)
	for i, line := range lines {
		c.text(x, y+16-float64(len(lines)-1-i)*lineStep, start, textSize+1, bold, line)
	}
	most := 0.0
	for _, b := range p.Bars {
		most = max(most, b.High, b.Value)
	}
	zero := x + labels
	for i, b := range p.Bars {
		top := y + panelTop + float64(i)*barStep
		c.text(zero-6, top+barHigh-3, end, textSize, "", b.Label)
		long := 0.0
		if b.Value > 0 {
			scale := (wide - labels - numbers) / most
			long = max(b.Value, b.High) * scale
			c.rect(zero, top, max(b.Value*scale, 1), barHigh, b.Color)
			if b.High > b.Low {
				c.line(zero+b.Low*scale, top+barHigh/2, zero+b.High*scale, top+barHigh/2, ink, 1.2)
			}
		}
		c.text(zero+long+6, top+barHigh-3, start, textSize, "", b.Text)
	}
	tall := panelTop + float64(len(p.Bars))*barStep
	c.line(zero, y+panelTop-4, zero, y+tall-4, ink, 1)
	return tall
}
