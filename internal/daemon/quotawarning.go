// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/directory"
	"restante.example/maildrop"
)

// filling has the maildrops that got mail since they were looked at: as many as
// there are users at most.
type filling struct {
	mu  sync.Mutex
	ids map[maildrop.ID]bool
}

func (f *filling) note(id maildrop.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ids == nil {
		f.ids = make(map[maildrop.ID]bool)
	}
	f.ids[id] = true
}

func (f *filling) take() map[maildrop.ID]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := f.ids
	f.ids = nil
	return ids
}

// warnFull tells users that their quota is almost used up: those who got mail
// since the last time and those who were told before, or all.
func (o *Office) warnFull(ctx context.Context, c *config.Config, all bool) error {
	users, err := o.directory.List(ctx)
	if err != nil {
		return err
	}
	got := o.filling.take()
	var failed []error
	for _, u := range users {
		if ctx.Err() != nil {
			break
		}
		if !all && !got[u.ID] && !u.QuotaWarned {
			continue
		}
		if err := o.warn(ctx, c, u); err != nil {
			o.filling.note(u.ID)
			failed = append(failed, fmt.Errorf("%s: %w", u.Name, err))
		}
	}
	return errors.Join(failed...)
}

// warn tells one user, once until the maildrop has been below eight tenths.
func (o *Office) warn(ctx context.Context, c *config.Config, u directory.User) error {
	quota := u.Quota
	if quota == (maildrop.Quota{}) {
		quota = quotaOf(c)
	}
	used := 0.0
	if quota != (maildrop.Quota{}) {
		messages, octets, err := o.store.Usage(ctx, u.ID)
		if err != nil {
			return err
		}
		if quota.Messages > 0 {
			used = float64(messages) / float64(quota.Messages)
		}
		if quota.Octets > 0 {
			used = max(used, float64(octets)/float64(quota.Octets))
		}
	}
	switch {
	case u.QuotaWarned && used < 0.8:
		return o.directory.SetQuotaWarned(ctx, u.Name, false)
	case u.QuotaWarned || used < 0.9:
		return nil
	}
	// Noted before it is done: a warning can be lost by a crash in between, and
	// trouble with the file of users never makes more than one.
	if err := o.directory.SetQuotaWarned(ctx, u.Name, true); err != nil {
		return err
	}
	if err := o.deliverWarning(ctx, c, u, int(used*100)); err != nil {
		return errors.Join(err, o.directory.SetQuotaWarned(context.WithoutCancel(ctx), u.Name, false))
	}
	o.log.Info("a user was warned of a full maildrop", "user", u.Name, "percent", int(used*100))
	return nil
}

// deliverWarning puts the message into the maildrop, whatever the quota: it is
// small, and there is one.
func (o *Office) deliverWarning(ctx context.Context, c *config.Config, u directory.User, percent int) error {
	delivery, err := o.store.Deliver(ctx, maildrop.Envelope{Origin: "quota warning"},
		[]maildrop.Target{{Maildrop: u.ID, Prefix: []byte("Return-Path: <>\r\n")}})
	if err != nil {
		return err
	}
	defer delivery.Abort() // which does nothing after Commit
	if _, err := io.WriteString(delivery, warning(c.Hostname, u.Name, percent, time.Now())); err != nil {
		return err
	}
	return errors.Join(delivery.Commit(ctx)...)
}

// warning is the message. Nothing answers it by itself: RFC 3834 section 5.
func warning(host, name string, percent int, now time.Time) string {
	to := name
	if !strings.Contains(to, "@") {
		to += "@" + host
	}
	if strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		to = "undisclosed-recipients:;" // the header is ASCII, RFC 5322 section 2.2
	}
	return strings.Join([]string{
		"Date: " + now.Format(time.RFC1123Z),
		"From: postmaster@" + host,
		"To: " + to,
		"Message-ID: <" + rand.Text() + "@" + host + ">",
		// RFC 2047: Su buzón está casi lleno.
		"Subject: Your mailbox is almost full / =?utf-8?q?Su_buz=C3=B3n_est=C3=A1_casi_lleno?=",
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: 8bit",
		"",
		fmt.Sprintf("Your mailbox %s is %d%% full. When it is full, mail for you no longer", name, percent),
		"arrives. Please collect your mail and let it be deleted from the server.",
		"",
		fmt.Sprintf("Su buzón %s está al %d%% de su capacidad. Cuando esté lleno ya no le", name, percent),
		"llegará correo. Por favor, descargue sus mensajes y bórrelos del servidor.",
		"",
	}, "\r\n")
}
