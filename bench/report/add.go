// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Kept loads the results of a side that are kept in a folder.
func Kept(folder, side string) (*Results, error) {
	for _, s := range sides {
		if s.id == side {
			return Load(filepath.Join(folder, s.file))
		}
	}
	return nil, fmt.Errorf("there is no side %q", side)
}

// With returns the results with the rounds of others, which must be of the same
// versions of all subjects on the same machine: else medians of both say nothing.
func (r *Results) With(more *Results) (*Results, error) {
	if !slices.Equal(r.Machine, more.Machine) {
		return nil, fmt.Errorf("those that are kept are of another machine (%v): measure all of it anew", r.Machine)
	}
	for _, s := range more.Subjects {
		i := slices.IndexFunc(r.Subjects, func(k Subject) bool { return k.Name == s.Name && k.Side == s.Side })
		if i < 0 || r.Subjects[i].Version != s.Version {
			return nil, fmt.Errorf("those that are kept are of another %s than %s: measure all of it anew", s.Name, s.Version)
		}
	}
	sum := *r
	sum.Command += "` and `" + more.Command
	sum.Rounds += more.Rounds
	sum.Took += more.Took
	sum.Samples = slices.Clone(r.Samples)
	for _, s := range more.Samples {
		s.Round += r.Rounds
		sum.Samples = append(sum.Samples, s)
	}
	return &sum, nil
}
