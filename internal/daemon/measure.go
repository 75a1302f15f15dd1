// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/fsx"
	"restante.example/internal/metrics"
	"restante.example/internal/proxyheader"
	"restante.example/pop3server"
)

// Metrics is the service where scrapers and supervisors ask.
const Metrics = "metrics"

// measuring is what a server has for its metrics; all of it is unused where
// they are off.
type measuring struct {
	metrics *metrics.Metrics // nil where they are off
	office  *Office          // that of the server, which lets go of it while scrapers may still ask
	server  *metrics.Server
	probe   probe
	// serving is how many listeners are being served.
	serving atomic.Int64
}

// bindMetrics binds the address of the metrics, if there is one, as one more
// listener.
func (s *Server) bindMetrics(ctx context.Context, c *config.Config) error {
	if c.Metrics.Listen == "" {
		return nil
	}
	l, err := bindAddress(ctx, c.Metrics.Listen, c.Data, "")
	if err != nil {
		return errors.Join(errors.New("the address under [metrics] cannot be used; choose another, or leave it out"), err)
	}
	if isPublic(l.Addr()) {
		s.log.Warn("metrics are open to other machines: whoever reaches them learns how much mail there is and how the server does",
			"address", l.Addr().String())
	}
	s.listeners.list = append(s.listeners.list, &listener{
		Listener: proxyheader.New(l, proxyheader.Rules{}, s.log.Logger), at: config.Listener{Service: Metrics, Address: c.Metrics.Listen},
	})
	s.measuring.metrics = metrics.New(s.version, s.read)
	s.measuring.server = s.measuring.metrics.NewServer(s.checks, s.log.Logger)
	return nil
}

// serveMetrics answers until the server of the metrics is closed. That nobody
// can measure is no reason to serve no mail.
func (s *Server) serveMetrics(l net.Listener) error {
	if err := s.measuring.server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("metrics are no longer answered", "error", err)
	}
	return nil
}

// closeMetrics ends what serveMetrics does.
func (s *Server) closeMetrics() {
	if s.measuring.server != nil {
		_ = s.measuring.server.Close() // connections of scrapers hold nothing
	}
}

// accepting counts what a listener accepts, where somebody measures.
func (s *Server) accepting(l *listener) net.Listener {
	if s.measuring.metrics == nil {
		return l
	}
	return &countingListener{l, s.measuring.metrics}
}

type countingListener struct {
	*listener
	metrics *metrics.Metrics
}

// Accept counts.
func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.listener.Accept()
	if err == nil {
		l.metrics.Accepted(l.at.Service)
	}
	return conn, err
}

// ended notes a connection that has ended.
func (s *Server) ended(sum pop3server.Summary) {
	s.counts.note(sum)
	s.measuring.metrics.Ended(sum)
}

// read reads what is only known when somebody scrapes.
func (s *Server) read() metrics.Reading {
	c := s.config.Load()
	r := metrics.Reading{
		Sessions: map[string]int{},
		LMTP:     s.lmtp.Connections(), LMTPLimit: c.Limits.LMTPSessions,
		ConnectionLimit: c.Limits.Sessions, WaitingLimit: c.Limits.Unauthenticated,
		Store:    s.measuring.office.store.maildirs.Stats(),
		Disks:    s.measuring.office.disks(s.log),
		Reloaded: time.Unix(0, s.reloaded.Load()), ReloadFailed: s.reloadFailed.Load(),
		Checks: s.checks(),
	}
	r.Connections, r.Waiting = s.pop3.Connections()
	for _, i := range s.pop3.Sessions() {
		r.Sessions[i.TLS]++
	}
	slots := s.measuring.office.directory.Slots()
	r.Passwords = metrics.Passwords{Slots: slots.Size(), Taken: slots.Taken(), Waiting: slots.Waiting(), Refused: slots.Refused()}
	r.Expiry = s.reception.Load().Expiry()
	return r
}

// disks measures the file systems of the mail and of the data directory.
func (o *Office) disks(log *Log) []metrics.Disk {
	var list []metrics.Disk
	for _, d := range []struct {
		of      string
		fs      fsx.FS
		reserve int64
	}{{"mail", o.store.mail, o.store.reserve}, {"data", o.store.data, 0}} {
		space, err := d.fs.Space()
		if err != nil {
			log.Warn("free space cannot be told", "of", d.of, "error", err)
			continue
		}
		list = append(list, metrics.Disk{Of: d.of, Free: space.Free, Size: space.Total, Reserve: max(d.reserve, 0)})
	}
	return list
}
