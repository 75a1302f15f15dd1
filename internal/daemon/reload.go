// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"slices"
	"time"

	"restante.example/internal/cert"
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
	source := s.cert.Load()
	switch {
	case c.TLS == old.TLS:
	case c.TLS.CertFile == "":
		// The names of the first start hold: the file is there or is made once.
		if source, err = cert.SelfSigned(selfSignedDir(old), certificateNames(old, s.listeners), s.log.Logger); err != nil {
			return err
		}
	default:
		if source, err = cert.Load(c.TLS.CertFile, c.TLS.KeyFile, s.log.Logger); err != nil {
			return err
		}
	}
	checker, err := s.newTokens(c)
	if err != nil {
		return err
	}
	if err := s.office.directory.SetRouting(routing(c)); err != nil {
		return err
	}
	// From here on nothing can fail.
	for _, fixed := range []struct {
		name string
		same bool
	}{
		{"data", c.Data == old.Data},
		{"maildir", c.Maildir == old.Maildir},
		{"hostname", c.Hostname == old.Hostname},
		{"listen", sameListen(c.Listen, old.Listen)},
		{"delivery.reserve", c.Delivery.Reserve == old.Delivery.Reserve},
		{"log_format", c.LogFormat == old.LogFormat},
		{"metrics", c.Metrics == old.Metrics},
	} {
		if !fixed.same {
			s.log.Warn("a changed setting needs a restart of the server", "setting", fixed.name)
		}
	}
	c.Data, c.Maildir, c.Hostname, c.Listen, c.LogFormat = old.Data, old.Maildir, old.Hostname, old.Listen, old.LogFormat
	c.Delivery.Reserve, c.Metrics = old.Delivery.Reserve, old.Metrics
	s.config.Store(c)
	s.reloaded.Store(time.Now().UnixNano())
	s.cert.Store(source)
	s.useTokens(checker)
	s.traceUsers(c)
	s.log.reset(c.LogLevel)
	s.office.configure(c)
	s.pop3.Reconfigure(s.pop3Options(c, source))
	s.lmtp.Reconfigure(s.lmtpOptions(c))
	return nil
}

func sameListen(a, b config.Listen) bool {
	return slices.Equal(a.POP3, b.POP3) && slices.Equal(a.POP3S, b.POP3S) && slices.Equal(a.LMTP, b.LMTP) && a.LMTPGroup == b.LMTPGroup
}

// reload is Reload with what the log and the service manager are told.
func (s *Server) reload(o *RunOptions) {
	s.tell(o, notifyReloading)
	err := s.Reload(o.Load)
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
	s.tell(o, notifyReady)
}

func (s *Server) tell(o *RunOptions, state string) {
	if err := notify(o.Getenv, state); err != nil {
		s.log.Warn("the service manager does not listen", "error", err)
	}
}
