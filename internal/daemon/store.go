// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"

	"restante.example/internal/config"
	"restante.example/internal/fsx"
	"restante.example/internal/maildir"
	"restante.example/maildrop"
)

// store is the store of an office, with what belongs to the Maildirs as files.
type store struct {
	maildrop.Store
	maildirs *maildir.Store
	homes    *homes
	// heal makes a view that a password opens and that is missing.
	heal func(context.Context, maildrop.ID, maildrop.View) error
	// rules say how long mail is kept of those who have no rules of their own.
	rules atomic.Pointer[maildrop.Rules]
	// reserve is how much room deliveries leave; less than 0 is none.
	reserve int64
	data    fsx.FS
	// mail is the directory that the Maildirs are in: that of the data, or where
	// the fixed part of the template leads; mailBase is its path.
	mail     fsx.FS
	mailBase string
}

func openStore(c *config.Config, h *homes, log *slog.Logger) (*store, error) {
	s := &store{homes: h, mailBase: c.Data}
	var err error
	if s.data, err = fsx.Dir(c.Data); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	s.data = withFaultyDisk(s.data)
	s.mail = s.data
	if c.Maildir != "" {
		s.mailBase = fixedPart(c.Maildir)
		if s.mail, err = fsx.Dir(s.mailBase); err != nil {
			return nil, errors.Join(fmt.Errorf("the directory of the Maildirs (setting maildir): %w", err), s.data.Close())
		}
	}
	if s.reserve, err = reserveOf(c, s.mail); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.rules.Store(rulesOf(c))
	s.maildirs = maildir.New(maildir.Options{Locate: s.locate, Rules: s.rulesFor, Host: c.Hostname, Reserve: s.reserve, Logger: log})
	s.Store = withFaults(s.maildirs)
	return s, nil
}

// fixedPart returns the directory that a template leads to before its first
// placeholder.
func fixedPart(template string) string {
	fixed, _, _ := strings.Cut(template, "{")
	return filepath.Dir(fixed + "x")
}

// reserveOf is how much room deliveries leave: what the configuration says,
// and a hundredth of the disk at most.
func reserveOf(c *config.Config, mail fsx.FS) (int64, error) {
	if c.Delivery.Reserve == 0 {
		return -1, nil // none
	}
	space, err := mail.Space()
	if err != nil {
		return 0, fmt.Errorf("free space: %w", err)
	}
	return max(min(int64(c.Delivery.Reserve), space.Total/100), 1), nil
}

// locate implements maildir.Options.Locate.
func (s *store) locate(ctx context.Context, id maildrop.ID) (maildir.Place, error) {
	mail, state, err := s.homes.locate(ctx, id)
	if err != nil {
		return maildir.Place{}, err
	}
	p := maildir.Place{Mail: s.mail, State: s.data}
	if p.Maildir, err = inside(s.mailBase, mail); err != nil {
		return maildir.Place{}, err
	}
	p.StateDir, err = inside(s.homes.config.Data, state)
	return p, err
}

// inside returns a path as it is named in the directory base.
func inside(base, name string) (string, error) {
	rel, err := filepath.Rel(base, name)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s is not in %s", name, base)
	}
	return filepath.ToSlash(rel), nil
}

// Make makes the Maildir of a maildrop durably, with mode 0700, where there is
// none.
func (s *store) Make(ctx context.Context, id maildrop.ID) error {
	p, err := s.locate(ctx, id)
	if err != nil {
		return err
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := fsx.MkdirAllSynced(p.Mail, path.Join(p.Maildir, sub)); err != nil {
			return fmt.Errorf("make the Maildir: %w", err)
		}
	}
	return nil
}

// Open implements maildrop.Store. A view that is missing though there is a
// password for it, as after the loss of a journal, is made anew.
func (s *store) Open(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
	sn, err := s.Store.Open(ctx, id, view)
	if !errors.Is(err, maildrop.ErrNoView) {
		return sn, err
	}
	if err := s.heal(ctx, id, view); err != nil {
		return nil, err
	}
	return s.Store.Open(ctx, id, view)
}

// Sweep lets the store look after the maildrops in use, and after those in ids.
func (s *store) Sweep(ctx context.Context, ids iter.Seq[maildrop.ID]) error {
	return s.maildirs.Sweep(ctx, ids)
}

// Close ends the store and lets go of the directories.
func (s *store) Close() error { return errors.Join(s.maildirs.Close(), s.close()) }

func (s *store) close() error {
	err := s.data.Close()
	if s.mail != s.data {
		err = errors.Join(err, s.mail.Close())
	}
	return err
}
