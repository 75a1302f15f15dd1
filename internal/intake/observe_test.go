// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		office := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
			if op == pop3mem.OpStore {
				time.Sleep(3 * time.Second)
			}
			return nil
		}})
		office.AddUser("ana", "")
		office.AddUser("bea", "")
		must(t, office.SetLimits("bea", pop3mem.Limits{Quota: maildrop.Quota{Octets: 1}}))
		type told struct {
			class  Class
			octets int64
		}
		var recipients []told
		var commits []time.Duration
		in := New(office, office, &Options{Observer: &Observer{
			Recipient: func(c Class, octets int64) { recipients = append(recipients, told{c, octets}) },
			Commit:    func(took time.Duration) { commits = append(commits, took) },
		}})
		tx := begin(t, in, "", "ana", "bea")
		if _, err := tx.Data(t.Context(), strings.NewReader("a message")); err != nil {
			t.Fatal(err)
		}
		if want := []told{{Delivered, 9}, {OverQuota, 9}}; !slices.Equal(recipients, want) {
			t.Errorf("told of %v, want %v", recipients, want)
		}
		if len(commits) != 1 || commits[0] < 3*time.Second {
			t.Errorf("commits took %v", commits)
		}
	})
}
