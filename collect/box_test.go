// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"context"
	"io"
	"testing"

	"restante.example/collect"
)

func (b *box) handle(_ context.Context, m collect.Message, body io.ReadSeeker) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if b.fail != nil {
		if err := b.fail(m, string(data)); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.texts = append(b.texts, string(data))
	b.keys = append(b.keys, m.Key)
	return nil
}

// account is an account on the fake server.
func account(s *server, destinations ...collect.Destination) collect.Account {
	return collect.Account{ID: "a", Dial: s.dial, Credentials: collect.Password("u", "p"), Destinations: destinations}
}

func run(t *testing.T, a collect.Account, j collect.Journal) *collect.Report {
	t.Helper()
	report, err := collect.Run(t.Context(), a, j)
	if err != nil {
		t.Fatalf("Run: %v (%+v)", err, report)
	}
	return report
}
