// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restante.example/maildrop"
)

// A device whose session goes on is removed: the session has ended, without
// removing anything, when the command returns.
func TestRevocationEndsSessions(t *testing.T) {
	for _, c := range []struct {
		name   string
		op     string
		args   DeviceArgs
		onDisk int
	}{
		{"removed", OpDeviceRemove, DeviceArgs{User: "ana", Name: "PHONE"}, 1},
		{"disabled", OpDeviceDisable, DeviceArgs{User: "ana", Name: "phone"}, 1},
		{"another password", OpDevicePassword, DeviceArgs{User: "ana", Name: "phone"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeviceTest(t)
			phone, tablet := d.add("phone"), d.add("tablet")
			d.deliver(1)
			p, q, main := d.signIn(phone, 1), d.signIn(tablet, 1), d.signIn("secret", 1)
			p.say("DELE 1\r\n")
			p.expect("+OK")
			d.call(c.op, c.args, nil)
			for _, s := range d.server.pop3.Sessions() {
				if s.Device == "phone" {
					t.Error("the session goes on after the command has returned")
				}
			}
			p.expect("-ERR [SYS/TEMP]")
			d.notIn(phone)
			q.say("NOOP\r\n")
			q.expect("+OK")
			main.say("NOOP\r\n")
			main.expect("+OK")
			d.onDisk(c.onDisk)
		})
	}
}

// Whoever signs in while its device is being removed is not in when the command
// has returned.
func TestRevocationAgainstSignIn(t *testing.T) {
	d := newDeviceTest(t)
	d.server.guard = nil // which slows down who comes again and again
	d.server.pop3.Reconfigure(d.server.pop3Options(d.conf, d.server.reception.Load()))
	for round := range 5 {
		name := fmt.Sprint("device ", round)
		password := d.add(name)
		var ins atomic.Int64
		in := make(chan struct{})
		var once sync.Once
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for out := false; !out; {
					conn, err := net.Dial("tcp", d.ready.POP3)
					if err != nil {
						t.Error(err)
						return
					}
					// All at once: a session that is ended may not take the rest.
					_, err = io.WriteString(conn, "USER ana\r\nPASS "+password+"\r\nQUIT\r\n")
					if err != nil {
						t.Error(err)
					}
					for lines := bufio.NewScanner(conn); lines.Scan(); {
						switch text := lines.Text(); {
						case strings.Contains(text, "messages"):
							ins.Add(1)
							once.Do(func() { close(in) })
						case strings.HasPrefix(text, "-ERR [AUTH]"):
							out = true
						}
					}
					if err := conn.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		<-in
		d.call(OpDeviceRemove, DeviceArgs{User: "ana", Name: name}, nil)
		for _, s := range d.server.pop3.Sessions() {
			if s.Device == name {
				t.Error("a session of the removed device goes on")
			}
		}
		before := ins.Load()
		d.notIn(password)
		wg.Wait()
		if late := ins.Load() - before; late > 3 { // what was on its way to the clients
			t.Errorf("%d sign-ins after the removal", late)
		}
	}
	if got := d.views(d.server.office); !slices.Equal(got, []maildrop.View{""}) {
		t.Errorf("views %q are left", got)
	}
}
