// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"restante.example/internal/control"
	"restante.example/internal/directory"
	"restante.example/internal/intake"
	"restante.example/internal/lmtp"
	"restante.example/maildrop"
	"restante.example/sasl"
)

// Names of the operations.
const (
	OpUserAdd        = "user.add"
	OpUserPassword   = "user.passwd"
	OpUserList       = "user.list"
	OpUserDisable    = "user.disable"
	OpUserEnable     = "user.enable"
	OpUserRemove     = "user.remove"
	OpUserQuota      = "user.quota"
	OpUserAPOP       = "user.apop"
	OpAliasAdd       = "alias.add"
	OpAliasRemove    = "alias.remove"
	OpAliasList      = "alias.list"
	OpCatchAllSet    = "catch-all.set"
	OpCatchAllRemove = "catch-all.remove"
	OpCatchAllList   = "catch-all.list"
	OpDeliver        = "deliver"
	OpStatus         = "status"
	OpTrace          = "trace"
)

// Codes of refusals.
const (
	CodeNoUser = "no-user"
	CodeExists = "exists"
	// CodeElsewhere: what was to be changed is kept by another source of users.
	CodeElsewhere = "elsewhere"
)

// refusal turns an error of the directory into one that the caller can tell
// from others.
func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, maildrop.ErrNoUser):
		return &control.Error{Code: CodeNoUser, Text: err.Error()}
	case errors.Is(err, directory.ErrExists):
		return &control.Error{Code: CodeExists, Text: err.Error()}
	case errors.Is(err, directory.ErrElsewhere):
		return &control.Error{Code: CodeElsewhere, Text: err.Error()}
	}
	return err
}

// Nothing is the answer of operations that have none.
type Nothing struct{}

// UserArgs name a user and, where it is to be set, the password.
type UserArgs struct {
	Name     string `json:"name"`
	Password string `json:"password,omitempty"`
	// SCRAM asks for keys for SCRAM-SHA-256 too, SCRAMSHA1 for those of both
	// hashes; nil at a change of password keeps what the user has.
	SCRAM     *bool          `json:"scram,omitempty"`
	SCRAMSHA1 *bool          `json:"scram_sha1,omitempty"`
	Quota     maildrop.Quota `json:"quota,omitzero"`
}

// hashes are the SCRAM keys that are asked for, where a user has had these.
func (a *UserArgs) hashes(had directory.Hashes) directory.Hashes {
	switch {
	case a.SCRAM != nil && !*a.SCRAM:
		had = directory.Hashes{}
	case a.SCRAM != nil:
		had.SHA256 = true
	}
	if a.SCRAMSHA1 != nil {
		had.SHA1 = *a.SCRAMSHA1
		had.SHA256 = had.SHA256 || had.SHA1
	}
	return had
}

// QuotaArgs name a user and what its maildrop may hold; a limit that is nil stays.
type QuotaArgs struct {
	Name     string `json:"name"`
	Messages *int   `json:"messages,omitempty"`
	Octets   *int64 `json:"octets,omitempty"`
}

// PasswordChanged says what went with a password.
type PasswordChanged struct {
	// APOP is true when the user had a secret for APOP, which is gone.
	APOP bool `json:"apop"`
}

// UserInfo is a user as the commands show one.
type UserInfo struct {
	Name    string      `json:"name"`
	ID      maildrop.ID `json:"id"`
	Enabled bool        `json:"enabled"`
	// Source is who keeps the password where the server does not: "passwd-file"
	// or "helper".
	Source string `json:"source,omitempty"`
	// SCRAM and SCRAMSHA1 say for which hashes the password has SCRAM keys.
	SCRAM     bool `json:"scram"`
	SCRAMSHA1 bool `json:"scram_sha1"`
	// LacksSCRAM are the hashes for which a password in use has no keys, so that
	// nobody can be offered SCRAM with them.
	LacksSCRAM []string       `json:"lacks_scram,omitempty"`
	APOP       bool           `json:"apop"`
	Created    time.Time      `json:"created"`
	Quota      maildrop.Quota `json:"quota"`
	// Retention is missing where the user has no rules of its own.
	Retention *UserRetention `json:"retention,omitempty"`
	Maildir   string         `json:"maildir"`
	Messages  int            `json:"messages"`
	Octets    int64          `json:"octets"`
	// Problem says why the maildrop cannot be read, or is empty.
	Problem string `json:"problem,omitempty"`
}

func (o *Office) info(ctx context.Context, u directory.User) UserInfo {
	i := UserInfo{Name: u.Name, ID: u.ID, Enabled: u.Enabled, Source: u.Source, SCRAM: u.SCRAM.SHA256, SCRAMSHA1: u.SCRAM.SHA1, APOP: u.APOP,
		Created: u.Created, Quota: u.Quota,
		Retention: retentionInfo(u.Retention)}
	var err error
	if i.Maildir, _, err = o.homes.locate(ctx, u.ID); err == nil {
		i.Messages, i.Octets, err = o.store.Usage(ctx, u.ID)
	}
	if err != nil {
		i.Problem = err.Error()
	}
	return i
}

func (o *Office) userOperations(m control.Mux) {
	control.Handle(m, OpUserAdd, o.addUser)
	control.Handle(m, OpUserPassword, func(ctx context.Context, a UserArgs, _ io.Reader) (PasswordChanged, error) {
		u, err := o.directory.Get(ctx, a.Name)
		if err == nil {
			err = o.directory.SetPassword(ctx, a.Name, sasl.Secret(a.Password), a.hashes(u.SCRAM))
		}
		return PasswordChanged{APOP: u.APOP}, refusal(err)
	})
	control.Handle(m, OpUserAPOP, func(ctx context.Context, a UserArgs, _ io.Reader) (Nothing, error) {
		return Nothing{}, refusal(explain(o.directory.SetAPOP(ctx, a.Name, sasl.Secret(a.Password))))
	})
	control.Handle(m, OpUserList, func(ctx context.Context, _ Nothing, _ io.Reader) ([]UserInfo, error) {
		users, err := o.directory.List(ctx)
		list := make([]UserInfo, 0, len(users))
		for _, u := range users {
			i := o.info(ctx, u)
			i.LacksSCRAM = o.directory.LacksSCRAM(u.Name)
			list = append(list, i)
		}
		return list, err
	})
	control.Handle(m, OpUserDisable, func(ctx context.Context, a UserArgs, _ io.Reader) (Nothing, error) {
		return Nothing{}, refusal(o.directory.SetDisabled(ctx, a.Name, true))
	})
	control.Handle(m, OpUserEnable, func(ctx context.Context, a UserArgs, _ io.Reader) (Nothing, error) {
		return Nothing{}, refusal(o.directory.SetDisabled(ctx, a.Name, false))
	})
	control.Handle(m, OpUserQuota, func(ctx context.Context, a QuotaArgs, _ io.Reader) (UserInfo, error) {
		if a.Messages != nil || a.Octets != nil {
			if err := o.directory.SetQuota(ctx, a.Name, a.Messages, a.Octets); err != nil {
				return UserInfo{}, refusal(err)
			}
		}
		u, err := o.directory.Get(ctx, a.Name)
		if err != nil {
			return UserInfo{}, refusal(err)
		}
		return o.info(ctx, u), nil
	})
	control.Handle(m, OpUserRemove, func(ctx context.Context, a UserArgs, _ io.Reader) (UserInfo, error) {
		unlock, err := o.lockViews(ctx)
		if err != nil {
			return UserInfo{}, err
		}
		defer unlock()
		u, err := o.directory.Get(ctx, a.Name)
		if errors.Is(err, maildrop.ErrNoUser) { // it may be one who was in the passwd-file
			id, err := o.directory.Remove(ctx, a.Name)
			return UserInfo{Name: a.Name, ID: id}, refusal(err)
		}
		if err != nil {
			return UserInfo{}, refusal(err)
		}
		info := o.info(ctx, u)
		if _, err = o.directory.Remove(ctx, a.Name); err != nil {
			return info, refusal(err)
		}
		if u.Retention != nil {
			o.retentionChanged()
		}
		return info, nil
	})
}

// addUser adds a user and makes the Maildir at once, so that other programs can
// deliver there too.
func (o *Office) addUser(ctx context.Context, a UserArgs, _ io.Reader) (UserInfo, error) {
	// A name that the template has no place for must not become a user.
	name, err := directory.CleanName(a.Name)
	if err != nil {
		return UserInfo{}, err
	}
	if err := o.homes.free(ctx, name); err != nil {
		return UserInfo{}, err
	}
	u, err := o.directory.Add(ctx, directory.NewUser{Name: name, Password: sasl.Secret(a.Password),
		SCRAM: a.hashes(directory.Hashes{}), Quota: a.Quota})
	if err != nil {
		return UserInfo{}, refusal(err)
	}
	if err := o.store.Make(ctx, u.ID); err != nil {
		_, undo := o.directory.Remove(context.WithoutCancel(ctx), name)
		return UserInfo{}, errors.Join(explain(err), undo)
	}
	return o.info(ctx, u), nil
}

// AliasArgs name an alias, or the domain of a catch-all, and where it leads.
type AliasArgs struct {
	Name    string   `json:"name"`
	Targets []string `json:"targets,omitempty"`
}

func (o *Office) aliasOperations(m control.Mux) {
	control.Handle(m, OpAliasAdd, func(ctx context.Context, a AliasArgs, _ io.Reader) (Nothing, error) {
		return Nothing{}, refusal(o.directory.AddAlias(ctx, a.Name, a.Targets...))
	})
	control.Handle(m, OpAliasRemove, func(ctx context.Context, a AliasArgs, _ io.Reader) (Nothing, error) {
		return Nothing{}, refusal(o.directory.RemoveAlias(ctx, a.Name, a.Targets...))
	})
	control.Handle(m, OpAliasList, func(ctx context.Context, _ Nothing, _ io.Reader) ([]directory.Alias, error) {
		return o.directory.ListAliases(ctx)
	})
	control.Handle(m, OpCatchAllSet, func(ctx context.Context, a AliasArgs, _ io.Reader) (Nothing, error) {
		if len(a.Targets) != 1 {
			return Nothing{}, &control.Error{Code: control.CodeArguments, Text: "a catch-all leads to one user or alias"}
		}
		return Nothing{}, refusal(o.directory.SetCatchAll(ctx, a.Name, a.Targets[0]))
	})
	control.Handle(m, OpCatchAllRemove, func(ctx context.Context, a AliasArgs, _ io.Reader) (Nothing, error) {
		return Nothing{}, refusal(o.directory.SetCatchAll(ctx, a.Name, ""))
	})
	control.Handle(m, OpCatchAllList, func(ctx context.Context, _ Nothing, _ io.Reader) (map[string]string, error) {
		return o.directory.ListCatchAlls(ctx)
	})
}

// DeliverArgs are the envelope of a message; the message is the body.
type DeliverArgs struct {
	Sender     string   `json:"sender"`
	Recipients []string `json:"recipients"`
	Origin     string   `json:"origin,omitempty"`
}

// Delivered says what became of one recipient.
type Delivered struct {
	Recipient string `json:"recipient"`
	// Done is true when the message is durable there.
	Done bool `json:"done"`
	// Permanent is true when trying again without a change is useless, and
	// NoUser when that is because there is no such recipient, OverQuota when it
	// is because its maildrop is full.
	Permanent bool   `json:"permanent,omitempty"`
	NoUser    bool   `json:"no_user,omitempty"`
	OverQuota bool   `json:"over_quota,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// deliver takes one message in.
func (o *Office) deliver(ctx context.Context, a DeliverArgs, body io.Reader) ([]Delivered, error) {
	refused := func(recipient string, err error) Delivered {
		class := intake.ClassOf(err)
		o.log.Warn("not delivered", "recipient", recipient, "sender", a.Sender, "reason", class.String(), "error", err)
		return Delivered{Recipient: recipient, Permanent: class.Permanent(), NoUser: class == intake.NoUser,
			OverQuota: class == intake.OverQuotaRefused, Reason: class.String()}
	}
	all := func(err error) []Delivered {
		list := make([]Delivered, len(a.Recipients))
		for i, r := range a.Recipients {
			list[i] = refused(r, err)
		}
		return list
	}
	if strings.ContainsAny(a.Sender, "\r\n") { // it would forge header lines
		return all(&intake.Error{Class: intake.BadAddress, Err: errors.New("the sender has a line end in it")}), nil
	}
	sender := ""
	if a.Sender != "" {
		var err error
		if sender, err = lmtp.ParseArgument(a.Sender); err != nil {
			// It only stands in Return-Path, and good mail is not refused for that.
			o.log.Warn("the sender is no address, and is taken as none", "sender", a.Sender, "error", err)
		}
	}
	t, err := o.intake.Load().Begin(intake.Envelope{Sender: sender, Origin: a.Origin})
	if err != nil {
		return all(err), nil
	}
	var list []Delivered
	for _, r := range a.Recipients {
		address, err := lmtp.ParseArgument(r)
		if err != nil {
			list = append(list, refused(r, &intake.Error{Class: intake.BadAddress, Recipient: r, Err: err}))
			continue
		}
		if err := t.AddRecipient(ctx, address); err != nil {
			list = append(list, refused(r, err))
		}
	}
	if t.Recipients() == 0 {
		return list, nil
	}
	results, err := t.Data(ctx, body)
	if err != nil {
		return nil, err // the message did not come whole
	}
	for _, r := range results {
		if r.Err != nil {
			list = append(list, refused(r.Recipient, r.Err))
			continue
		}
		o.log.Info("delivered", "recipient", r.Recipient, "sender", a.Sender, "octets", r.Octets)
		list = append(list, Delivered{Recipient: r.Recipient, Done: true})
	}
	return list, nil
}
