// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package plot draws two kinds of pictures as SVG: bars with their spread, and
// lines on two logarithmic scales. A picture has its own light ground, so that
// it can be read on pages of any colour, and is made to be shown 800 pixels
// wide. The same input gives the same octets.
package plot

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

const (
	width  = 800
	margin = 16
	// Sizes of text.
	titleSize, textSize = 17, 13
	ink, pale, ground   = "#1f2328", "#d0d7de", "#ffffff"
	faint               = "#818b98" // of leaders
)

// canvas gathers the elements of a picture.
type canvas struct{ strings.Builder }

func (c *canvas) rect(x, y, w, h float64, fill string) {
	fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, max(w, 0), h, fill)
}

func (c *canvas) line(x1, y1, x2, y2 float64, stroke string, width float64) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f"/>`+"\n", x1, y1, x2, y2, stroke, width)
}

// leader leads from a thing to its name: thin, grey and dotted.
func (c *canvas) leader(x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="1" stroke-dasharray="1 3"/>`+"\n", x1, y1, x2, y2, faint)
}

// anchors of text.
const (
	start, middle, end = "start", "middle", "end"
)

func (c *canvas) text(x, y float64, anchor string, size int, style, text string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" fill="%s"%s>%s</text>`+"\n", x, y, anchor, size, ink, style, html.EscapeString(text))
}

const bold = ` font-weight="600"`

// svg returns the whole picture.
func (c *canvas) svg(title string, height float64) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(title))
	fmt.Fprintf(&b, `<rect x="0.5" y="0.5" width="%d" height="%.0f" rx="6" fill="%s" stroke="%s"/>`+"\n", width-1, height-1, ground, pale)
	b.WriteString(c.String())
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// decades returns the powers of ten from at most low to at least high, two at
// least.
func decades(low, high float64) (from, to int) {
	from, to = int(math.Floor(math.Log10(low)+1e-9)), int(math.Ceil(math.Log10(high)-1e-9))
	if from == to {
		to++
	}
	return from, to
}

// number writes a number at a scale.
func number(v float64) string {
	whole, part, _ := strings.Cut(strconv.FormatFloat(v, 'f', -1, 64), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if part != "" {
		part = "." + part
	}
	return whole + part
}
