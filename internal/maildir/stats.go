// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import "sync/atomic"

// Stats count what a store has done since it was made, for measuring.
type Stats struct {
	// Records is how many times decisions were written to a journal, and
	// JournalFailures how many times that failed; JournalFailing is true when the
	// last time did. Compactions are journals that were written anew.
	Records, JournalFailures, Compactions int64
	JournalFailing                        bool
	// DamagedJournals is how many maildrops were found whose journal cannot be
	// used; each counts whenever it is read.
	DamagedJournals int64
	// Scans is how often a maildrop was listed from its directories, Unchanged
	// how often two stats were enough.
	Scans, Unchanged int64
	// LostIndexes is how many indexes were damaged and are made anew.
	LostIndexes int64
	// Learnt is how many messages were looked at one by one, because they were
	// new, changed or in doubt.
	Learnt int64
	// Damaged is how many messages were found damaged; one that stays so counts
	// again whenever its maildrop is read anew.
	Damaged int64
}

// counts are the Stats of a store as many goroutines add to them.
type counts struct {
	records, journalFailures, compactions, damagedJournals atomic.Int64
	scans, unchanged, lostIndexes, learnt, damaged         atomic.Int64
	journalFailing                                         atomic.Bool
}

// Stats returns what was counted so far.
func (s *Store) Stats() Stats {
	c := &s.counts
	return Stats{
		Records: c.records.Load(), JournalFailures: c.journalFailures.Load(), Compactions: c.compactions.Load(),
		JournalFailing: c.journalFailing.Load(), DamagedJournals: c.damagedJournals.Load(),
		Scans: c.scans.Load(), Unchanged: c.unchanged.Load(), LostIndexes: c.lostIndexes.Load(),
		Learnt: c.learnt.Load(), Damaged: c.damaged.Load(),
	}
}

// wrote counts an attempt to write to a journal.
func (c *counts) wrote(err error) {
	if err != nil {
		c.journalFailures.Add(1)
	} else {
		c.records.Add(1)
	}
	c.journalFailing.Store(err != nil)
}
