// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := append([]float64(nil), c.values...)
		if got := Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
		}
		if !cmp.Equal(before, c.values) {
			t.Errorf("the values became %v", c.values)
		}
	}
}

func TestQuantile(t *testing.T) {
	var values []float64
	for i := 100; i > 0; i-- {
		values = append(values, float64(i))
	}
	for p, want := range map[float64]float64{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := Quantile(values, p); got != want {
			t.Errorf("Quantile(%v) = %v, want %v", p, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.012345: "0.012", 0.9994: "0.999", 0.9996: "1.00", 0.5: "0.500", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100",
		999.6: "1,000", 1234567: "1,234,567",
	} {
		if got := Number(v); got != want {
			t.Errorf("Number(%v) = %q, want %q", v, got, want)
		}
	}
	if got := Count(100_000); got != "100,000" {
		t.Errorf("Count: %q", got)
	}
}

// small are results in which everything happens that can.
func small() *Results {
	subject := func(name, kind string) Subject {
		return Subject{Name: name, Side: "server", Kind: kind, Version: "1", Settings: []string{"a|b"}, File: "x = 1\n"}
	}
	r := &Results{
		Command: "go run ./bench", Rounds: 3, Limit: 45, Machine: []string{"2 cores"},
		Subjects: []Subject{subject("ours", Ours), subject("good", Peer), subject("poor", Peer), subject("least", Floor)},
		Sections: []Section{
			{ID: "work", Side: "server", Title: "Work", Text: "Some work.", Rows: []Row{{ID: "w", Title: "all of it", Unit: "piece", Shows: []string{CPU, Memory}}}},
			{ID: "more", Side: "server", Title: "More", Text: "More and more.", Growth: "pieces", Rows: []Row{
				{ID: "m1", Title: "ten", Unit: "piece", Shows: []string{Wall}, Series: "Growing", X: 10},
				{ID: "m2", Title: "hundred", Unit: "piece", Shows: []string{Wall}, Series: "Growing", X: 100},
			}},
		},
		Goals: []Goal{
			{Title: "much less", Row: "w", Quantity: CPU, Subject: "ours", Against: "good", Times: 2},
			{Title: "very much less", Row: "w", Quantity: CPU, Subject: "ours", Against: "good", Times: 2.5},
			{Title: "little", Row: "w", Quantity: Memory, Subject: "ours", AtMost: 30},
			{Title: "less than little", Row: "w", Quantity: Memory, Subject: "ours", AtMost: 29},
			{Title: "less than nobody", Row: "w", Quantity: CPU, Subject: "ours", Against: "poor", Times: 2},
		},
	}
	add := func(row, subject string, values ...float64) {
		for i, v := range values {
			q := CPU
			if row != "w" {
				q = Wall
			}
			r.Samples = append(r.Samples, Sample{Row: row, Subject: subject, Round: i, Values: map[string]float64{q: v, Memory: 10 * v}})
		}
	}
	add("w", "ours", 3, 2, 5)
	add("w", "good", 6, 7)
	add("w", "poor", 9)
	r.Samples = append(r.Samples,
		Sample{Row: "w", Subject: "poor", Round: 1, Outcome: Failed, Reason: "it | <fell>\nover"},
		Sample{Row: "w", Subject: "least", Outcome: Impossible, Reason: "it has none"})
	add("m1", "ours", 1, 2)
	add("m2", "ours", 3, 4)
	add("m2", "good", 50)
	r.Samples = append(r.Samples, Sample{Row: "m1", Subject: "good", Outcome: Over, Reason: "it was ended"})
	return r
}

func TestTable(t *testing.T) {
	r := small()
	want := `| | | ours | good | poor | least | best other ÷ ours | ours ÷ floor |
| --- | --- | --- | --- | --- | --- | --- | --- |
| all of it | CPU ms per piece | 3.00 (2.00–5.00) | 6.50 (6.00–7.00) [2×] | failed<sup>1</sup> | not possible<sup>2</sup> | 2.17 | – |
|  | MB | 30.0 (20.0–50.0) | 65.0 (60.0–70.0) [2×] | failed<sup>1</sup> | not possible<sup>2</sup> | 2.17 | – |

1. poor: it \| &lt;fell> over
2. least: it has none
`
	if diff := cmp.Diff(want, r.table(r.Sections[0])); diff != "" {
		t.Error(diff)
	}
	if text := r.table(r.Sections[1]); !strings.Contains(text, "| 1.50 (1.00–2.00) [2×] | over 45 s<sup>1</sup> | – |") {
		t.Errorf("%s", text)
	}
}

func TestGoals(t *testing.T) {
	want := `| | goal | measured | |
| --- | --- | --- | --- |
| much less | 2 times less than good | 2.17 times (3.00, 6.50 CPU ms) | met |
| very much less | 2.5 times less than good | 2.17 times (3.00, 6.50 CPU ms) | **missed** |
| little | at most 30 MB | 30.0 MB | met |
| less than little | at most 29 MB | 30.0 MB | **missed** |
| less than nobody | 2 times less than poor | 3.00 CPU ms; poor: failed | not measured |
`
	if diff := cmp.Diff(want, small().goals()); diff != "" {
		t.Error(diff)
	}
}

// Pages and plots come from the results alone, so that they are the same again.
func TestWriteAndRedraw(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pages")
	if err := Redraw(dir); err == nil || !strings.Contains(err.Error(), "-all") {
		t.Errorf("redrawing without results: %v", err)
	}
	if err := small().Write(dir, "server"); err != nil {
		t.Fatal(err)
	}
	first := files(t, dir)
	for name, part := range map[string]string{
		"README.md": "**missed**", "servers.md": "plots/work.svg", "growth.md": "plots/growing.svg", "settings.md": "x = 1",
		"plots/work.svg": "not possible", "plots/growing.svg": "pieces", "servers.json": "it has none",
	} {
		if !strings.Contains(first[name], part) {
			t.Errorf("%s lacks %q: %.2000s", name, part, first[name])
		}
	}
	for name, text := range first {
		if strings.HasSuffix(name, ".svg") {
			wellFormed(t, name, text)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "servers.md"), []byte("typed by hand"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Redraw(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, files(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestText(t *testing.T) {
	r := small()
	r.Samples = r.Samples[:3] // of one row only
	text := r.Text()
	if !strings.Contains(text, "## Work") || strings.Contains(text, "## More") {
		t.Errorf("sections:\n%s", text)
	}
}
