// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package report keeps what a benchmark found and writes it down: medians,
// spreads and ratios in tables, and plots. Everything that it writes comes from
// one Results, which is kept as JSON beside the pages, so that they can be
// written again without measuring again.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// The quantities that are measured. Less is better in all of them.
const (
	CPU       = "CPU ms"    // of all processes of a subject, for a unit of work
	Wall      = "ms"        // for a unit of work
	Tail      = "ms at p99" // 99 of 100 units of work take less
	Memory    = "MB"        // the most of all processes of a subject
	Each      = "KB"        // of memory for a session, beyond what none takes
	Processes = "processes"
	Refused   = "told to come later" // how often a client was
)

// The kinds of subjects.
const (
	Ours  = "ours"
	Peer  = "peer"
	Floor = "floor" // does the least that can be done
)

// Results are everything that a run found.
type Results struct {
	Made    time.Time // when it began
	Command string    // that made it
	Rounds  int       // that were finished
	Took    float64   // seconds
	// Patience and Limit are seconds: what took longer than the first is not
	// repeated, and what took longer than the second was ended.
	Patience, Limit float64
	Machine         []string // what it is, a line each
	Subjects        []Subject
	Sections        []Section
	Goals           []Goal
	Samples         []Sample
}

// Subject is a program that was measured.
type Subject struct {
	Name, Side, Kind string
	Version          string
	// Settings say how it was set up, one each.
	Settings []string
	// File is its configuration, as it was given to it.
	File string `json:",omitempty"`
}

// Section is a part of a page: rows that belong together.
type Section struct {
	ID, Side, Title string
	Text            string // what is done, in Markdown
	// Growth is what the rows of a series differ in, and its unit; a section
	// with it is drawn as lines, one picture for each series.
	Growth string `json:",omitempty"`
	Rows   []Row
}

// Row is one thing that was measured.
type Row struct {
	ID, Title string
	Unit      string   // of work
	Shows     []string // the quantities in its table; the first is drawn
	Series    string   `json:",omitempty"` // where it belongs to one, and at
	X         float64  `json:",omitempty"` // which place
}

// Goal is what a row is meant to reach: so many times less than a peer in the
// same run, or so much at most where AtMost is set.
type Goal struct {
	Title, Row, Quantity string
	Subject              string
	Against              string  `json:",omitempty"`
	Times                float64 `json:",omitempty"`
	AtMost               float64 `json:",omitempty"`
}

// Sample is what one run of a row on one subject gave: values, or the outcome
// that stands for them and the reason.
type Sample struct {
	Row, Subject string
	Round        int
	Values       map[string]float64 `json:",omitempty"`
	Outcome      Outcome            `json:",omitempty"`
	Reason       string             `json:",omitempty"`
}

// Outcome says why there is no value.
type Outcome string

const (
	Impossible Outcome = "not possible" // the subject has nothing of the kind
	Over       Outcome = "too long"     // it was ended after the limit
	Failed     Outcome = "failed"
	NotRun     Outcome = "not run" // it would take more than the machine has
)

// Load reads what Save wrote.
func Load(file string) (*Results, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// Save writes the results into a file.
func (r *Results) Save(file string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// side returns the subjects of a side in their order.
func (r *Results) side(side string) []Subject {
	var list []Subject
	for _, s := range r.Subjects {
		if s.Side == side {
			list = append(list, s)
		}
	}
	return list
}

// Cell is what all rounds found for a quantity of a row on a subject.
type Cell struct {
	Values  []float64
	Outcome Outcome // where there are no values
	Reason  string
}

// Cell gathers the samples of a row on a subject. A failure in any round is
// what the cell shows: the other rounds do not make up for it.
func (r *Results) Cell(row, subject, quantity string) Cell {
	var c Cell
	for _, s := range r.Samples {
		if s.Row != row || s.Subject != subject {
			continue
		}
		if s.Outcome != "" {
			if c.Outcome != Failed {
				c.Outcome, c.Reason = s.Outcome, s.Reason
			}
		} else if v, ok := s.Values[quantity]; ok {
			c.Values = append(c.Values, v)
		}
	}
	if c.Outcome != "" {
		c.Values = nil
	}
	return c
}
