// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import "restante.example/bench/report"

// best is the peer that the goals of the server are set against.
const best = "Dovecot max"

// serverGoals are what restanted is to reach beside the best peer in the same
// run, and where no peer does the like, in figures.
func serverGoals(z sizes) []report.Goal {
	last := func(list []int) int { return list[len(list)-1] }
	large := z.polls[len(z.polls)-2] // 10,000
	goals := []report.Goal{
		{Title: "CPU of a session, plain", Row: signInRow(false, 1).ID, Quantity: report.CPU, Against: best, Times: 3.5},
		{Title: "CPU of a session, TLS", Row: signInRow(true, 1).ID, Quantity: report.CPU, Against: best, Times: 3},
		{Title: "memory of an idle session, plain", Row: idleRow(false, z.idle[0]).ID, Quantity: report.Each, Against: best, Times: 8},
		{Title: "memory of an idle session, TLS", Row: idleRow(true, z.idleTLS[0]).ID, Quantity: report.Each, Against: best, Times: 5.7},
		{Title: "CPU of RETR, plain", Row: retrRow(false, true).ID, Quantity: report.CPU, Against: best, Times: 2},
		{Title: "CPU of RETR, TLS", Row: retrRow(true, true).ID, Quantity: report.CPU, Against: best, Times: 4.5},
		{Title: "time of RETR, one at a time, 4 KB each", Row: smallRow().ID, Quantity: report.Wall, Against: best, Times: 5},
		{Title: "CPU of a warm poll of " + count(large), Row: pollRow(2, large).ID, Quantity: report.CPU, Against: best, Times: 9},
		{Title: "time of a warm poll of " + count(last(z.polls)), Row: pollRow(2, last(z.polls)).ID, Quantity: report.Wall, Against: best, Times: 7},
		{Title: "CPU of a first poll of " + count(large) + ", sizes unknown", Row: pollRow(0, large).ID, Quantity: report.CPU, Against: "Dovecot", Times: 3.9},
		{Title: "CPU of a first poll of " + count(large) + ", sizes in names", Row: pollRow(1, large).ID, Quantity: report.CPU, Against: best, Times: 3.6},
		{Title: "time of a first poll of " + count(last(z.polls)) + ", sizes unknown", Row: pollRow(0, last(z.polls)).ID, Quantity: report.Wall, AtMost: 3000},
		{Title: "CPU of RETR, DELE and QUIT", Row: "remove", Quantity: report.CPU, Against: best, Times: 1.8},
		{Title: "processes for " + count(last(z.idleTLS)) + " idle TLS sessions", Row: idleRow(true, last(z.idleTLS)).ID, Quantity: report.Processes, AtMost: 1},
		{Title: "memory with " + count(last(z.idleTLS)) + " idle TLS sessions", Row: idleRow(true, last(z.idleTLS)).ID, Quantity: report.Memory, AtMost: 70},
		{Title: "a sign-in beside " + count(last(z.idle)) + " idle sessions", Row: besideRow(false, last(z.idle)).ID, Quantity: report.Tail, AtMost: 250},
		{Title: "time of a durable delivery, " + count(z.deliver) + " at once", Row: "lmtp/apart", Quantity: report.Wall, AtMost: 1000. / 800},
	}
	for i := range goals {
		goals[i].Subject = "restanted"
	}
	return goals
}

// collectGoals are those of restante, set against mpop.
func collectGoals() []report.Goal {
	goals := []report.Goal{
		{Title: "time of 1,000 messages, 20 ms round trip", Row: "collect/far", Quantity: report.Wall, Against: "mpop", Times: 2.8},
		{Title: "the same in figures", Row: "collect/far", Quantity: report.Wall, AtMost: 1000},
		{Title: "time of 1,000 messages, local", Row: "collect/near", Quantity: report.Wall, Against: "mpop", Times: 1.8},
		{Title: "time of 10,000 messages, local", Row: "collect/many", Quantity: report.Wall, Against: "mpop", Times: 1.5},
		{Title: "memory for 10,000 messages", Row: "collect/many", Quantity: report.Memory, AtMost: 40},
		{Title: "time of a poll with nothing new among 3,000", Row: "again/again", Quantity: report.Wall, Against: "mpop", Times: 1.4},
	}
	for i := range goals {
		goals[i].Subject = "restante"
	}
	return goals
}
