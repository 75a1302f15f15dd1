// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics counts what a server does, for Prometheus, and answers its
// scrapes and the health checks of whoever supervises the server. It is the one
// package that knows Prometheus; the others tell it what happens through hooks
// that know nothing of it.
//
// Every label has few values, which come from the code and never from a client:
// nobody's name, address or secret is in a metric.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"restante.example/internal/intake"
	"restante.example/pop3server"
)

// Metrics counts. Its methods may be called by any number of goroutines, and on
// a nil Metrics, which counts nothing.
type Metrics struct {
	registry *prometheus.Registry

	accepted *prometheus.CounterVec
	ended    *prometheus.CounterVec
	octets   *prometheus.CounterVec
	duration prometheus.Histogram

	signIns    *prometheus.CounterVec
	refused    *prometheus.CounterVec
	signInTime *prometheus.HistogramVec
	guardTime  prometheus.Histogram
	guarded    prometheus.Counter
	hashTime   prometheus.Histogram

	retrieved, top, removed, stayed prometheus.Counter
	openTime, sendTime, quitTime    prometheus.Histogram

	recipients      *prometheus.CounterVec
	deliveredOctets prometheus.Counter
	commitTime      prometheus.Histogram

	mechanisms, reasons, endings words
}

// Buckets in seconds: of what takes milliseconds, and of what takes as long as a
// client likes.
var (
	quick = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	slow  = []float64{.001, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 600, 1800}
	// The guard makes guessers wait for up to 15 seconds.
	delays = []float64{.01, .5, 1, 2, 4, 8, 15, 20}
)

// New returns metrics that count, and that ask read for what is only known when
// they are scraped.
func New(version string, read func() Reading) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		m.registry.MustRegister(h)
		return h
	}

	m.accepted = counters("restanted_connections_accepted_total", "Connections that were accepted, by service.", "service")
	m.ended = counters("restanted_connections_ended_total", "Connections of POP3 that have ended, by the reason that the log gives.", "reason")
	m.octets = counters("restanted_octets_total", "Octets on the wire of POP3 connections that have ended, those of TLS included.", "direction")
	m.duration = histogram("restanted_session_seconds", "How long signed-in sessions lasted, from connecting to the end.", slow)

	m.signIns = counters("restanted_signins_total", "Sign-ins that began a session.", "mechanism", "tls")
	m.refused = counters("restanted_signins_refused_total", "Sign-ins that were refused, by the reason that the log gives.", "mechanism", "reason")
	m.signInTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "restanted_signin_seconds",
		Help: "Time from when the guard let a sign-in pass to its answer.", Buckets: quick}, []string{"result"})
	m.registry.MustRegister(m.signInTime)
	m.guardTime = histogram("restanted_guard_delay_seconds", "How long sign-ins had to wait because somebody guesses at the same place.", delays)
	m.guarded = counter("restanted_guard_refusals_total", "Sign-ins that would have had to wait too long and were refused.")
	m.hashTime = histogram("restanted_password_hash_seconds", "Time of one check of a password by its slow hash, without waiting for a slot.", quick)

	m.retrieved = counter("restanted_messages_retrieved_total", "Messages sent whole, in sessions that have ended.")
	m.top = counter("restanted_messages_top_total", "Messages of which the top was sent, in sessions that have ended.")
	m.removed = counter("restanted_messages_removed_total", "Messages removed at QUIT.")
	m.stayed = counter("restanted_removals_failed_total", "Messages that should have been removed at QUIT and were not.")
	m.openTime = histogram("restanted_retr_open_seconds", "Time until the store had a message ready to be sent.", quick)
	m.sendTime = histogram("restanted_retr_seconds", "Time from RETR to the last octet on its way; the client has part in it.", slow)
	m.quitTime = histogram("restanted_quit_commit_seconds", "Time in which the store removed what a QUIT had to remove, durably.", quick)

	m.recipients = counters("restanted_deliveries_total", "Recipients of messages that came in, by what became of them.", "result")
	m.deliveredOctets = counter("restanted_delivered_octets_total", "Octets of messages that were delivered, once for each recipient.")
	m.commitTime = histogram("restanted_delivery_commit_seconds", "Time in which the store made a message durable, after its last octet.", quick)

	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "restanted_build_info", Help: "1, with the version in the labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	info.Set(1)
	m.registry.MustRegister(info, &reader{read},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.zero()
	return m
}

// zero makes the series that matter before anything happens, so that a rate is
// known from the first event on.
func (m *Metrics) zero() {
	for _, service := range []string{"pop3", "pop3s", "lmtp"} {
		m.accepted.WithLabelValues(service)
	}
	m.octets.WithLabelValues("in")
	m.octets.WithLabelValues("out")
	m.signInTime.WithLabelValues("accepted")
	m.signInTime.WithLabelValues("refused")
	for _, end := range []pop3server.Ending{pop3server.EndQuit, pop3server.EndQuitFailed, pop3server.EndClosed, pop3server.EndLost,
		pop3server.EndIdle, pop3server.EndAuthTime, pop3server.EndLineTime, pop3server.EndWriteTime, pop3server.EndFailures,
		pop3server.EndWrong, pop3server.EndInjection, pop3server.EndTLS, pop3server.EndDamaged, pop3server.EndRefused,
		pop3server.EndEvicted, pop3server.EndTakenOver, pop3server.EndRevoked, pop3server.EndShutdown, pop3server.EndServerError} {
		m.ended.WithLabelValues(m.endings.label(string(end)))
	}
	for _, mechanism := range []string{"USER", "PLAIN"} {
		m.signIns.WithLabelValues(m.mechanisms.label(mechanism), "TLS 1.3")
		for _, reason := range []string{"credentials", "guard", "unavailable", "no maildrop"} {
			m.refused.WithLabelValues(mechanism, m.reasons.label(reason))
		}
	}
	for class := intake.Delivered; class <= intake.Temporary; class++ {
		m.recipients.WithLabelValues(class.String())
	}
}

// Accepted counts a connection to a service: pop3, pop3s or lmtp.
func (m *Metrics) Accepted(service string) { m.accepted.WithLabelValues(service).Inc() }

// POP3 returns what tells m of a POP3 server, nil for a nil m.
func (m *Metrics) POP3() *pop3server.Observer {
	if m == nil {
		return nil
	}
	return &pop3server.Observer{SignIn: m.signIn, Retrieved: m.sent, Removed: m.quit}
}

func (m *Metrics) signIn(s pop3server.SignInOutcome) {
	mechanism := m.mechanisms.label(s.Mechanism)
	if s.Refused != "" {
		m.refused.WithLabelValues(mechanism, m.reasons.label(s.Refused)).Inc()
		if s.Took > 0 {
			m.signInTime.WithLabelValues("refused").Observe(s.Took.Seconds())
		}
		return
	}
	m.signIns.WithLabelValues(mechanism, tlsLabel(s.TLS)).Inc()
	m.signInTime.WithLabelValues("accepted").Observe(s.Took.Seconds())
}

func (m *Metrics) sent(r pop3server.Retrieval) {
	m.openTime.Observe(r.Opened.Seconds())
	m.sendTime.Observe(r.Took.Seconds())
}

func (m *Metrics) quit(removed, stayed int, took time.Duration) {
	m.removed.Add(float64(removed))
	m.stayed.Add(float64(stayed))
	m.quitTime.Observe(took.Seconds())
}

// Ended counts a POP3 connection that has ended.
func (m *Metrics) Ended(s pop3server.Summary) {
	if m == nil {
		return
	}
	m.ended.WithLabelValues(m.endings.label(string(s.End))).Inc()
	m.octets.WithLabelValues("in").Add(float64(s.In))
	m.octets.WithLabelValues("out").Add(float64(s.Out))
	if s.User == "" {
		return
	}
	m.duration.Observe(s.Duration.Seconds())
	m.retrieved.Add(float64(s.Retrieved))
	m.top.Add(float64(s.Top))
}

// Intake returns what tells m of deliveries, nil for a nil m.
func (m *Metrics) Intake() *intake.Observer {
	if m == nil {
		return nil
	}
	return &intake.Observer{
		Recipient: func(class intake.Class, octets int64) {
			m.recipients.WithLabelValues(class.String()).Inc()
			if class == intake.Delivered {
				m.deliveredOctets.Add(float64(octets))
			}
		},
		Commit: func(took time.Duration) { m.commitTime.Observe(took.Seconds()) },
	}
}

// Hash returns what tells m of the checks of passwords, nil for a nil m.
func (m *Metrics) Hash() func(time.Duration) {
	if m == nil {
		return nil
	}
	return func(took time.Duration) { m.hashTime.Observe(took.Seconds()) }
}

// Guard counts a sign-in that the guard has let pass after a time, or refused.
func (m *Metrics) Guard(waited time.Duration, refused bool) {
	if m == nil {
		return
	}
	m.guardTime.Observe(waited.Seconds())
	if refused {
		m.guarded.Inc()
	}
}
