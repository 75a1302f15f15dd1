// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"time"

	"restante.example/internal/checkpassword"
	"restante.example/internal/config"
	"restante.example/internal/directory"
	"restante.example/internal/passwdfile"
	"restante.example/internal/passwords"
	"restante.example/pop3server"
)

// ReplyCommand is the command of this program that a helper runs.
const ReplyCommand = "checkpassword-reply"

// helperQueue is how many sign-ins may wait for a helper.
const helperQueue = 64

// configureSources puts the sources of users of a configuration in force.
func (o *Office) configureSources(c *config.Config) {
	u := c.Users
	o.directory.SetSources(directory.Sources{PasswdFile: u.PasswdFile, Helper: o.helperOf(u),
		RefuseUnknown: u.UnknownRecipients == config.UnknownRefuse})
	if u.PasswdFile == "" {
		o.watch.Store(nil)
		return
	}
	w := o.watch.Load()
	if w == nil || w.Path != u.PasswdFile {
		w = &passwdfile.Watch{Path: u.PasswdFile, Logger: o.log}
		w.Use = func(ctx context.Context, file *passwdfile.File, info os.FileInfo) error {
			return o.mirror(ctx, w, file, info)
		}
		o.watch.Store(w)
	}
	w.Look(context.Background())
}

// helperOf returns the helper of a configuration, nil for none. One that stays as
// it is keeps its slots, and what it has said holds.
func (o *Office) helperOf(u config.Users) directory.Helper {
	if len(u.Helper) == 0 {
		o.helper = nil
		return nil
	}
	made := config.Users{Helper: u.Helper, HelperTimeout: u.HelperTimeout, HelperAtOnce: u.HelperAtOnce, HelperRemember: u.HelperRemember}
	if o.helper != nil && reflect.DeepEqual(o.helper.made, made) {
		return o.helper
	}
	self, err := os.Executable()
	if err != nil {
		o.log.Warn("this program cannot find itself, so the helper has no reply program and every name stays as it was given", "error", err)
	}
	o.helper = &helper{&checkpassword.Helper{
		Command: u.Helper, Reply: []string{self, ReplyCommand}, Timeout: time.Duration(u.HelperTimeout),
		Slots: passwords.NewSlots(u.HelperAtOnce, helperQueue, nil), Remember: time.Duration(u.HelperRemember),
	}, o.homes, made}
	return o.helper
}

// refreshSources brings in what has changed elsewhere.
func (o *Office) refreshSources(ctx context.Context) {
	if w := o.watch.Load(); w != nil {
		w.Refresh(ctx)
	}
}

// fresh is a guard that brings in what has changed elsewhere before the directory
// is asked. Whose line has changed is signed out by that, and a sign-in that is
// under way meanwhile has to be tried again; so it is done before.
type fresh struct {
	pop3server.Guard
	refresh func(context.Context)
}

// Before implements pop3server.Guard.
func (f fresh) Before(ctx context.Context, remote netip.Addr, name string) error {
	if err := f.Guard.Before(ctx, remote, name); err != nil {
		return err
	}
	f.refresh(ctx)
	return nil
}

// watchSources does so until ctx ends, so that who is removed elsewhere is soon
// signed out here too.
func (o *Office) watchSources(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.refreshSources(ctx)
		}
	}
}

// helper is a helper whose users need a place for their mail.
type helper struct {
	*checkpassword.Helper
	homes *homes
	made  config.Users // what it was made of
}

// Admit implements directory.Helper.
func (h *helper) Admit(ctx context.Context, name string) error { return h.homes.free(ctx, name) }

// settled is how long a file that has lost users is left alone after its last
// change: whoever writes a file in its place cuts it off first, and mail for
// those who are missing for a moment must not be refused.
const settled = 2 * time.Second

// errFormer: the configuration names another file by now, or none.
var errFormer = fmt.Errorf("it is not the passwd-file any more: %w", passwdfile.ErrSettling)

// mirror makes the users of the passwd-file that w watches users here.
func (o *Office) mirror(ctx context.Context, w *passwdfile.Watch, file *passwdfile.File, info os.FileInfo) error {
	o.mirroring.Lock()
	defer o.mirroring.Unlock()
	if o.watch.Load() != w {
		return errFormer
	}
	users, err := o.directory.List(ctx)
	if err != nil {
		return err
	}
	stands := make(map[string]bool, len(file.Users))
	for _, u := range file.Users {
		stands[u.Name] = true
	}
	places := make(map[string]string, len(users)) // whose a Maildir is
	for _, u := range users {
		if u.Source == directory.SourcePasswdFile && !stands[u.Name] && time.Since(info.ModTime()).Abs() < settled {
			return passwdfile.ErrSettling
		}
		if place, err := o.config.MaildirOf(u.Name); err == nil {
			places[place] = u.Name
		}
	}
	done, err := o.directory.Mirror(ctx, w.Path, file.Users, func(name string) error {
		place, err := o.config.MaildirOf(name)
		if err != nil {
			return err
		}
		if other, taken := places[place]; taken {
			return fmt.Errorf("the maildir template gives %s to %s already", place, other)
		}
		places[place] = name
		return nil
	})
	if err != nil {
		return err
	}
	if done.Added+done.Changed+done.Removed > 0 {
		o.log.Info("the passwd-file was read", "users", len(file.Users), "added", done.Added, "changed", done.Changed, "removed", done.Removed)
	}
	for _, n := range file.Notes {
		if n.Problem {
			o.log.Warn("in the passwd-file", "problem", n.Text, "lines", n.Lines, "count", n.Count)
		}
	}
	if len(done.Shadowed) > 0 {
		o.log.Warn("in the passwd-file are names of users of this server, whose passwords hold",
			"names", done.Shadowed[:min(len(done.Shadowed), maxNames)], "count", len(done.Shadowed))
	}
	refused := slices.Sorted(maps.Keys(done.Refused))
	for _, name := range refused[:min(len(refused), maxNames)] {
		o.log.Warn("a user of the passwd-file is none here", "user", name, "problem", done.Refused[name], "count", len(refused))
	}
	return nil
}

// maxNames is how many names of a kind are logged.
const maxNames = 20
