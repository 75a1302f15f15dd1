// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package plot

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
	panelTop = 26.0  // above the first bar
	gap      = 24.0  // between panels
)

// Bars draws panels in two columns, the first half of them on the left.
func Bars(title, quantity string, panels []Panel) []byte {
	const wide = (width - 2*margin - gap) / 2
	var c canvas
	c.text(margin, 30, start, titleSize, bold, title)
	c.text(margin, 50, start, textSize, "", quantity+"; shorter is better; the thin line spans all rounds; each group has its own scale, from zero")
	y := 62.0
	rows := (len(panels) + 1) / 2
	for row := range rows {
		tall := c.panel(panels[row], margin, y, wide)
		if rows+row < len(panels) {
			tall = max(tall, c.panel(panels[rows+row], margin+wide+gap, y, wide))
		}
		y += tall + gap
	}
	return c.svg(title, y)
}

// panel draws a panel from its upper left corner and returns its height.
func (c *canvas) panel(p Panel, x, y, wide float64) float64 {
	c.text(x, y+16, start, textSize+1, bold, p.Title)
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
