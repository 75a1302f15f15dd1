// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"restante.example/pop3server"
)

// Two devices of one user are connected at once, each in its view, and what is
// told of the sessions says which is which.
func TestDevicesSideBySide(t *testing.T) {
	o := office(t, "a\n\n1\n", "b\n\n2\n")
	if err := o.AddView(t.Context(), "ana", "phone", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := o.AddPassword("ana", "of the phone", "phone"); err != nil {
		t.Fatal(err)
	}
	opt := options(o)
	opt.ClearText = pop3server.InsecureClearTextEverywhere
	var log bytes.Buffer
	opt.Logger = slog.New(slog.NewTextHandler(&log, nil))
	began, ended := make(chan pop3server.SessionInfo, 2), make(chan pop3server.Summary, 2)
	opt.OnSignIn = func(i pop3server.SessionInfo) { began <- i }
	opt.OnEnd = func(s pop3server.Summary) { ended <- s }
	s := serve(t, opt)

	computer := dial(t, s, "192.0.2.1").signIn()
	if i := <-began; i.User != "ana" || i.Device != "" || i.Remote.String() != "192.0.2.1" {
		t.Errorf("the first sign-in: %+v", i)
	}
	phone := dial(t, s, "192.0.2.2")
	phone.want("+OK")
	phone.ask("USER ana", "+OK")
	phone.ask("PASS of the phone", "+OK 2 messages")
	if i := <-began; i.Device != "phone" || i.View != "phone" || i.Remote.String() != "192.0.2.2" {
		t.Errorf("the second sign-in: %+v", i)
	}
	phone.ask("DELE 1", "+OK")
	phone.ask("QUIT", "+OK")
	if sum := <-ended; sum.Device != "phone" || sum.Deleted != 1 || sum.Left != 1 {
		t.Errorf("the end: %+v", sum)
	}
	if !strings.Contains(log.String(), "user=ana device=phone view=phone") {
		t.Errorf("the log: %s", &log)
	}
	computer.ask("LIST 1", "+OK 1")
	if list := s.Sessions(); len(list) != 1 || list[0].Device != "" {
		t.Errorf("sessions: %+v", list)
	}
	if left := o.Messages("ana"); len(left) != 2 {
		t.Errorf("%d messages are left, the computer has collected none", len(left))
	}
}
