// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"restante.example/bench/report"
)

// sizes say how much of everything is done.
type sizes struct {
	span      time.Duration // of loads that are repeated for a while
	rest      time.Duration // in which servers give back what they need no more
	parallel  []int         // sign-ins at once
	mixed     int           // messages of a mixed maildrop
	polls     []int         // messages of the maildrops that are polled
	removed   int           // messages
	idle      []int         // sessions
	idleTLS   []int
	deliver   int // deliveries at once
	slow      int // sign-ins at once with slow hashes
	near, far int // messages to collect
	again     int // messages of which none is new
	looks     int // for new ones
	many      int // messages to collect
}

var fullSizes = sizes{
	span: 800 * time.Millisecond, rest: 1500 * time.Millisecond, parallel: []int{1, 16, 64}, mixed: 1000, polls: []int{100, 1_000, 10_000, 100_000}, removed: 1000,
	idle: []int{500, 2_000, 10_000}, idleTLS: []int{500, 2_000}, deliver: 16, slow: 500, near: 1000, far: 1000, again: 3000, looks: 4, many: 10_000,
}

var quickSizes = sizes{
	span: 20 * time.Millisecond, rest: settle, parallel: []int{1, 4}, mixed: 20, polls: []int{20, 100}, removed: 20,
	idle: []int{5, 10, 20}, idleTLS: []int{5, 10}, deliver: 4, slow: 5, near: 20, far: 20, again: 30, looks: 1, many: 40,
}

// way names a kind of connection in identifiers and in titles.
func way(useTLS bool) (id, title string) {
	if useTLS {
		return "tls", "TLS 1.3"
	}
	return "plain", "plain"
}

func count(n int) string { return report.Count(n) }

// inSeries puts rows of the same series behind each other.
func inSeries(rows []report.Row) []report.Row {
	first := map[string]int{}
	for i, row := range rows {
		if _, ok := first[row.Series]; !ok {
			first[row.Series] = i
		}
	}
	slices.SortStableFunc(rows, func(a, b report.Row) int { return first[a.Series] - first[b.Series] })
	return rows
}

var both = []bool{false, true}

// serverSections are what is measured of servers: the sections of the pages,
// and the scenarios that fill their rows.
func serverSections(z sizes) (sections []report.Section, scenarios []scenario) {
	add := func(section report.Section, list ...scenario) {
		section.Side = "server"
		for _, s := range list {
			section.Rows = append(section.Rows, s.rows...)
		}
		section.Rows = inSeries(section.Rows)
		sections, scenarios = append(sections, section), append(scenarios, list...)
	}
	add(report.Section{ID: "signin", Title: "Sign-ins",
		Text: "Connect, USER, PASS, STAT, QUIT, by so many clients at once, each with a maildrop of its own of ten messages. " +
			"Every TLS handshake is a full one with X25519, which is what all of them have in common. Each user has signed in before."}, signInScenario(z))
	add(report.Section{ID: "retr", Title: "RETR",
		Text: fmt.Sprintf("%s messages of 4 KB to 5 MB, 129 MB for a thousand, with 32 commands ahead of the answers, or one command at a time. "+
			"One at a time, it stops after some seconds where it takes longer. The last row is about %s messages of 4 KB each.", count(z.mixed), count(z.removed))}, retrScenario(z))
	add(report.Section{ID: "remove", Title: "RETR, DELE and QUIT",
		Text: fmt.Sprintf("%s messages of 4 KB are retrieved and deleted with 32 pairs of commands ahead, and QUIT removes them.", count(z.removed))}, removeScenario(z))
	add(report.Section{ID: "poll", Title: "Polls", Growth: "messages in the maildrop",
		Text: "What a mail program asks at each poll, over messages of 2 KB that another program put there, with names that do not follow each other in order. " +
			"*First*: a sign-in, STAT, UIDL, LIST and QUIT where the server has never seen the mail; names tell sizes (`S=`, `W=`) or do not. " +
			"*Warm*: the same again. *One new*: a sign-in, STAT and QUIT after one message has come in, by the server's own LMTP or by another program; " +
			"taking it in is not counted."}, pollScenarios(z)...)
	add(report.Section{ID: "idle", Title: "Idle sessions", Growth: "sessions that are open",
		Text: "So many users are signed in and say nothing. Memory is the proportional set size of all processes beyond what they took before, for each session. " +
			"*Beside them*: one more user signs in again and again."}, append(idleScenarios(z, false), idleScenarios(z, true)...)...)
	add(report.Section{ID: "lmtp", Title: "Delivery by LMTP",
		Text: "Messages of 4 KB, one after the other on each connection. Each is answered when its file and its name are flushed, by every server here " +
			"(Dovecot with its default `mail_fsync = optimized`)."}, lmtpScenario(z))
	add(report.Section{ID: "slow", Title: "Many sign-ins at once with slow hashes",
		Text: fmt.Sprintf("%s users sign in in the same moment, for the first time since the server has started, and then once more. "+
			"A client that is told to come later does so after a second. CPU and time are for all of them until the last is in. "+
			"restanted and Dovecot check argon2id (19 MiB, 2 passes), the others SHA-512 of crypt(3), which costs less.", count(z.slow))}, slowScenario(z))
	return sections, scenarios
}
