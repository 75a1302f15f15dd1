// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"restante.example/maildrop"
)

// Retention bounds what stays of a user's mail on the server, instead of what
// holds for everybody; 0 is no bound.
type Retention struct {
	Age      time.Duration // in whole seconds
	Messages int
	Octets   int64
}

// SetRetention gives a user rules of its own, all of whose zeros keep mail for
// ever; nil takes them away. It fails with maildrop.ErrNoUser.
func (d *Directory) SetRetention(ctx context.Context, name string, own *Retention) error {
	if own != nil {
		switch {
		case own.Age < 0 || own.Messages < 0 || own.Octets < 0:
			return errors.New("a bound is negative; 0 stands for none")
		case own.Age%time.Second != 0:
			return errors.New("the age must be in whole seconds")
		}
	}
	return d.changeUser(ctx, name, func(ctx context.Context, tx *sql.Tx, u *record) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM retention WHERE user = ?", u.ID)
		if err != nil || own == nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO retention (user, age, messages, octets) VALUES (?, ?, ?, ?)",
			u.ID, int64(own.Age/time.Second), own.Messages, own.Octets)
		return err
	})
}

// RetentionOf returns the rules of the owner of a maildrop, or nil where it has
// none of its own. It fails with maildrop.ErrNoUser where nobody owns the
// maildrop, and otherwise when it cannot tell. It answers from memory.
func (d *Directory) RetentionOf(id maildrop.ID) (*Retention, error) {
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	u, ok := s.byID[id]
	if !ok {
		return nil, maildrop.ErrNoUser
	}
	return u.Retention, nil
}

func loadRetention(ctx context.Context, tx *sql.Tx, byID map[maildrop.ID]*record) error {
	return rows(ctx, tx, "SELECT user, age, messages, octets FROM retention", func(scan scanner) error {
		var id maildrop.ID
		var age int64
		var r Retention
		if err := scan(&id, &age, &r.Messages, &r.Octets); err != nil {
			return err
		}
		r.Age = time.Duration(age) * time.Second
		if u, ok := byID[id]; ok { // rules of nobody bind nobody
			u.Retention = &r
		}
		return nil
	})
}
