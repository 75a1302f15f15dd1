// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestLedger: each way of breaking the promise is told, and what keeps it is not.
func TestLedger(t *testing.T) {
	a, b := sum{1}, sum{2}
	accepted := func(l *ledger, list ...sum) {
		for _, s := range list {
			l.sending(s, 10)
			l.answered(s, true, false)
		}
	}
	for name, c := range map[string]struct {
		do   func(l *ledger)
		want string // empty: kept
	}{
		"all there": {func(l *ledger) { accepted(l, a, b); l.audit([]sum{a, b}, l.must()) }, ""},
		"lost":      {func(l *ledger) { accepted(l, a, b); l.audit([]sum{a}, l.must()) }, "is lost"},
		"twice":     {func(l *ledger) { accepted(l, a); l.audit([]sum{a, a}, l.must()) }, "there twice"},
		"accepted meanwhile": {func(l *ledger) {
			must := l.must()
			accepted(l, a)
			l.audit(nil, must)
		}, ""},
		"removed":            {func(l *ledger) { accepted(l, a); l.asked([]sum{a}); l.gone([]sum{a}); l.audit(nil, l.must()) }, ""},
		"QUIT not answered":  {func(l *ledger) { accepted(l, a); l.asked([]sum{a}); l.audit(nil, l.must()) }, ""},
		"deleted blindly":    {func(l *ledger) { accepted(l, a); l.askedBlindly(); l.audit(nil, l.must()) }, ""},
		"one blindly of two": {func(l *ledger) { accepted(l, a, b); l.askedBlindly(); l.audit(nil, l.must()) }, "is lost"},
		"stayed, then lost": {func(l *ledger) {
			accepted(l, a)
			l.asked([]sum{a})
			l.retrieved("u", a, 10, 10)
			l.audit(nil, l.must())
		}, "went later"},
		"risen": {func(l *ledger) { accepted(l, a); l.gone([]sum{a}); l.retrieved("u", a, 10, 10) }, "has risen"},
		"risen in a listing": {func(l *ledger) {
			accepted(l, a)
			l.retrieved("u", a, 10, 10)
			l.gone([]sum{a})
			l.listed("u")
		}, "has risen"},
		"never sent":     {func(l *ledger) { l.retrieved("u", a, 10, 10) }, "nothing that was ever sent"},
		"wrong size":     {func(l *ledger) { accepted(l, a); l.retrieved("u", a, 11, 10) }, "LIST said 11"},
		"size not asked": {func(l *ledger) { accepted(l, a); l.retrieved("u", a, -1, 10) }, ""},
		"one UID for two": {func(l *ledger) {
			accepted(l, a, b)
			l.retrieved("u", a, 10, 10)
			l.retrieved("u", b, 10, 10)
		}, "has named"},
		"refused and there": {func(l *ledger) {
			l.sending(a, 10)
			l.answered(a, false, false)
			l.retrieved("u", a, 10, 10)
		}, "was refused"},
		"there and refused": {func(l *ledger) {
			l.sending(a, 10)
			l.retrieved("u", a, 10, 10)
			l.answered(a, false, false)
		}, "was refused"},
		"refused while calls failed": {func(l *ledger) {
			l.sending(a, 10)
			l.answered(a, false, true)
			l.retrieved("u", a, 10, 10)
			l.retrieved("u", a, 10, 10)
			if l.totals().twice != 1 {
				l.broken("counted %d times", l.totals().twice)
			}
		}, ""},
		"no answer": {func(l *ledger) { l.sending(a, 10); l.audit(nil, l.must()); l.retrieved("u", a, 10, 10) }, ""},
	} {
		var told []string
		l := newLedger("ana", func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) })
		c.do(l)
		if c.want == "" && len(told) > 0 || c.want != "" && (len(told) != 1 || !strings.Contains(told[0], c.want)) {
			t.Errorf("%s: told %q, want %q", name, told, c.want)
		}
	}
}
