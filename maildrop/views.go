// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildrop

import (
	"context"
	"time"
)

// ViewCounter is a store that can say what is waiting in a view, also while a
// session has it open.
type ViewCounter interface {
	// UsageOf counts the messages of a view as the next session of it would find
	// them. It fails with ErrNoView or ErrNoMaildrop.
	UsageOf(ctx context.Context, id ID, view View) (ViewUsage, error)
}

// ViewUsage is what a view holds.
type ViewUsage struct {
	// Messages and Octets are what is waiting.
	Messages int
	Octets   int64
	// Alone is how many of the messages no other view holds: they leave the
	// disk with the view.
	Alone int
}

// ViewResetter is a store that can let a view begin anew.
type ViewResetter interface {
	// ResetView lets a view hold again the messages on the disk that arrived at
	// or after since, the zero time meaning all, whatever it had removed. Those
	// that it had removed come back under new UIDs, because programs remember
	// the old ones. An open snapshot of the view is revoked before ResetView
	// returns. It is durable on return, and fails with ErrNoView or ErrNoMaildrop.
	ResetView(ctx context.Context, id ID, view View, since time.Time) error
}
