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

// Bars draws panels in two columns.
func Bars(title, quantity string, panels []Panel) []byte {
	const (
		columns  = 2
		rowHigh  = 21.0
		barHigh  = 14.0
		labels   = 96.0  // for the names of bars
		numbers  = 104.0 // for what is written behind them
		panelGap = 18.0
		head     = 62.0
	)
	wide := float64(width-2*margin-(columns-1)*24) / columns
	var c canvas
	c.text(margin, 30, start, titleSize, bold, title)
	c.text(margin, 50, start, textSize, "", quantity+"; shorter is better; the thin line spans all rounds; each group has its own scale, from zero")
	y := head
	for first := 0; first < len(panels); first += columns {
		row := panels[first:min(first+columns, len(panels))]
		tall := 0.0
		for i, p := range row {
			x := margin + float64(i)*(wide+24)
			c.text(x, y+16, start, textSize+1, bold, p.Title)
			most := 0.0
			for _, b := range p.Bars {
				most = max(most, b.High, b.Value)
			}
			for k, b := range p.Bars {
				top := y + 26 + float64(k)*rowHigh
				c.text(x+labels-6, top+barHigh-3, end, textSize, "", b.Label)
				long := 0.0
				if most > 0 {
					scale := (wide - labels - numbers) / most
					long = b.Value * scale
					c.rect(x+labels, top, max(long, 1), barHigh, b.Color)
					if b.Value == 0 {
						long = 0
					}
					if b.High > b.Low {
						mid := top + barHigh/2
						c.line(x+labels+b.Low*scale, mid, x+labels+b.High*scale, mid, ink, 1.2)
						long = max(long, b.High*scale)
					}
				}
				c.text(x+labels+long+6, top+barHigh-3, start, textSize, "", b.Text)
			}
			c.line(x+labels, y+22, x+labels, y+26+float64(len(p.Bars))*rowHigh-4, ink, 1)
			tall = max(tall, 26+float64(len(p.Bars))*rowHigh)
		}
		y += tall + panelGap
	}
	return c.svg(title, y)
}
