// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, _ maildrop.ID) error {
			time.Sleep(map[pop3mem.Op]time.Duration{
				pop3mem.OpSignIn: time.Second, pop3mem.OpMessage: 3 * time.Second, pop3mem.OpRemove: 5 * time.Second,
			}[op])
			return nil
		}})
		o.AddUser("ana", "secret")
		put(t, o, "ana", "a\n\n1\n", "b\n\n2\n")
		var signIns []pop3server.SignInOutcome
		var retrievals []pop3server.Retrieval
		type removal struct {
			removed, stayed int
			took            time.Duration
		}
		var removals []removal
		opt := options(o)
		opt.Guard = slowGuard{7 * time.Second, make(chan bool, 2)}
		opt.Timeouts.Auth = time.Hour
		opt.Observer = &pop3server.Observer{
			SignIn:    func(s pop3server.SignInOutcome) { signIns = append(signIns, s) },
			Retrieved: func(r pop3server.Retrieval) { retrievals = append(retrievals, r) },
			Removed: func(removed, stayed int, took time.Duration) {
				removals = append(removals, removal{removed, stayed, took})
			},
		}
		c := dial(t, serve(t, opt), "")
		c.want("+OK")
		c.ask("USER ana", "+OK")
		c.ask("PASS wrong", "-ERR [AUTH]")
		c.ask("AUTH PLAIN AGFuYQBzZWNyZXQ=", "+OK")
		c.ask("TOP 1 0", "+OK")
		c.text()
		c.ask("RETR 2", "+OK")
		c.text()
		c.ask("RETR 3", "-ERR")
		c.ask("DELE 2", "+OK")
		c.ask("QUIT", "+OK")
		c.ended()
		synctest.Wait()
		// The wait at the guard's is none of the sign-in's.
		want := []pop3server.SignInOutcome{
			{Mechanism: "USER", Refused: "credentials", Took: time.Second}, {Mechanism: "PLAIN", Took: time.Second},
		}
		if len(signIns) != 2 || signIns[0] != want[0] || signIns[1] != want[1] {
			t.Errorf("sign-ins: %+v, want %+v", signIns, want)
		}
		if len(retrievals) != 1 || retrievals[0].Opened != 3*time.Second || retrievals[0].Took < 3*time.Second {
			t.Errorf("retrievals: %+v", retrievals)
		}
		if len(removals) != 1 || removals[0] != (removal{1, 0, 5 * time.Second}) {
			t.Errorf("removals: %+v", removals)
		}
	})
}
