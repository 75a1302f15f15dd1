// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"restante.example/internal/maildir"
)

// Reading is what is read when somebody scrapes.
type Reading struct {
	// Connections are those of POP3 in all, Waiting those of them that have not
	// signed in, and Sessions those that have, by version of TLS, "" for none.
	Connections, Waiting int
	Sessions             map[string]int
	// LMTP are the connections of mail servers.
	LMTP int
	// Limits of the three; 0 is none.
	ConnectionLimit, WaitingLimit, LMTPLimit int

	Passwords Passwords
	Store     maildir.Stats
	Disks     []Disk

	// Expiry is when the certificate in use runs out.
	Expiry time.Time
	// Reloaded is when a configuration was put in force last, and ReloadFailed
	// whether one has been refused since.
	Reloaded     time.Time
	ReloadFailed bool
	// Checks are those of readiness.
	Checks []Check
}

// Passwords are the slots in which passwords are checked.
type Passwords struct {
	Slots, Taken, Waiting int
	// Refused is how many have found the queue full.
	Refused int64
}

// Disk is a file system that mail or state is on.
type Disk struct {
	// Of is "mail" or "data".
	Of string
	// Free and Size are in octets; Reserve is what deliveries leave.
	Free, Size, Reserve int64
}

// reader gives a Reading to Prometheus.
type reader struct{ read func() Reading }

// family is a metric of a reading.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func counted(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

var (
	connections = gauge("restanted_connections", "Connections of POP3 that are open, by state: signed in, or waiting for a sign-in.", "state")
	sessions    = gauge("restanted_sessions", "Sessions that are signed in, by version of TLS.", "tls")
	lmtp        = gauge("restanted_lmtp_connections", "Connections of mail servers that are open.")
	limits      = gauge("restanted_connections_limit", "How many connections there may be: of POP3 in all, of those not signed in, and of LMTP; +Inf is no limit.", "of")

	slots       = gauge("restanted_password_slots", "How many passwords can be checked at once.")
	slotsTaken  = gauge("restanted_password_slots_taken", "How many passwords are being checked.")
	slotsQueue  = gauge("restanted_password_queue", "How many sign-ins wait for a slot.")
	slotsRefuse = counted("restanted_password_queue_full_total", "Sign-ins that were told to come later because the queue was full.")

	records    = counted("restanted_journal_writes_total", "Times that decisions were written to a journal.")
	failures   = counted("restanted_journal_failures_total", "Times that a journal could not be written.")
	compacted  = counted("restanted_journal_compactions_total", "Journals that were written anew, shorter.")
	badJournal = counted("restanted_journals_damaged_total", "Maildrops found with a journal that cannot be used.")
	scans      = counted("restanted_scans_total", "Looks at a maildrop: full, its directories were listed; unchanged, two stats were enough.", "kind")
	badIndex   = counted("restanted_index_rebuilds_total", "Indexes that were damaged and are made anew.")
	learnt     = counted("restanted_messages_examined_total", "Messages looked at one by one, because they were new, changed or in doubt.")
	damaged    = counted("restanted_messages_damaged_total", "Messages found damaged; they are kept and not handed out.")

	diskFree    = gauge("restanted_disk_free_octets", "Room on the file system of the mail, and of the data directory.", "of")
	diskSize    = gauge("restanted_disk_size_octets", "Size of that file system.", "of")
	diskReserve = gauge("restanted_disk_reserve_octets", "Room that deliveries leave: with less they are refused for now.", "of")

	expiry   = gauge("restanted_certificate_expiry_timestamp_seconds", "When the certificate in use runs out.")
	reloaded = gauge("restanted_config_reload_timestamp_seconds", "When a configuration was put in force last.")
	reloadOK = gauge("restanted_config_reload_success", "1, or 0 when the configuration that was read last was refused.")
	ready    = gauge("restanted_ready", "1 for each check of readiness that is well, else 0.", "check")
)

// Describe implements prometheus.Collector.
func (*reader) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range []family{connections, sessions, lmtp, limits, slots, slotsTaken, slotsQueue, slotsRefuse, records, failures,
		compacted, badJournal, scans, badIndex, learnt, damaged, diskFree, diskSize, diskReserve, expiry, reloaded, reloadOK, ready} {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (r *reader) Collect(ch chan<- prometheus.Metric) {
	give := func(f family, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
	}
	x := r.read()
	give(connections, float64(x.Connections-x.Waiting), "signed in")
	give(connections, float64(x.Waiting), "waiting")
	byTLS := map[string]int{"none": 0, "TLS 1.2": 0, "TLS 1.3": 0}
	for version, n := range x.Sessions {
		byTLS[tlsLabel(version)] += n
	}
	for label, n := range byTLS {
		give(sessions, float64(n), label)
	}
	give(lmtp, float64(x.LMTP))
	give(limits, limit(x.ConnectionLimit), "pop3")
	give(limits, limit(x.WaitingLimit), "waiting")
	give(limits, limit(x.LMTPLimit), "lmtp")

	give(slots, float64(x.Passwords.Slots))
	give(slotsTaken, float64(x.Passwords.Taken))
	give(slotsQueue, float64(x.Passwords.Waiting))
	give(slotsRefuse, float64(x.Passwords.Refused))

	give(records, float64(x.Store.Records))
	give(failures, float64(x.Store.JournalFailures))
	give(compacted, float64(x.Store.Compactions))
	give(badJournal, float64(x.Store.DamagedJournals))
	give(scans, float64(x.Store.Scans), "full")
	give(scans, float64(x.Store.Unchanged), "unchanged")
	give(badIndex, float64(x.Store.LostIndexes))
	give(learnt, float64(x.Store.Learnt))
	give(damaged, float64(x.Store.Damaged))

	for _, d := range x.Disks {
		give(diskFree, float64(d.Free), d.Of)
		give(diskSize, float64(d.Size), d.Of)
		give(diskReserve, float64(d.Reserve), d.Of)
	}
	if !x.Expiry.IsZero() {
		give(expiry, float64(x.Expiry.Unix()))
	}
	give(reloaded, float64(x.Reloaded.Unix()))
	give(reloadOK, truth(!x.ReloadFailed))
	for _, c := range x.Checks {
		give(ready, truth(c.Problem == ""), c.Name)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
