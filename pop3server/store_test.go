// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// storeAround is a store that puts something around its snapshots.
type storeAround struct {
	*pop3mem.Store
	around func(maildrop.Snapshot) maildrop.Snapshot
}

func storeOf(o *pop3mem.Store, around func(maildrop.Snapshot) maildrop.Snapshot) maildrop.Store {
	return storeAround{o, around}
}

func (s storeAround) Open(ctx context.Context, id maildrop.ID, v maildrop.View) (maildrop.Snapshot, error) {
	snap, err := s.Store.Open(ctx, id, v)
	if err != nil {
		return nil, err
	}
	return s.around(snap), nil
}
