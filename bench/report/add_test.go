// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"testing"
)

// Rounds that are added count as if they had been made at once, and only where they
// are of the same.
func TestWith(t *testing.T) {
	kept := &Results{Command: "one", Rounds: 1, Took: 2, Machine: []string{"m"}, Subjects: []Subject{{Name: "a", Side: "server", Version: "1"}},
		Samples: []Sample{{Row: "r", Subject: "a", Values: map[string]float64{CPU: 1}}}}
	more := &Results{Command: "two", Rounds: 2, Took: 3, Machine: []string{"m"}, Subjects: []Subject{{Name: "a", Side: "server", Version: "1"}},
		Samples: []Sample{{Row: "r", Subject: "a", Values: map[string]float64{CPU: 3}}, {Row: "r", Subject: "a", Round: 1, Values: map[string]float64{CPU: 2}}}}
	sum, err := kept.With(more)
	if err != nil {
		t.Fatal(err)
	}
	if c := sum.Cell("r", "a", CPU); !slices.Equal(c.Values, []float64{1, 3, 2}) || sum.Rounds != 3 || sum.Took != 5 || sum.Command != "one` and `two" {
		t.Errorf("%+v, %v", sum, c.Values)
	}
	if sum.Samples[2].Round != 2 || len(kept.Samples) != 1 || more.Samples[1].Round != 1 {
		t.Errorf("%+v", sum.Samples)
	}
	more.Subjects[0].Version = "2"
	if _, err := kept.With(more); err == nil {
		t.Error("another version was added")
	}
	more.Subjects[0].Version, more.Machine = "1", []string{"n"}
	if _, err := kept.With(more); err == nil {
		t.Error("another machine was added")
	}
}
