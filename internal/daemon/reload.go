// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"strings"
	"time"

	"restante.example/internal/config"
)

// Reload puts a new configuration in force for new connections; sessions go on.
// It changes nothing and returns all that is wrong when load fails or something
// that the configuration names cannot be used.
func (s *Server) Reload(load func() (*config.Config, error)) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	old := s.config.Load()
	c, err := load()
	if err != nil {
		return err
	}
	if err := s.given(c); err != nil {
		return err
	}
	for _, fixed := range []struct {
		name string
		same bool
	}{
		{"data", c.Data == old.Data},
		{"maildir", c.Maildir == old.Maildir},
		{"hostname", c.Hostname == old.Hostname},
		{"lmtp_group", c.Listen.LMTPGroup == old.Listen.LMTPGroup},
		{"delivery.reserve", c.Delivery.Reserve == old.Delivery.Reserve},
		{"log_format", c.LogFormat == old.LogFormat},
		{"metrics", c.Metrics == old.Metrics},
	} {
		if !fixed.same {
			s.log.Warn("a changed setting needs a restart of the server", "setting", fixed.name)
		}
	}
	if c.Data != old.Data { // a socket may be in it
		c.Listen, c.Listeners = old.Listen, old.Listeners
	}
	c.Data, c.Maildir, c.Hostname, c.LogFormat = old.Data, old.Maildir, old.Hostname, old.LogFormat
	c.Listen.LMTPGroup, c.Delivery.Reserve, c.Metrics = old.Listen.LMTPGroup, old.Delivery.Reserve, old.Metrics
	r, err := receive(c, s.reception.Load(), s.log.Logger)
	if err != nil {
		return err
	}
	if err := s.signSelf(c, r); err != nil {
		return err
	}
	checker, err := s.newTokens(c)
	if err != nil {
		return err
	}
	addresses, err := s.prepare(c)
	if err != nil {
		return err
	}
	if err := s.office.directory.SetRouting(routing(c)); err != nil {
		s.abandon(addresses)
		return err
	}
	// From here on nothing can fail.
	s.config.Store(c)
	s.reloaded.Store(time.Now().UnixNano())
	s.reception.Store(r)
	s.useTokens(checker)
	s.traceUsers(c)
	s.log.reset(c.LogLevel)
	s.office.configure(c)
	s.pop3.Reconfigure(s.pop3Options(c, r))
	s.lmtp.Reconfigure(s.lmtpOptions(c))
	s.commit(addresses) // their rules are in force by now
	return nil
}

// reload is Reload with what the log and the service manager are told.
func (s *Server) reload(o *RunOptions) {
	s.tell(o, notifyReloading)
	err := s.beyond(s.Reload(o.Load))
	s.reloadFailed.Store(err != nil)
	if err != nil {
		// One line per mistake, so that each can be found.
		problems := []error{err}
		var all config.Problems
		if errors.As(err, &all) {
			problems = problems[:0]
			for _, p := range all {
				problems = append(problems, errors.New(p.String()))
			}
		}
		for _, p := range problems {
			s.log.Error("the new configuration is refused; the old one stays", "problem", p)
		}
	} else {
		s.log.Info("configuration re-read", "file", s.config.Load().File)
	}
	s.tell(o, notifyReady, s.statusLine())
}

func (s *Server) tell(o *RunOptions, states ...string) {
	if err := notify(o.Getenv, strings.Join(states, "\n")); err != nil {
		s.log.Warn("the service manager does not listen", "error", err)
	}
}
