// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// element is an element of a picture.
type element struct {
	name string
	attr map[string]string
	text string
}

func (e element) number(t *testing.T, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attr[name], 64)
	if err != nil {
		t.Fatalf("%v: %s: %v", e, name, err)
	}
	return v
}

func parse(t *testing.T, svg []byte) (list []element) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			list = append(list, e)
		case xml.CharData:
			if len(list) > 0 {
				list[len(list)-1].text += string(token)
			}
		}
	}
}

func find(t *testing.T, list []element, fill string) element {
	t.Helper()
	for _, e := range list {
		if e.attr["fill"] == fill {
			return e
		}
	}
	t.Fatalf("nothing is %s", fill)
	return element{}
}

func has(list []element, text string) bool {
	for _, e := range list {
		if e.name == "text" && strings.TrimSpace(e.text) == text {
			return true
		}
	}
	return false
}

func TestBars(t *testing.T) {
	list := parse(t, Bars("A <title>", "ms", []Panel{
		{Title: "one", Bars: []Bar{
			{Label: "a", Color: "#aa0000", Value: 10, Low: 5, High: 20, Text: "10.0"},
			{Label: "b", Color: "#00bb00", Value: 20, Low: 20, High: 20, Text: "20.0"},
			{Label: "c", Color: "#0000cc", Text: "not possible"},
		}},
		{Title: "two", Bars: []Bar{{Label: "a", Color: "#aa0000"}}},
		{Title: "three"},
	}))
	a, b := find(t, list, "#aa0000"), find(t, list, "#00bb00")
	if wide, twice := a.number(t, "width"), b.number(t, "width"); math.Abs(2*wide-twice) > 0.2 || wide < 50 {
		t.Errorf("bars of 10 and 20 are %v and %v wide", wide, twice)
	}
	for _, text := range []string{"A <title>", "one", "two", "three", "a", "b", "c", "10.0", "20.0", "not possible"} {
		if !has(list, text) {
			t.Errorf("there is no %q", text)
		}
	}
	inside(t, list)
}

// A long title does not run into that of the next column.
func TestBarsWithLongTitles(t *testing.T) {
	long := "nothing new among 1,000 kept, 20 ms round trip"
	list := parse(t, Bars("A title", "ms", []Panel{
		{Title: long, Bars: []Bar{{Label: "a", Color: "#aa0000", Value: 10}}},
		{Title: "short", Bars: []Bar{{Label: "a", Color: "#00bb00", Value: 10}}},
	}))
	if has(list, long) || !has(list, "nothing new among 1,000 kept,") || !has(list, "20 ms round trip") {
		t.Errorf("the title is not broken behind its comma: %v", list)
	}
	if a, b := find(t, list, "#aa0000"), find(t, list, "#00bb00"); a.attr["y"] != b.attr["y"] {
		t.Errorf("bars beside each other are at %v and %v", a.attr["y"], b.attr["y"])
	}
	inside(t, list)
	for title, want := range map[string]int{
		"": 1, "short": 1, strings.Repeat("word ", 20): 3, strings.Repeat("x", 100): 1, " " + strings.Repeat("x", 100): 1,
	} {
		if lines := titleLines(title); len(lines) != want {
			t.Errorf("%q becomes %q", title, lines)
		}
	}
}

func TestLines(t *testing.T) {
	list := parse(t, Lines("Growth", "messages", "ms", []Line{
		{Name: "ours", Color: "#aa0000", Strong: true, Points: []Point{{100, 1, 1, 1}, {1000, 1, 0.5, 2}, {10_000, 1, 1, 1}}},
		{Name: "other", Color: "#00bb00", Points: []Point{{100, 1, 1, 1}, {1000, 10, 10, 10}, {10_000, 100, 100, 100}}},
		{Name: "near", Color: "#0000cc", Dashed: true, Points: []Point{{10_000, 101, 101, 101}}},
		{Name: "nothing", Color: "#123456"},
	}))
	var at [][2]float64
	for _, e := range list {
		if e.name == "circle" && e.attr["fill"] == "#00bb00" {
			at = append(at, [2]float64{e.number(t, "cx"), e.number(t, "cy")})
		}
	}
	// Ten times as much for ten times as much is a straight line on such scales.
	if len(at) != 3 || math.Abs(at[0][0]+at[2][0]-2*at[1][0]) > 0.3 || math.Abs(at[0][1]+at[2][1]-2*at[1][1]) > 0.3 || at[2][1] >= at[0][1] {
		t.Errorf("points at %v", at)
	}
	for _, text := range []string{"Growth", "messages", "ms", "100", "1,000", "10,000", "0.1", "1", "1,000", "ours", "other", "near"} {
		if !has(list, text) {
			t.Errorf("there is no %q", text)
		}
	}
	if has(list, "nothing") {
		t.Error("a line without points has a name")
	}
	names := map[string]float64{}
	for _, e := range list {
		if e.name == "text" {
			names[strings.TrimSpace(e.text)] = e.number(t, "y")
		}
	}
	if math.Abs(names["other"]-names["near"]) < textSize {
		t.Errorf("names lie upon each other: %v", names)
	}
	inside(t, list)
}

// A scale ends where the points end, and what leads to a name is no line of data,
// also where a line ends early.
func TestLinesEnd(t *testing.T) {
	list := parse(t, Lines("Growth", "messages", "ms", []Line{
		{Name: "long", Color: "#aa0000", Points: []Point{{500, 1, 1, 1}, {1900, 1, 1, 1}, {2000, 1, 1, 1}}},
		{Name: "short", Color: "#00bb00", Points: []Point{{500, 50, 50, 50}}},
	}))
	last, leaders := 0.0, map[float64]int{}
	for _, e := range list {
		switch {
		case e.name == "circle":
			last = max(last, e.number(t, "cx"))
		case e.name == "line" && e.attr["stroke"] == faint:
			if e.attr["stroke-dasharray"] == "" {
				t.Errorf("a leader without dots: %v", e)
			}
			leaders[e.number(t, "x1")]++
		case e.name == "line" && e.attr["stroke"] != pale:
			t.Errorf("nothing has a spread, but there is %v", e)
		}
	}
	for _, e := range list {
		if e.name == "line" && e.attr["stroke"] == pale && e.number(t, "x2") > last {
			t.Errorf("the last point is at %v, but there is %v", last, e)
		}
	}
	if len(leaders) != 2 {
		t.Errorf("leaders begin at %v", leaders)
	}
	for text, want := range map[string]bool{"500": true, "1,900": false, "2,000": true, "1,000": false, "10,000": false} {
		if has(list, text) != want {
			t.Errorf("%s is %v, want %v", text, !want, want)
		}
	}
}

func TestLinesOfOnePlaceAndOfNone(t *testing.T) {
	list := parse(t, Lines("one", "x", "y", []Line{{Name: "a", Color: "#aa0000", Points: []Point{{500, 1, 1, 1}}}}))
	if !has(list, "500") {
		t.Error("the place has no mark")
	}
	inside(t, list)
	if Lines("none", "x", "y", []Line{{Name: "nothing"}}) != nil {
		t.Error("no points gave a picture")
	}
}

// inside checks that everything is in the picture.
func inside(t *testing.T, list []element) {
	t.Helper()
	high := list[0].number(t, "height")
	for _, e := range list {
		if e.name == "text" || e.name == "rect" {
			if x, y := e.number(t, "x"), e.number(t, "y"); x < 0 || x > width || y < 0 || y > high {
				t.Errorf("outside: %v", e)
			}
		}
	}
}
