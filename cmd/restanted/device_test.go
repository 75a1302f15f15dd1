// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var shownPassword = regexp.MustCompile(`: (([a-z2-9]{4}-){7}[a-z2-9]{4})\n`)

// keep VARIABLE puts the app password that the last program has shown into a
// variable.
func keepPassword(ts *testscript.TestScript, _ bool, args []string) {
	m := shownPassword.FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no app password was shown")
	}
	ts.Setenv(args[0], m[1])
}

func TestSinceFlag(t *testing.T) {
	local := func(y int, m time.Month, d, h int) time.Time { return time.Date(y, m, d, h, 0, 0, 0, time.Local) }
	for text, want := range map[string]time.Time{
		"all": {}, "2026-11-23": local(2026, 11, 23, 0), "2026-11-23 07:00:00": local(2026, 11, 23, 7),
		"2026-11-23T07:00:00Z": time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC),
	} {
		var s since
		if err := s.UnmarshalText([]byte(text)); err != nil || !s.Equal(want) {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	var s since
	if err := s.UnmarshalText([]byte("now")); err != nil || time.Since(s.Time) > time.Minute {
		t.Errorf("now: %v, %v", s, err)
	}
	if err := s.UnmarshalText([]byte("yesterday")); err == nil {
		t.Error("yesterday was taken for a date")
	}
}
