// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem_test

import (
	"fmt"
	"testing"
	"time"

	"restante.example/maildrop"
	"restante.example/maildrop/droptest"
	"restante.example/pop3server/pop3mem"
)

func TestStore(t *testing.T) {
	droptest.Run(t, droptest.Config{New: func(t testing.TB) droptest.Harness {
		return harness(&pop3mem.Options{})
	}})
}

// harness lets the suite do to an office all that can be done to one.
func harness(opt *pop3mem.Options) droptest.Harness {
	var ahead time.Duration
	opt.Now = func() time.Time { return time.Now().Add(ahead) }
	office := pop3mem.New(opt)
	made := 0
	h := droptest.Harness{
		Store:   office,
		Unknown: "nobody",
		Advance: func(d time.Duration) { ahead += d },
		NewMaildrop: func() maildrop.ID {
			made++
			id := maildrop.ID(fmt.Sprintf("drop-%d", made))
			office.AddMaildrop(id)
			return id
		},
		Reopen: func() maildrop.Store {
			office = office.Restart()
			return office
		},
		Damage: func(id maildrop.ID, uid string, cut bool) { office.Damage(id, uid, cut) },
		Take:   func(id maildrop.ID, uid string) { office.Take(id, uid) },
	}
	return h
}
