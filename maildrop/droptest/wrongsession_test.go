// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"restante.example/maildrop"
)

// Stores that are wrong in their sessions.
var wrongSession = []wrong{
	{"lists what arrives in the session", "Snapshot", func(w *wrapped) {
		w.length = func(s *snapshot) int {
			n, _, err := w.Store.Usage(context.Background(), s.id)
			if err != nil {
				return s.Snapshot.Len()
			}
			return n
		}
		w.info = func(s *snapshot, n int, _ maildrop.Info) maildrop.Info {
			if n > s.Snapshot.Len() {
				return maildrop.Info{UID: "new"}
			}
			return s.Snapshot.Info(n)
		}
	}},
	{"allocates for a listing", "Snapshot", func(w *wrapped) {
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			info.UID = strings.Clone(info.UID)
			return info
		}
	}},
	{"serves message 1 as number 0", "Snapshot", func(w *wrapped) {
		w.message = func(s *snapshot, ctx context.Context, n int) (io.ReadCloser, error) {
			return s.Snapshot.Message(ctx, min(max(n, 1), s.Len()))
		}
	}},
	{"reads on where another stream stopped", "Readers", func(w *wrapped) {
		streams := make(map[*snapshot]io.ReadCloser)
		w.message = func(s *snapshot, ctx context.Context, n int) (io.ReadCloser, error) {
			var err error
			if streams[s] == nil || n != 1 {
				streams[s], err = s.Snapshot.Message(ctx, n)
			}
			return streams[s], err
		}
	}},
	{"opens a view twice", "InUse OpenRace", func(w *wrapped) {
		w.open = func(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
			if s := w.latestOf(id, view); s != nil {
				s.Snapshot.Revoke()
			}
			return w.Store.Open(ctx, id, view)
		}
	}},
	{"locks the maildrop, not the view", "InUse Views", func(w *wrapped) {
		w.open = func(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
			views, err := w.Store.Views(ctx, id)
			if err != nil {
				return nil, err
			}
			for _, v := range views {
				if v == view {
					continue
				}
				snap, err := w.Store.Open(ctx, id, v)
				if err != nil {
					return nil, err
				}
				snap.Close()
			}
			return w.Store.Open(ctx, id, view)
		}
	}},
	{"gives the next session's view back", "InUse Revoke", func(w *wrapped) {
		w.close = func(s *snapshot) error {
			if latest := w.latestOf(s.id, s.view); latest != nil {
				latest.Snapshot.Close()
			}
			return s.Snapshot.Close()
		}
	}},
	{"never gives a view back", "Remove Random", func(w *wrapped) {
		w.close = func(s *snapshot) error { return nil }
	}},
	{"fails at the second Close", "InUse", func(w *wrapped) {
		closed := make(map[*snapshot]bool)
		w.close = func(s *snapshot) error {
			if closed[s] {
				return maildrop.ErrClosed
			}
			closed[s] = true
			return s.Snapshot.Close()
		}
	}},
	{"serves closed sessions", "Closed", func(w *wrapped) {
		w.message = func(s *snapshot, ctx context.Context, n int) (io.ReadCloser, error) {
			r, err := s.Snapshot.Message(ctx, n)
			if errors.Is(err, maildrop.ErrClosed) {
				return io.NopCloser(strings.NewReader("")), nil
			}
			return r, err
		}
	}},
	{"gives every session one token", "Tokens Random", func(w *wrapped) {
		w.token = func(s *snapshot) uint64 { return 7 }
	}},
	{"never closes Revoked", "Revoke DropOpenView", func(w *wrapped) {
		w.revoked = func(s *snapshot) <-chan struct{} { return nil }
	}},
	{"does not revoke", "Revoke RevokeRace Random", func(w *wrapped) {
		w.revoke = func(s *snapshot) {}
	}},
	{"removes without looking at the token", "Revoke RevokeRace", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			outcomes, err := s.Snapshot.Remove(ctx, numbers)
			if !errors.Is(err, maildrop.ErrRevoked) {
				return outcomes, err
			}
			for _, n := range numbers {
				w.bench.office.Take(s.id, s.Snapshot.Info(n).UID)
			}
			return outcomes, err
		}
		// A Remove that comes after Revoke, each time.
		w.revoke = func(s *snapshot) {
			s.Snapshot.Revoke()
			s.Remove(context.Background(), []int{1})
		}
	}},
	{"says revoked and has removed", "Remove Revoke RevokeRace", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			outcomes, err := s.Snapshot.Remove(ctx, numbers)
			if err == nil {
				clear(outcomes)
				err = maildrop.ErrRevoked
			}
			return outcomes, err
		}
	}},
}

// removeUID makes every view but one forget what was removed there.
func (w *wrapped) removeUID(s *snapshot, numbers []int) {
	for _, n := range numbers {
		w.bench.office.Take(s.id, s.Snapshot.Info(n).UID)
	}
}

// Stores that are wrong in removing.
var wrongRemoval = []wrong{
	{"says removed and keeps", "Remove RemoveNew Views Random Crowd", func(w *wrapped) {
		w.remove = func(s *snapshot, _ context.Context, numbers []int) ([]maildrop.Outcome, error) {
			return slices.Repeat([]maildrop.Outcome{maildrop.Removed}, len(numbers)), nil
		}
	}},
	{"says kept and removes", "Remove", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			outcomes, _ := s.Snapshot.Remove(ctx, numbers)
			clear(outcomes)
			return outcomes, errBroken
		}
	}},
	{"removes the next one", "Remove Random", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			shifted := make([]int, len(numbers))
			for i, n := range numbers {
				shifted[i] = n%s.Len() + 1
			}
			return s.Snapshot.Remove(ctx, shifted)
		}
	}},
	{"removes what arrived since", "RemoveNew", func(w *wrapped) {
		w.close = func(s *snapshot) error {
			err := s.Snapshot.Close()
			if w.note("removed all") > 1 {
				return err
			}
			for _, m := range w.bench.office.MessagesIn(s.id, s.view) {
				w.bench.office.Take(s.id, m.UID)
			}
			return err
		}
	}},
	{"removes at Close", "Remove Abort Revoke", func(w *wrapped) {
		w.close = func(s *snapshot) error {
			s.Snapshot.Remove(context.Background(), all(s))
			return s.Snapshot.Close()
		}
	}},
	{"sorts the outcomes", "Damage", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			return s.Snapshot.Remove(ctx, slices.Sorted(slices.Values(numbers)))
		}
	}},
	{"ends a damaged message", "Damage", func(w *wrapped) {
		w.message = func(s *snapshot, ctx context.Context, n int) (io.ReadCloser, error) {
			data, err := s.raw(ctx, n)
			if err != nil && !errors.Is(err, maildrop.ErrDamaged) {
				return nil, err
			}
			data += strings.Repeat("\n", max(0, int(s.Snapshot.Info(n).Size)-len(data)))
			return io.NopCloser(strings.NewReader(data)), nil
		}
	}},
	{"removes a damaged message", "Damage", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			w.removeUID(s, numbers)
			return slices.Repeat([]maildrop.Outcome{maildrop.Removed}, len(numbers)), nil
		}
	}},
	{"ends a message that was taken", "Taken", func(w *wrapped) {
		w.message = func(s *snapshot, ctx context.Context, n int) (io.ReadCloser, error) {
			r, err := s.Snapshot.Message(ctx, n)
			if errors.Is(err, maildrop.ErrGone) {
				size := int(s.Snapshot.Info(n).Size)
				return io.NopCloser(strings.NewReader(strings.Repeat("\n", size))), nil
			}
			return r, err
		}
	}},
	{"says that a taken message is kept", "Taken", func(w *wrapped) {
		w.remove = func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
			outcomes, err := s.Snapshot.Remove(ctx, numbers)
			for i, n := range numbers {
				if _, gone := s.raw(ctx, n); errors.Is(gone, maildrop.ErrGone) {
					outcomes[i], err = maildrop.Kept, maildrop.ErrPartial
				}
			}
			return outcomes, err
		}
	}},
}

func all(s *snapshot) []int {
	var numbers []int
	for n := 1; n <= s.Snapshot.Len(); n++ {
		numbers = append(numbers, n)
	}
	return numbers
}
