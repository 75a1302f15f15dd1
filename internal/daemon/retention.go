// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"io"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/directory"
	"restante.example/maildrop"
)

// OpUserRetention names the operation that gives a user rules of its own.
const OpUserRetention = "user.retention"

// RetentionArgs are a user and the rules of its own; without any, those of the
// configuration hold again.
type RetentionArgs struct {
	Name  string         `json:"name"`
	Rules *UserRetention `json:"rules,omitempty"`
}

// UserRetention bounds what stays of a user's mail; 0 is no bound.
type UserRetention struct {
	Age      int64 `json:"age"` // in seconds
	Messages int   `json:"messages"`
	Octets   int64 `json:"octets"`
}

func retentionInfo(r *directory.Retention) *UserRetention {
	if r == nil {
		return nil
	}
	return &UserRetention{Age: int64(r.Age / time.Second), Messages: r.Messages, Octets: r.Octets}
}

// setRetention gives a user rules of its own. What they let go, goes when the
// store looks after the maildrop next.
func (o *Office) setRetention(ctx context.Context, a RetentionArgs, _ io.Reader) (Nothing, error) {
	var own *directory.Retention
	if a.Rules != nil {
		own = &directory.Retention{Age: time.Duration(a.Rules.Age) * time.Second, Messages: a.Rules.Messages, Octets: a.Rules.Octets}
	}
	if err := o.directory.SetRetention(ctx, a.Name, own); err != nil {
		return Nothing{}, refusal(err)
	}
	o.retentionChanged()
	return Nothing{}, nil
}

// retentionChanged says that what is guaranteed to everybody may be another.
func (o *Office) retentionChanged() {
	if o.announce != nil {
		o.announce()
	}
}

// expireDays returns what EXPIRE announces: what is guaranteed to everybody,
// since before sign-in nobody knows who asks. 0 announces nothing, as when it
// cannot be told. RFC 2449 section 6.7.
func (o *Office) expireDays(ctx context.Context, c *config.Config) int {
	users, err := o.directory.List(ctx)
	if err != nil {
		o.log.Warn("EXPIRE is not announced, since the rules of the users cannot be told", "error", err)
		return 0
	}
	var own []config.Retention
	for _, u := range users {
		if r := u.Retention; r != nil {
			own = append(own, config.Retention{Age: config.Duration(r.Age), Messages: r.Messages, Octets: config.Size(r.Octets)})
		}
	}
	days, _ := c.ExpireDays(own...) // checked when the configuration was loaded
	return days
}

// rulesFor returns how long the mail of a maildrop is kept: as its owner's own
// rules say, or else the configuration. The mail of an owner who was removed
// stays on the disk, so no rule of retention holds for it.
func (s *store) rulesFor(_ context.Context, id maildrop.ID) (maildrop.Rules, error) {
	rules := *s.rules.Load()
	own, err := s.homes.directory.RetentionOf(id)
	switch {
	case errors.Is(err, maildrop.ErrNoUser):
		own = &directory.Retention{}
	case err != nil:
		return maildrop.Rules{}, err
	}
	if own != nil {
		rules.Age, rules.Messages, rules.Octets = own.Age, own.Messages, own.Octets
	}
	return rules, nil
}

// announce tells new connections what is guaranteed now.
func (s *Server) announce() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.pop3.Reconfigure(s.pop3Options(s.config.Load(), s.reception.Load()))
}

func (o *Office) retentionOperations(m control.Mux) {
	control.Handle(m, OpUserRetention, o.setRetention)
}
