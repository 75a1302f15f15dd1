// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Bounds of the listener: it is there for a scraper and a supervisor or two.
const (
	maxConnections = 16
	maxScrapes     = 4
	maxHeader      = 8 << 10
)

// Check is one question of readiness, and what is wrong, or "" when all is well.
// The text is for everybody who can reach the listener: it names nobody.
type Check struct{ Name, Problem string }

// Server answers scrapes and health checks.
type Server struct{ http *http.Server }

// NewServer returns a server of /metrics, /healthz and /readyz. Checks is asked
// at each /readyz; it is to answer soon.
func (m *Metrics) NewServer(checks func() []Check, log *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: maxScrapes,
		Timeout:             20 * time.Second,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "the process answers\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, checks()) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "restanted: /metrics, /healthz, /readyz\n")
	})
	return &Server{&http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// Serve answers on l until Close; then it returns http.ErrServerClosed. More
// connections than a few wait.
func (s *Server) Serve(l net.Listener) error {
	return s.http.Serve(netutil.LimitListener(l, maxConnections))
}

// Close ends the server and its connections.
func (s *Server) Close() error { return s.http.Close() }

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, text) // who asked may be gone
}

// readyz answers 200 when every check is well, else 503, with a line per check.
func readyz(w http.ResponseWriter, checks []Check) {
	status, head := http.StatusOK, "ready"
	var lines strings.Builder
	for _, c := range checks {
		said := c.Problem
		if said == "" {
			said = "ok"
		} else {
			status, head = http.StatusServiceUnavailable, "not ready"
		}
		fmt.Fprintf(&lines, "%s: %s\n", c.Name, said)
	}
	answer(w, status, head+"\n"+lines.String())
}

// limit writes a limit; none is infinite.
func limit(n int) float64 {
	if n <= 0 {
		return math.Inf(1)
	}
	return float64(n)
}
